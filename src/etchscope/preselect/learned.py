"""The learned finder: from what a network says of a tile to its openings and marks.

The network comes as a callable, so that this is arrays in and columns out.
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
"""Openings of the two surfaces that are nearer, in the network's pixels, are at one place: on
random foils less than half of the less likely ones are there then, eight in ten farther away."""
_SATURATED = 0.1
"""Fraction of an opening at the camera's limit from which it counts as saturated."""
_SMALLER = 0.75
"""Finds smaller than this share of the smallest pits that are looked for are texture and specks;
the radius of a find has an error of its own."""
_WORKING_PX = (2.0, 16.0)
"""Radii, in the network's pixels, that it was taught."""
_LARGE_PX, _LARGE = 5.0, 0.5
"""Radius on halved pictures, and share of the pits above it, from which a scan is looked at on
these: larger pits than it mostly learnt from come out too small at full size."""


@dataclass(frozen=True)
class LearnedConstants:
    """What a scan's own tiles say: ``scale``, picture pixels a pixel of the network's."""

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
    """Return the openings of one tile with their shapes measured, and the maps.

    Parameters
    ----------
    seen : the tile as the network sees it.
    least : log odds from which a find counts.
    """
    maps = finder.maps(seen.stacked)
    if len(maps) != len(MAPS):
        raise ValueError(f"a finder gives {len(MAPS)} maps, not {len(maps)}")
    said = read_openings(maps, finder, has_lamps=bool(seen.given[0] > 0), least=least)
    return finder.gauge.correct(said, compute_gauge_features(seen, said)), maps


def compute_gauge_features(seen: Planes, said: Peaks) -> Floats:
    """Return what the gauge knows of the finds of one tile, see ``GAUGE_FEATURES``."""
    radius = np.exp(said["log_radius"].clip(-1, 5))
    contrast = _contrast(seen, said["x"], said["y"], radius)
    return measure_surroundings(said, contrast, seen.given)


def _shapes(said: Peaks, scale: float, image_size: tuple[int, int]) -> dict[str, Floats]:
    """Return the shape of each opening with its errors, in the picture's pixels."""
    radius = np.exp(said["log_radius"].clip(-1, 5)) * scale
    ellipticity = np.hypot(said["e_cos"], said["e_sin"]).clip(0, 0.95)
    names = ("place", "radius", "ellipse", "depth")
    sigma = {k: np.exp(said[f"s_{k}"].clip(-5, 3)) for k in names}
    depth = np.exp(said["log_depth"].clip(-3, 6)) * scale
    # An opening that the edge cuts may have its centre beyond it, where nothing was seen.
    x, y = (
        ((said[k] + 0.5) * scale - 0.5).clip(-0.5, n - 0.5)
        for k, n in (("x", image_size[1]), ("y", image_size[0]))
    )
    return {
        "x_px": x,
        "y_px": y,
        "radius_px": radius,
        "ellipticity": ellipticity,
        "angle_deg": np.rad2deg(np.arctan2(said["e_sin"], said["e_cos"])) / 2 % 180,
        "x_px_err": sigma["place"] * scale,
        "y_px_err": sigma["place"] * scale,
        "radius_px_err": sigma["radius"] * radius,
        "ellipticity_err": sigma["ellipse"],
        "depth_px": depth,
        "depth_px_err": sigma["depth"] * depth,
    }


def _contrast(planes: Planes, x_px: Floats, y_px: Floats, radius_px: Floats) -> Floats:
    """Return the mean shading of each opening's walls, or without lamps of its darkness."""
    place = (x_px, y_px, radius_px)
    pictures = planes.pictures
    if planes.given[0] > 0:
        return np.asarray(_disc_means(np.hypot(pictures[1], pictures[2]), *place))
    light = pictures[6] if planes.given[3] > 0 else -pictures[7]
    return -np.log(np.maximum(1 + _disc_means(light, *place), 0.05))


