"""The learned finder: from what a network says of a tile to its openings and marks.

The network comes as a callable, so that this is arrays in and columns out.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from etchscope.foil import PitFlag
from etchscope.foil.openings import MAPS, SURFACES, VALUES
from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack, Ints, RawStack
from etchscope.imaging.lighting import Lighting
from etchscope.imaging.normalise import Normalisation
from etchscope.imaging.planes import Planes, compressed, harmonic_planes
from etchscope.preselect.coverage import CELL_PX, covered_near, reach_px
from etchscope.preselect.settings import FindSettings

__all__ = [
    "Finder",
    "LearnedConstants",
    "Least",
    "find_openings",
    "fit_scale",
    "read_openings",
]

_STRIDE = 2
_SAME = (0.4, 1.5)
"""Two finds of one surface are one opening nearer than this share of the radius, or pixels."""
_EXPLAINED = 0.7
"""Share of the radius within which a find of either surface is one of a known surface."""
_LEAST_MARK_CELLS = 8
"""Smaller marks are noise."""
_SATURATED = 0.1
"""Fraction of an opening at the camera's limit from which it counts as saturated."""
_WORKING_PX = (2.0, 16.0)
"""Radii, in the network's pixels, that it was taught."""


_LARGE = 0.2
"""Share of large pits from which a scan is looked at on halved pictures."""


@dataclass(frozen=True)
class Least:
    """Heat from which a find counts: with lamps, of either surface beside them, without lamps.

    A finder's own are those at which a find on random foils is true with a probability of 0.4.
    """

    lamps: float = 0.0
    beside: float = 1.0
    alone: float = 0.0
    mark: float = 0.0


@dataclass(frozen=True)
class Finder:
    """A network with what was found on foils that it had not seen.

    Attributes
    ----------
    maps : (13, y, x) planes → maps of ``MAPS`` at half the size.
    least : where finds begin.
    sigma : value (place, radius, ellipse, depth) → factor of the network's σ that covers 68 %.
    digest : of the weights and these constants.
    """

    maps: Callable[[FloatStack], FloatStack] = field(repr=False)
    least: Least
    sigma: Mapping[str, float]
    digest: str


@dataclass(frozen=True)
class LearnedConstants:
    """What a scan's own tiles say: ``scale``, picture pixels a pixel of the network's."""

    scale: float = 1.0


@numba.njit(nogil=True, cache=True)
def _peaks(heat: FloatImage, least: float) -> Ints:  # pragma: no cover
    """Return (n, 2) cells y, x that are at least ``least`` and above all eight neighbours."""
    rows, columns = heat.shape
    found = []
    for y in range(rows):
        for x in range(columns):
            value = heat[y, x]
            if value < least:
                continue
            is_peak = True
            for v in range(max(y - 1, 0), min(y + 2, rows)):
                for u in range(max(x - 1, 0), min(x + 2, columns)):
                    other = heat[v, u]
                    if other > value or (other == value and (v, u) < (y, x)):
                        is_peak = False
            if is_peak:
                found.append((y, x))
    out = np.empty((len(found), 2), np.int64)
    for i in range(len(found)):
        out[i, 0], out[i, 1] = found[i]
    return out


