"""The learned finder: the openings and marks of one tile from the maps of a network.

The network is a callable from arrays to arrays.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from etchscope.foil import PitFlag
from etchscope.foil.openings import MAPS, SURFACES
from etchscope.foil.types import FloatImage, Floats, FloatStack, Ints, RawStack
from etchscope.imaging.lighting import Lighting
from etchscope.imaging.normalise import Normalisation
from etchscope.imaging.planes import Planes, compress_planes, harmonic_planes
from etchscope.preselect.coverage import CELL_PX, local_coverage, reach_px
from etchscope.preselect.finder import Finder
from etchscope.preselect.gauge import measure_surroundings
from etchscope.preselect.heat import Peaks, read_openings
from etchscope.preselect.marks import find_marks
from etchscope.preselect.settings import FindSettings

__all__ = [
    "LearnedConstants",
    "apply_finder",
    "compute_gauge_features",
    "find_openings",
    "fit_scale",
]

_SPLIT = 1.0
"""Distance, in pixels of the network, below which openings of the two surfaces are at one place. On
random foils less than half of the less likely ones are true at smaller distances, and eight in ten
at larger distances."""
_SATURATED = 0.1
"""Fraction of an opening at the camera's limit from which it counts as saturated."""
_SMALLER = 0.75
"""Share of the smallest radius to be found below which a find is left out as texture or a speck. It
is below 1 because the radius of a find has an error."""
_WORKING_PX = (2.0, 16.0)
"""Range of the radii, in pixels of the network, with which it was trained."""
_LARGE_PX, _LARGE = 5.0, 0.5
"""Radius on halved pictures, and least share of pits above it, for which a scan is searched on
halved pictures. Pits larger than most of those in the training are measured too small at full
size."""


@dataclass(frozen=True)
class LearnedConstants:
    """The constants of the learned finder for one scan.

    ``scale`` is the size of a pixel of the network in pixels of the picture.
    """

    scale: float = 1.0


@numba.njit(nogil=True, cache=True)
def _disc_means(picture: FloatImage, x: Floats, y: Floats, radius: Floats) -> Floats:
    # pragma: no cover
    """Return the mean of a picture over each opening, (n,)."""
    rows, columns = picture.shape
    out = np.zeros(len(x))
    for i in range(len(x)):
        total, count = 0.0, 0
        r = max(radius[i], 1.0)
        for v in range(max(int(y[i] - r), 0), min(int(y[i] + r) + 2, rows)):
            for u in range(max(int(x[i] - r), 0), min(int(x[i] + r) + 2, columns)):
                if (u - x[i]) ** 2 + (v - y[i]) ** 2 <= r * r:
                    total += picture[v, u]
                    count += 1
        out[i] = total / max(count, 1)
    return out


def apply_finder(
    seen: Planes, finder: Finder, *, least: float = FindSettings().least_log_odds
) -> tuple[Peaks, FloatStack]:
    """Return the openings of one tile with corrected shapes, and the maps of the network.

    Parameters
    ----------
    seen : the planes of the tile, compressed.
    finder : the network with its constants.
    least : least log odds of a find.

    Returns
    -------
    The columns of ``read_openings`` in pixels of the network, and (map, y, x) float32 maps.

    Raises
    ------
    ValueError : the network does not return as many maps as ``MAPS`` names.
    """
    maps = finder.maps(seen.stacked)
    if len(maps) != len(MAPS):
        raise ValueError(f"a finder gives {len(MAPS)} maps, not {len(maps)}")
    peaks = read_openings(maps, finder, has_lamps=bool(seen.given[0] > 0), least=least)
    return finder.gauge.correct(peaks, compute_gauge_features(seen, peaks)), maps


def compute_gauge_features(seen: Planes, peaks: Peaks) -> Floats:
    """Return ``GAUGE_FEATURES`` of the finds of one tile, (n, feature) float64.

    Parameters
    ----------
    seen : the planes of the tile, compressed.
    peaks : n finds of ``read_openings``.
    """
    radius = np.exp(peaks["log_radius"].clip(-1, 5))
    contrast = _contrast(seen, peaks["x"], peaks["y"], radius)
    return measure_surroundings(peaks, contrast, seen.given)