def _mates(said: Peaks, shapes: dict[str, Floats], scale: float) -> Ints:
    """Return of each find that of the other surface at the very same place, or −1, (n,).

    Seen so, a steep pair and one pit whose surface the network cannot tell look the same: no
    density of unrelated pits says how likely it is a pair.
    """
    out = np.full(len(said["x"]), -1)
    top, bottom = (np.flatnonzero(said["surface"] == s) for s in SURFACES[:2])
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
    """Return the flags that a tile alone can tell, see ``PitFlag``."""
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
    """Return the share of each cell of a tile that found openings cover.

    In a crowd most of the openings that are missed lie within those that are found.
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
    """Return the openings that the settings ask for and the marks of one tile, one row each.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.

    Returns
    -------
    Columns as ``detect_openings`` gives, with errors, ``depth_px`` and its error, ``length_px,
    width_px`` and ``class``: misc for marks, None for openings. ``entry``, ``exit`` are the log
    odds of an opening of that surface; ``hip`` those of a pair at one place, or of any find without
    lamps.

    Raises
    ------
    BadInput : the stack does not fit the normalisation, or is smaller than the network's field.
    """
    planes = harmonic_planes(raw, normalisation, lighting)
    seen = compress_planes(planes, constants.scale)
    said, maps = apply_finder(seen, finder, least=settings.least_log_odds)
    has_lamps = bool(planes.given[0] > 0)
    smallest = _SMALLER * settings.smallest_radius_px / constants.scale
    asked_for = np.exp(said["log_radius"]) >= smallest
    said = {k: v[asked_for] for k, v in said.items()}
    surface = said["surface"]
    image_size = (raw.shape[1], raw.shape[2])
    shapes = _shapes(said, constants.scale, image_size)
    place = (shapes["x_px"], shapes["y_px"], shapes["radius_px"])
    limit = None
    if normalisation.limit:
        limit = (raw.max(axis=0) >= normalisation.limit).astype(np.float32)
    odds = said["log_odds"]
    marks = find_marks(maps, said, finder.least_mark, constants.scale)
    mate = _mates(said, shapes, constants.scale)
    # What a pair at one place says for itself is that both are openings.
    excess = np.where(mate >= 0, np.minimum(odds, odds[mate]), 0.0) if has_lamps else odds
    n, m = len(odds), len(marks["x_px"])
    none = np.full(m, np.nan)
    columns: dict[str, NDArray[Any]] = {
        **{k: np.concatenate([v, marks.get(k, none)]) for k, v in shapes.items()},
        "length_px": np.concatenate([np.full(n, np.nan), marks["length_px"]]),
        "width_px": np.concatenate([np.full(n, np.nan), marks["width_px"]]),
        "surface": np.concatenate([surface, np.full(m, "unknown")]),
        "contrast": np.concatenate([_contrast(planes, *place), none]),
        "entry": np.concatenate([np.where(surface == "top", odds, np.nan), none]),
        "exit": np.concatenate([np.where(surface == "bottom", odds, np.nan), none]),
        "hip": np.concatenate([excess, none]),
        "class": np.array([None] * n + ["misc"] * m, object),
        "mate": np.concatenate([mate, np.full(m, -1)]),
    }
    flags = _flags(shapes, surface, limit, image_size, constants.scale)
    flags |= np.where(mate >= 0, int(PitFlag.STEEP_PAIR), 0)
    share = _covered(shapes, image_size)
    places = (columns["x_px"], columns["y_px"])
    columns["covered"] = local_coverage(share, *places, image_size, reach_px(settings))
    columns["flags"] = np.concatenate([flags, np.zeros(m, np.int64)])
    return columns


def fit_scale(
    stacks: Iterable[RawStack],
    normalisation: Normalisation,
    lighting: Lighting,
    finder: Finder,
    settings: FindSettings,
) -> LearnedConstants:
    """Return at what scale the network should look at a scan, from some of its tiles.

    Large pits are looked at on halved pictures: where most of what is found there is large, and is
    as much as most of what is found at full size, or where the settings ask for so large ones.
    Where they ask for small ones, pictures are enlarged.

    Parameters
    ----------
    stacks : (channel, y, x) raw pictures of some tiles.
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
