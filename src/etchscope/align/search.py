"""A first guess of the rotation and offset between two lists of points, without any start.

The points of a window are turned step by step; the correlation of the two lists, by FFT, counts
for every offset at once how many pairs agree with it. Unrelated pairs spread over all offsets, so
true ones stand out even where most points have no partner (a Hough transform; D. H. Ballard,
Pattern Recognition 13 (1981) 111).
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.spatial import KDTree

from etchscope.foil.types import Floats, Ints
from etchscope.geometry import Similarity

__all__ = ["Guess", "crowd_weights", "guess_transforms"]

_BLUR = 0.8  # cells; of the counts, so that a peak on a cell's border is one
_BACKGROUND = 12.0  # cells; what changes more slowly is density, no peak
_KEPT = 4
_CROWD = 0.3  # of the mean distance of points; nearer ones are one group
_LARGEST = 1500  # cells along a side


@dataclass(frozen=True)
class Guess:
    """A place in the space of rotations and offsets where many pairs agree.

    ``transform`` from moving to fixed, ``score`` in standard deviations of unrelated pairs,
    ``cell_mm`` how exact the offset is; ``centre_mm``, ``reach_mm`` the window of moving points it
    was found with.
    """

    transform: Similarity
    score: float
    cell_mm: float
    centre_mm: Floats
    reach_mm: float


def crowd_weights(xy: Floats) -> Floats:
    """Return (n,) by how much each point counts: 1, or less where points crowd together.

    A point counts one over the points nearer than 0.3 of the mean distance. Without that, the
    rims of two holes, each a ring of finds, would match better than two foils.
    """
    if len(xy) < 2:
        return np.ones(len(xy))
    area = float(np.prod(np.ptp(xy, axis=0)))
    near = _CROWD * np.sqrt(area / len(xy))
    return np.asarray(1.0 / KDTree(xy).query_ball_point(xy, near, return_length=True))


def guess_transforms(
    fixed: Floats, moving: Floats, window: int, *, mirrored: bool, max_angle_rad: float
) -> list[Guess]:
    """Return the best guesses, the best first; at most three, apart from each other.

    Parameters
    ----------
    fixed, moving : (n, 2) and (m, 2) mm; at least three points each, not on a line.
    window : number of moving points, those around the list's median.
    mirrored : whether the moving list's x is to be reversed first.
    max_angle_rad : of the rotation, either way.
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
    # A fiftieth of an unrelated point a cell, within what stages can do and memory allows.
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
    """Return (score, angle, x, y) of each angle's best offset of the window's centre."""
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
    # A count blurred by a Gaussian of s cells has the variance of its mean over 4 π s².
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