def _shapes(peaks: Peaks, scale: float, image_size: tuple[int, int]) -> dict[str, Floats]:
    """Return the shape of each opening with its errors, in pixels of the picture."""
    radius = np.exp(peaks["log_radius"].clip(-1, 5)) * scale
    ellipticity = np.hypot(peaks["e_cos"], peaks["e_sin"]).clip(0, 0.95)
    names = ("place", "radius", "ellipse", "depth")
    sigma = {k: np.exp(peaks[f"s_{k}"].clip(-5, 3)) for k in names}
    depth = np.exp(peaks["log_depth"].clip(-3, 6)) * scale
    # The stated centre of an opening that the edge cuts may lie beyond the edge.
    x, y = (
        ((peaks[k] + 0.5) * scale - 0.5).clip(-0.5, n - 0.5)
        for k, n in (("x", image_size[1]), ("y", image_size[0]))
    )
    return {
        "x_px": x,
        "y_px": y,
        "radius_px": radius,
        "ellipticity": ellipticity,
        "angle_deg": np.rad2deg(np.arctan2(peaks["e_sin"], peaks["e_cos"])) / 2 % 180,
        "x_px_err": sigma["place"] * scale,
        "y_px_err": sigma["place"] * scale,
        "radius_px_err": sigma["radius"] * radius,
        "ellipticity_err": sigma["ellipse"],
        "depth_px": depth,
        "depth_px_err": sigma["depth"] * depth,
    }


def _contrast(planes: Planes, x_px: Floats, y_px: Floats, radius_px: Floats) -> Floats:
    """Return the mean shading of the walls of each opening or, without lamps, its darkness."""
    place = (x_px, y_px, radius_px)
    pictures = planes.pictures
    if planes.given[0] > 0:
        return np.asarray(_disc_means(np.hypot(pictures[1], pictures[2]), *place))
    light = pictures[6] if planes.given[3] > 0 else -pictures[7]
    return -np.log(np.maximum(1 + _disc_means(light, *place), 0.05))


def _mates(peaks: Peaks, shapes: dict[str, Floats], scale: float) -> Ints:
    """Return for each find the row of the find of the other surface at the same place, or −1, (n,).

    A steep pair and a single pit whose surface the network cannot determine look the same here, so
    the density of unrelated pits does not determine how likely it is a pair.
    """
    out = np.full(len(peaks["x"]), -1)
    top, bottom = (np.flatnonzero(peaks["surface"] == s) for s in SURFACES[:2])
    if not len(top) or not len(bottom):
        return out
    place = np.column_stack([shapes["x_px"], shapes["y_px"]])
    apart, nearest = cKDTree(place[bottom]).query(place[top], distance_upper_bound=_SPLIT * scale)
    there = np.flatnonzero(np.isfinite(apart))
    there = there[np.argsort(apart[there], kind="stable")]
    _, first = np.unique(nearest[there], return_index=True)
    pairs = there[first]
    out[top[pairs]], out[bottom[nearest[pairs]]] = bottom[nearest[pairs]], top[pairs]
    return out


def _flags(
    shapes: dict[str, Floats],
    surface: NDArray[np.str_],
    limit: FloatImage | None,
    image_size: tuple[int, int],
    scale: float,
) -> Ints:
    """Return the flags that follow from the tile alone, (n,); see ``PitFlag``."""
    x, y, r = shapes["x_px"], shapes["y_px"], shapes["radius_px"]
    height, width = image_size
    flags = np.zeros(len(x), np.int64)
    cut = (x < r) | (y < r) | (x > width - 1 - r) | (y > height - 1 - r)
    close = np.zeros(len(x), bool)
    for one in np.unique(surface):
        at = np.flatnonzero(surface == one)
        apart = np.hypot(x[at][:, None] - x[at], y[at][:, None] - y[at])
        np.fill_diagonal(apart, np.inf)
        close[at] = (apart < r[at][:, None]).any(axis=1)
    full = np.zeros(len(x)) if limit is None else _disc_means(limit, x, y, r)
    low, high = (scale * v for v in _WORKING_PX)
    for is_set, flag in (
        (cut, PitFlag.EDGE),
        (full > _SATURATED, PitFlag.SATURATED),
        (close, PitFlag.TOO_CLOSE),
        ((r < 0.9 * low) | (r > high), PitFlag.SIZE_LIMIT),
    ):
        flags |= np.where(is_set, int(flag), 0)
    return flags


