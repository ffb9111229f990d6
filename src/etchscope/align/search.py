"""First guesses of the rotation and offset between two lists of points.

The points of a window are turned step by step. At each step the correlation of the two lists, by
FFT, gives the number of pairs that agree with each offset. Unrelated pairs spread over all offsets,
so true pairs stand out even if most points have no partner (a Hough transform; D. H. Ballard,
Pattern Recognition 13 (1981) 111).
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.spatial import KDTree

from etchscope.foil.types import Floats, Ints
from etchscope.geometry import Similarity

__all__ = ["Guess", "crowd_weights", "guess_transforms"]

_BLUR = 0.8  # cells; blur of the counts, so that a peak on the border of cells is one peak
_BACKGROUND = 12.0  # cells; blur of the background, which is due to the density
_KEPT = 4  # greatest number of guesses
_CROWD = 0.3  # distance below which points form a group, in units of the mean distance
_LARGEST = 1500  # greatest number of cells along a side


@dataclass(frozen=True)
class Guess:
    """A rotation and an offset for which many pairs agree.

    Attributes
    ----------
    transform : the transform from moving to fixed.
    score : number of pairs above the background, in standard deviations of unrelated pairs.
    cell_mm : resolution of the offset.
    centre_mm, reach_mm : centre, (2,), and half the side of the window of moving points that was
        used, after the mirror.
    """

    transform: Similarity
    score: float
    cell_mm: float
    centre_mm: Floats
    reach_mm: float


def crowd_weights(xy: Floats) -> Floats:
    """Return the weight of each point, (n,) float64, which is less than 1 where points crowd.

    A point has the weight one over the number of points within 0.3 of the mean distance. Otherwise
    the rims of two holes, each a ring of finds, would match better than two foils.

    Parameters
    ----------
    xy : (n, 2) points.
    """
    if len(xy) < 2:
        return np.ones(len(xy))
    area = float(np.prod(np.ptp(xy, axis=0)))
    near = _CROWD * np.sqrt(area / len(xy))
    return np.asarray(1.0 / KDTree(xy).query_ball_point(xy, near, return_length=True))


def guess_transforms(
    fixed: Floats, moving: Floats, window: int, *, mirrored: bool, max_angle_rad: float
) -> list[Guess]:
    """Return at most four distinct guesses in descending order of score.

    Parameters
    ----------
    fixed, moving : (n, 2) and (m, 2) points in mm, at least three each, not on a line.
    window : number of moving points to be used, those nearest to their median.
    mirrored : whether x of the moving points is reversed first.
    max_angle_rad : greatest rotation in radians.
    """
    turned = moving * np.array([-1.0 if mirrored else 1.0, 1.0])
    centre = np.median(turned, axis=0)
    distance = np.abs(turned - centre).max(axis=1)
    reach = float(
        np.partition(distance, min(window, len(moving)) - 1)[min(window, len(moving)) - 1]
    )
    own = turned[distance <= reach] - centre
    weight = crowd_weights(own)
    radius = max(float(np.hypot(*own.T).max()), 1e-9)
    size = np.ptp(fixed, axis=0)
    # On average one unrelated point in fifty cells, within the limits of stages and of memory.
    cell = float(np.clip(np.sqrt(0.02 * size.prod() / len(fixed)), 0.04, 0.25))
    cell = max(cell, float((size.max() + 2 * radius) / _LARGEST))
    steps = int(np.ceil(max_angle_rad * radius / cell))
    angles = np.arange(-steps, steps + 1, dtype=np.float64) * (cell / radius)
    peaks = _peaks(fixed, own, weight, radius, cell, angles)
    out: list[Guess] = []
    for score, angle, x, y in peaks:
        turn = Similarity(angle, mirrored=mirrored)
        shift = (
            np.array([x, y]) - turn.apply(centre * np.array([-1.0 if mirrored else 1.0, 1.0]))[0]
        )
        guess = Guess(turn.moved(*shift.tolist()), score, cell, centre, reach)
        if all(_apart(guess, other, centre, radius) for other in out):
            out.append(guess)
        if len(out) == _KEPT:
            break
    return out


def _apart(one: Guess, other: Guess, centre: Floats, radius: float) -> bool:
    angle = abs(one.transform.angle_rad - other.transform.angle_rad) * radius
    x = centre * np.array([-1.0 if one.transform.mirrored else 1.0, 1.0])
    shift = np.hypot(*(one.transform.apply(x) - other.transform.apply(x))[0])
    return bool(max(angle, shift) > 4 * one.cell_mm)


def _peaks(
    fixed: Floats, own: Floats, weight: Floats, radius: float, cell: float, angles: Floats
) -> list[tuple[float, float, float, float]]:
    """Return (score, angle, x, y), where x, y is the best offset of the window for each angle."""
    low = fixed.min(axis=0)
    margin = int(np.ceil(radius / cell)) + 2
    count = np.floor(np.ptp(fixed, axis=0) / cell).astype(int) + 1
    shape = tuple(next_fast_len(int(n) + 2 * margin, real=True) for n in count)
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))
    there = rfft2(_histogram(np.floor((fixed - low) / cell).astype(np.int64), None, shape))
    sharp = there * np.exp(-2 * (np.pi * frequency * _BLUR) ** 2).astype(np.float32)
    smooth = there * np.exp(-2 * (np.pi * frequency * _BACKGROUND) ** 2).astype(np.float32)
    here = np.conj(rfft2(_histogram(_cells(own, cell), weight, shape)))
    background = irfft2(smooth * here, s=shape)
    # The variance of a count blurred by a Gaussian of s cells is its mean over 4 π s².
    least = max(0.3 * float(background.max()), 1e-3)
    spread = np.sqrt(np.maximum(background, least) / (4 * np.pi * _BLUR**2))
    out = []
    for angle in angles.tolist():
        turned = own @ Similarity(angle).matrix.T
        votes = irfft2(
            sharp * np.conj(rfft2(_histogram(_cells(turned, cell), weight, shape))), s=shape
        )
        score = (votes - background) / spread
        at = np.unravel_index(int(score.argmax()), shape)
        place = [v if v < n + margin else v - s for v, n, s in zip(at, count, shape, strict=True)]
        x, y = (low + (np.array(place) + 0.5) * cell).tolist()
        out.append((float(score[at]), angle, x, y))
    return sorted(out, reverse=True)


def _cells(centred: Floats, cell: float) -> Ints:
    return np.floor(centred / cell + 0.5).astype(np.int64)


def _histogram(
    cells: Ints, weight: Floats | None, shape: tuple[int, ...]
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    at = np.ravel_multi_index((cells[:, 0] % shape[0], cells[:, 1] % shape[1]), shape)
    return np.bincount(at, weight, shape[0] * shape[1]).astype(np.float32).reshape(shape)