@numba.njit(nogil=True, cache=True)
def _first_of(
    x: Floats, y: Floats, radius: Floats, share: float, least: float
) -> Bools:  # pragma: no cover
    """Return which finds, the best first, have no better one within a share of the radius."""
    keep = np.ones(len(x), np.bool_)
    for i in range(len(x)):
        for j in range(i):
            if keep[j]:
                reach = max(share * max(radius[i], radius[j]), least)
                if (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 < reach * reach:
                    keep[i] = False
                    break
    return keep


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


def _of_surface(
    maps: FloatStack, surface: str, least: float, least_mark: float
) -> dict[str, Floats]:
    """Return the openings of one surface, the likeliest first, in the network's pixels."""
    first = SURFACES.index(surface) * len(VALUES)
    cells = _peaks(maps[first], least)
    at = maps[first : first + len(VALUES), cells[:, 0], cells[:, 1]].astype(np.float64)
    said = dict(zip([v.name for v in VALUES], at, strict=True))
    centre = (_STRIDE - 1) / 2
    said["x"] = cells[:, 1] * _STRIDE + centre + said.pop("dx")
    said["y"] = cells[:, 0] * _STRIDE + centre - said.pop("dy")
    said["mark"] = maps[-1, cells[:, 0], cells[:, 1]].astype(np.float64)
    order = np.argsort(-said["heat"], kind="stable")
    said = {k: v[order] for k, v in said.items()}
    radius = np.exp(said["log_radius"].clip(-1, 5))
    keep = _first_of(said["x"], said["y"], radius, *_SAME)
    # What is more surely a scratch than a pit is none.
    keep &= said["mark"] - least_mark <= np.maximum(said["heat"] - least, 0)
    return {k: v[keep] for k, v in said.items()}


def _beside(known: dict[str, Floats], said: dict[str, Floats]) -> Bools:
    """Return which finds of either surface no find of a known surface explains."""
    free: Bools = np.ones(len(said["x"]), bool)
    if len(known["x"]) and len(free):
        apart = np.hypot(said["x"][:, None] - known["x"], said["y"][:, None] - known["y"])
        reach = np.maximum.outer(np.exp(said["log_radius"]), np.exp(known["log_radius"]))
        free = np.asarray(~(apart < np.maximum(_EXPLAINED * reach, 3.0)).any(axis=1))
    return free


def read_openings(
    maps: FloatStack, finder: Finder, *, has_lamps: bool
) -> tuple[dict[str, Floats], NDArray[np.str_]]:
    """Return what the maps say of each opening, in the network's pixels, and its surface.

    Parameters
    ----------
    maps : (map, y, x) of one tile.
    has_lamps : whether the lights can tell the surfaces apart.
    """
    least = finder.least
    if has_lamps:
        parts = [_of_surface(maps, s, least.lamps, least.mark) for s in SURFACES[:2]]
        known = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
        either = _of_surface(maps, "unknown", least.beside, least.mark)
        free = _beside(known, either)
        parts.append({k: v[free] for k, v in either.items()})
    else:
        parts = [_of_surface(maps, "unknown", least.alone, least.mark)]
    names = SURFACES[-len(parts) :]
    said = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    counts = [len(p["x"]) for p in parts]
    return said, np.repeat(np.array(names), counts)


def _shapes(
    said: dict[str, Floats], finder: Finder, scale: float, image_size: tuple[int, int]
) -> dict[str, Floats]:
    """Return the shape of each opening with its errors, in the picture's pixels."""
    radius = np.exp(said["log_radius"].clip(-1, 5)) * scale
    ellipticity = np.hypot(said["e_cos"], said["e_sin"]).clip(0, 0.95)
    sigma = {k: np.exp(said[f"s_{k}"].clip(-5, 3)) * v for k, v in finder.sigma.items()}
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


def _contrast(planes: Planes, shapes: dict[str, Floats]) -> Floats:
    """Return the mean shading of each opening's walls, or without lamps of its darkness."""
    place = (shapes["x_px"], shapes["y_px"], shapes["radius_px"])
    pictures = planes.pictures
    if planes.given[0] > 0:
        return np.asarray(_disc_means(np.hypot(pictures[1], pictures[2]), *place))
    light = pictures[6] if planes.given[3] > 0 else -pictures[7]
    return -np.log(np.maximum(1 + _disc_means(light, *place), 0.05))


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


def _marks(maps: FloatStack, least: float, scale: float) -> dict[str, Floats]:
    """Return one row a mark: middle, extent and direction, in the picture's pixels."""
    above = (maps[-1] > least).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    out = []
    for label in range(1, count):
        left, top, wide, high, area = stats[label]
        if area < _LEAST_MARK_CELLS:
            continue
        part = labels[top : top + high, left : left + wide] == label
        points = np.argwhere(part)[:, ::-1].astype(np.float32)
        (u, v), (one, other), _ = cv2.minAreaRect(points)
        along = np.linalg.eigh(np.cov(points.T))[1][:, 1]
        angle = np.rad2deg(np.arctan2(-along[1], along[0])) % 180
        length = max(one, other) + 1
        out.append((u + left, v + top, length, area / length, area, angle))
    table = np.array(out, np.float64).reshape(-1, 6)
    cell = _STRIDE * scale
    height, width = (n * cell for n in maps.shape[1:])
    x, y = (
        ((table[:, k] + 0.5) * cell - 0.5).clip(-0.5, n - 0.5) for k, n in ((0, width), (1, height))
    )
    lengths, widths = table[:, 2] * cell, table[:, 3] * cell
    return {
        "x_px": x,
        "y_px": y,
        "radius_px": np.sqrt(table[:, 4] / np.pi) * cell,
        "ellipticity": 1 - np.minimum(widths / lengths, 1),
        "angle_deg": table[:, 5],
        "length_px": lengths,
        "width_px": widths,
    }


def find_openings(
    raw: RawStack,
    normalisation: Normalisation,
    lighting: Lighting,
    finder: Finder,
    constants: LearnedConstants,
    settings: FindSettings,
) -> dict[str, NDArray[Any]]:
    """Return the openings and marks of one tile, one row each.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.

    Returns
    -------
    Columns as ``detect`` gives, with errors, ``depth_px`` and its error, ``length_px, width_px``
    and ``class``: misc for marks, None for openings. ``entry``, ``exit`` are the log odds of an
    opening of that surface.

    Raises
    ------
    BadInput : the stack does not fit the normalisation, or is smaller than the network's field.
    """
    planes = harmonic_planes(raw, normalisation, lighting)
    maps = finder.maps(compressed(planes, constants.scale).stacked)
    if len(maps) != len(MAPS):
        raise ValueError(f"a finder gives {len(MAPS)} maps, not {len(maps)}")
    has_lamps = bool(planes.given[0] > 0)
    said, surface = read_openings(maps, finder, has_lamps=has_lamps)
    image_size = (raw.shape[1], raw.shape[2])
    shapes = _shapes(said, finder, constants.scale, image_size)
    limit = None
    if normalisation.limit:
        limit = (raw.max(axis=0) >= normalisation.limit).astype(np.float32)
    heat = said["heat"]
    marks = _marks(maps, finder.least.mark, constants.scale)
    n, m = len(heat), len(marks["x_px"])
    none = np.full(m, np.nan)
    columns: dict[str, NDArray[Any]] = {
        **{k: np.concatenate([v, marks.get(k, none)]) for k, v in shapes.items()},
        "length_px": np.concatenate([np.full(n, np.nan), marks["length_px"]]),
        "width_px": np.concatenate([np.full(n, np.nan), marks["width_px"]]),
        "surface": np.concatenate([surface, np.full(m, "unknown")]),
        "contrast": np.concatenate([_contrast(planes, shapes), none]),
        "entry": np.concatenate([np.where(surface == "top", heat, np.nan), none]),
        "exit": np.concatenate([np.where(surface == "bottom", heat, np.nan), none]),
        "hip": np.concatenate([np.where(has_lamps, 0.0, heat), none]),
        "class": np.array([None] * n + ["misc"] * m, object),
        "mate": np.full(n + m, -1),
    }
    flags = _flags(shapes, surface, limit, image_size, constants.scale)
    share = _covered(shapes, image_size)
    places = (columns["x_px"], columns["y_px"])
    columns["covered"] = covered_near(share, *places, image_size, reach_px(settings))
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

    Pits larger than it was taught are looked at on halved pictures: where a fifth of what is found
    on these is so large, or where the settings ask for so large or for smaller ones.

    Parameters
    ----------
    stacks : (channel, y, x) raw pictures of some tiles.
    """
    low, high = _WORKING_PX
    if settings.smallest_radius_px < low:
        return LearnedConstants(settings.smallest_radius_px / low)
    if settings.smallest_radius_px > high / 2:
        return LearnedConstants(settings.largest_radius_px / high)
    large, found = 0, 0
    for raw in stacks:
        if min(raw.shape[1:]) < 4 * high:
            continue
        planes = compressed(harmonic_planes(raw, normalisation, lighting), 2.0)
        maps = finder.maps(planes.stacked)
        said, _ = read_openings(maps, finder, has_lamps=bool(planes.given[0] > 0))
        large += int((np.exp(said["log_radius"]) > high / 2).sum())
        found += len(said["x"])
    return LearnedConstants(2.0 if large > max(_LARGE * found, 3) else 1.0)