def _covered(shapes: dict[str, Floats], image_size: tuple[int, int]) -> Floats:
    """Return the fraction of each cell of a tile that found openings cover, (row, column).

    In a crowd most of the openings that are not found lie within those that are found, so they
    hardly change the covered fraction.
    """
    picture = np.zeros(image_size, np.uint8)
    for x, y, r in zip(shapes["x_px"], shapes["y_px"], shapes["radius_px"], strict=True):
        cv2.circle(picture, (round(x), round(y)), round(r), 1, -1)
    rows, columns = (max(round(n / CELL_PX), 1) for n in image_size)
    share = cv2.resize(picture.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(share, np.float64)


def find_openings(
    raw: RawStack,
    normalisation: Normalisation,
    lighting: Lighting,
    finder: Finder,
    constants: LearnedConstants,
    settings: FindSettings,
) -> dict[str, NDArray[Any]]:
    """Return the openings and the marks of one tile, one per row.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.
    normalisation, lighting, constants : of the tile's scan.
    finder : the network with its constants.
    settings : of the search; smaller openings than it asks for are left out.

    Returns
    -------
    The columns of ``detect_openings``, each (n,), and errors, ``depth_px`` and its error,
    ``length_px, width_px``, and ``class``, which is misc for marks and None for openings. ``entry``
    and ``exit`` are the log odds of an opening of that surface; ``hip`` is that of a pair at one
    place or, without lamps, of any find.

    Raises
    ------
    BadInput : the stack does not fit the normalisation, or is smaller than the network's field.
    """
    scale, image_size = constants.scale, (raw.shape[1], raw.shape[2])
    planes = harmonic_planes(raw, normalisation, lighting)
    peaks, maps = apply_finder(
        compress_planes(planes, scale), finder, least=settings.least_log_odds
    )
    large = np.exp(peaks["log_radius"]) >= _SMALLER * settings.smallest_radius_px / scale
    peaks = {k: v[large] for k, v in peaks.items()}
    shapes = _shapes(peaks, scale, image_size)
    limit = None
    if normalisation.limit:
        limit = (raw.max(axis=0) >= normalisation.limit).astype(np.float32)
    marks = find_marks(maps, peaks, finder.least_mark, scale)
    mate = _mates(peaks, shapes, scale)
    columns = _columns(planes, peaks, shapes, mate, marks)
    share, places = _covered(shapes, image_size), (columns["x_px"], columns["y_px"])
    columns["covered"] = local_coverage(share, *places, image_size, reach_px(settings))
    flags = _flags(shapes, peaks["surface"], limit, image_size, scale)
    flags |= np.where(mate >= 0, int(PitFlag.STEEP_PAIR), 0)
    columns["flags"] = np.concatenate([flags, np.zeros(len(marks["x_px"]), np.int64)])
    return columns


def _columns(
    planes: Planes,
    peaks: Peaks,
    shapes: dict[str, Floats],
    mate: Ints,
    marks: dict[str, Floats],
) -> dict[str, NDArray[Any]]:
    """Return the columns of the openings, followed by those of the marks."""
    odds, surface = peaks["log_odds"], peaks["surface"]
    n, m = len(odds), len(marks["x_px"])
    none = np.full(m, np.nan)
    contrast = _contrast(planes, shapes["x_px"], shapes["y_px"], shapes["radius_px"])
    excess = odds
    if planes.given[0] > 0:
        # A pair at one place is at most as likely as either of its openings.
        excess = np.where(mate >= 0, np.minimum(odds, odds[mate]), 0.0)
    return {
        **{k: np.concatenate([v, marks.get(k, none)]) for k, v in shapes.items()},
        "length_px": np.concatenate([np.full(n, np.nan), marks["length_px"]]),
        "width_px": np.concatenate([np.full(n, np.nan), marks["width_px"]]),
        "surface": np.concatenate([surface, np.full(m, "unknown")]),
        "contrast": np.concatenate([contrast, none]),
        "entry": np.concatenate([np.where(surface == "top", odds, np.nan), none]),
        "exit": np.concatenate([np.where(surface == "bottom", odds, np.nan), none]),
        "hip": np.concatenate([excess, none]),
        "class": np.array([None] * n + ["misc"] * m, object),
        "mate": np.concatenate([mate, np.full(m, -1)]),
    }


def fit_scale(
    stacks: Iterable[RawStack],
    normalisation: Normalisation,
    lighting: Lighting,
    finder: Finder,
    settings: FindSettings,
) -> LearnedConstants:
    """Return the scale at which the network searches a scan, from some of its tiles.

    Pictures are halved if most of the openings that are found on halved pictures are large, and
    these are at least half as many as all that are found at full size. Pictures are also reduced
    if the settings ask for large openings only, and enlarged if they ask for small ones.

    Parameters
    ----------
    stacks : (channel, y, x) grey levels of some tiles.
    normalisation, lighting : of the scan.
    finder : the network with its constants.
    settings : of the search.

    Raises
    ------
    BadInput : a stack does not fit the normalisation.
    """
    low, high = _WORKING_PX
    if settings.smallest_radius_px < low:
        return LearnedConstants(settings.smallest_radius_px / low)
    if settings.smallest_radius_px > high / 2:
        return LearnedConstants(settings.largest_radius_px / high)
    large, on_halved, on_full = 0, 0, 0
    for raw in stacks:
        if min(raw.shape[1:]) < 4 * high:
            continue
        planes = harmonic_planes(raw, normalisation, lighting)
        has_lamps = bool(planes.given[0] > 0)
        full, halved = (
            read_openings(
                finder.maps(compress_planes(planes, s).stacked), finder, has_lamps=has_lamps
            )
            for s in (1.0, 2.0)
        )
        large += int((np.exp(halved["log_radius"]) > _LARGE_PX).sum())
        on_halved, on_full = on_halved + len(halved["x"]), on_full + len(full["x"])
    is_large = large > max(_LARGE * max(on_halved, on_full), 3)
    return LearnedConstants(2.0 if is_large else 1.0)
