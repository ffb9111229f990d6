"""The scene of a tile: height maps of its pits and marks, as the optics need them."""

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.foil.types import FloatImage, Floats, Ints
from etchscope.physics.cone import compute_opening, etched_length_um
from etchscope.simulation.etching import height_map
from etchscope.simulation.optics import OVERSAMPLING, Optics, Scene

__all__ = ["MARK_CODES", "draw_marked", "draw_scene"]

_PROFILES = {"bump": 0, "groove": 1, "ring": 2, "hole": 3}
MARK_CODES = {"dust": 1, "scratch": 2, "fibre": 3, "bubble": 4, "hole": 5, "drop": 6}
"""Code of each kind of mark in the map of ``draw_marked``; 0 is no mark."""
_ORDER = ["drop", "dust", "scratch", "fibre", "bubble", "hole"]
_RIM_UM = 25.0  # width of the rim of a drilled hole
_HOLE_UM = 60.0  # depth to which the rim falls off


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _stroke(
    strokes: Floats,
    profiles: Ints,
    fine_um: float,
    surface: FloatImage,
    opacity: FloatImage,
    hole: FloatImage,
) -> None:  # pragma: no cover
    """Draw (n, 7) strokes x0, y0, x1, y1, radius, height, opacity into a surface's maps."""
    rows, columns = surface.shape
    for i in range(len(strokes)):
        x0, y0, x1, y1, radius, height, dark = strokes[i]
        profile = profiles[i]
        around = radius + (_RIM_UM / fine_um if profile == 3 else 0.0) + 1
        r0 = max(int(np.floor(min(y0, y1) - around)), 0)
        r1 = min(int(np.ceil(max(y0, y1) + around)) + 1, rows)
        c0 = max(int(np.floor(min(x0, x1) - around)), 0)
        c1 = min(int(np.ceil(max(x0, x1) + around)) + 1, columns)
        dx, dy = x1 - x0, y1 - y0
        length2 = dx * dx + dy * dy
        for r in range(r0, r1):
            for c in range(c0, c1):
                t = 0.0
                if length2 > 0:
                    t = min(max(((c - x0) * dx + (r - y0) * dy) / length2, 0.0), 1.0)
                apart = np.hypot(c - x0 - t * dx, r - y0 - t * dy)
                u = apart / radius
                if profile == 3:
                    inside = min(max(radius - apart + 0.5, 0.0), 1.0)
                    hole[r, c] = max(hole[r, c], inside)
                    fall = (apart - radius) * fine_um / _RIM_UM
                    if fall < 1:
                        surface[r, c] = min(surface[r, c], -_HOLE_UM * (1 - max(fall, 0.0)))
                elif u < 1:
                    if profile == 0:
                        surface[r, c] = max(surface[r, c], height * (1 - u * u))
                        opacity[r, c] = max(opacity[r, c], dark * min(4 * (1 - u), 1.0))
                    elif profile == 1:
                        surface[r, c] = min(surface[r, c], height * (1 - u))
                    else:
                        opacity[r, c] = max(opacity[r, c], dark * u**4)


def draw_scene(
    pits: pd.DataFrame,
    marks: pd.DataFrame,
    optics: Optics,
    *,
    thickness_um: float,
    refractive_index: float,
) -> Scene:
    """Return the foil of one tile as the camera sees it.

    Parameters
    ----------
    pits : ``surface`` (top or bottom) and the columns of ``height_map``, in pixels of the tile.
    marks : strokes (``MARK_COLUMNS``) with their ends ``x0_px, y0_px, x1_px, y1_px`` in pixels of
        the tile: rings and holes, and of other marks those on the near surface.
    optics : the microscope.
    thickness_um : of the foil after etching.
    refractive_index : of the plastic.
    """
    maps, spots = [], []
    for surface in ("top", "bottom"):
        own = pits[pits["surface"] == surface]
        spots.append(_spots(own, optics))
        fine = {name: _to_fine(own[name]) for name in ("x_px", "y_px")}
        maps.append(height_map(own.assign(**fine), optics.fine_size, optics.fine_um))
    opacity = hole = None
    marks = _within(marks, optics)
    if len(marks):
        opacity, hole = (np.zeros(optics.fine_size, np.float32) for _ in range(2))
        strokes = np.column_stack(
            [
                *(_to_fine(marks[name]) for name in ("x0_px", "y0_px", "x1_px", "y1_px")),
                marks["radius_mm"] * 1000 / optics.fine_um,
                marks["height_um"],
                marks["opacity"],
            ]
        ).astype(np.float64)
        profiles = np.asarray(marks["profile"].map(_PROFILES), np.int64)
        _stroke(strokes, profiles, optics.fine_um, maps[0], opacity, hole)
    return Scene(maps[0], maps[1], thickness_um, refractive_index, opacity, hole, *spots)


def _within(marks: pd.DataFrame, optics: Optics) -> pd.DataFrame:
    """Return the strokes that reach into a tile."""
    if not len(marks):
        return marks
    reach = (marks["radius_mm"].to_numpy(float) * 1000 + _RIM_UM) / optics.pixel_size_um + 1
    use = np.ones(len(marks), bool)
    for axis, size in zip("yx", optics.image_size, strict=True):
        ends = marks[[f"{axis}0_px", f"{axis}1_px"]].to_numpy(float)
        use &= (ends.min(axis=1) < size + reach) & (ends.max(axis=1) > -1 - reach)
    return marks[use]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _splat(
    x: Floats, y: Floats, sigma: Floats, light: Floats, out: FloatImage
) -> None:  # pragma: no cover
    """Draw round Gaussian spots; where two overlap the brighter remains."""
    rows, columns = out.shape
    for i in range(len(x)):
        reach = 3 * sigma[i] + 1
        r0, r1 = max(int(y[i] - reach), 0), min(int(y[i] + reach) + 2, rows)
        c0, c1 = max(int(x[i] - reach), 0), min(int(x[i] + reach) + 2, columns)
        for r in range(r0, r1):
            for c in range(c0, c1):
                u2 = ((r - y[i]) ** 2 + (c - x[i]) ** 2) / sigma[i] ** 2
                out[r, c] = max(out[r, c], light[i] * np.exp(-0.5 * u2))


def _chances(pits: pd.DataFrame) -> Floats:
    """Return a number in [0, 1) for each pit, the same in every tile and from either side.

    The last digits of V and of the removed bulk serve as random numbers, since both differ from pit
    to pit; the place of a pit would not do, as it differs from tile to tile.
    """
    digits = pits["v"].to_numpy(float) * 99991.0 + pits["removed_um"].to_numpy(float) * 7919.0
    return np.asarray(np.modf(digits)[0])


def _spots(pits: pd.DataFrame, optics: Optics) -> FloatImage | None:
    """Return the light that pits gather at their deepest points, (y, x); None if none do."""
    if optics.centre_share == 0:
        return None
    out = np.zeros(optics.image_size, np.float32)
    chance = _chances(pits)
    own = pits[chance < optics.centre_share]
    chance = chance[chance < optics.centre_share]
    names = ["x_px", "y_px", "v", "dip_rad", "azimuth_rad", "removed_um", "length_um"]
    x, y, v, dip, azimuth, removed, length = own[names].to_numpy(float).T
    shape = compute_opening(v, dip, removed, length)
    along = etched_length_um(v, removed, length) * np.cos(dip) / optics.pixel_size_um
    x, y = x + along * np.cos(azimuth), y - along * np.sin(azimuth)
    sigma = np.minimum(optics.centre_um, 0.2 * shape.minor_um) / optics.pixel_size_um
    light = 1 - 0.6 * chance / optics.centre_share
    use = shape.exists & (sigma > 0.2)
    _splat(x[use], y[use], sigma[use], light[use], out)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cover(
    strokes: Floats, codes: NDArray[np.uint8], out: NDArray[np.uint8]
) -> None:  # pragma: no cover
    """Write the codes of (n, 5) strokes x0, y0, x1, y1, radius, one after the other."""
    rows, columns = out.shape
    for i in range(len(strokes)):
        x0, y0, x1, y1, radius = strokes[i]
        r0 = max(int(np.ceil(min(y0, y1) - radius)), 0)
        r1 = min(int(np.floor(max(y0, y1) + radius)) + 1, rows)
        c0 = max(int(np.ceil(min(x0, x1) - radius)), 0)
        c1 = min(int(np.floor(max(x0, x1) + radius)) + 1, columns)
        dx, dy = x1 - x0, y1 - y0
        length2 = dx * dx + dy * dy
        for r in range(r0, r1):
            for c in range(c0, c1):
                t = 0.0
                if length2 > 0:
                    t = min(max(((c - x0) * dx + (r - y0) * dy) / length2, 0.0), 1.0)
                if (c - x0 - t * dx) ** 2 + (r - y0 - t * dy) ** 2 <= radius * radius:
                    out[r, c] = codes[i]


def draw_marked(marks: pd.DataFrame, optics: Optics) -> NDArray[np.uint8]:
    """Return a map of the marks of a tile, (y, x) uint8 of ``MARK_CODES``.

    Parameters
    ----------
    marks : strokes with their ends in pixels of the tile, as for ``draw_scene``.
    """
    out = np.zeros(optics.image_size, np.uint8)
    marks = _within(marks, optics)
    if not len(marks):
        return out
    order = np.argsort(marks["kind"].map(_ORDER.index).to_numpy(), kind="stable")
    radius = np.maximum(marks["radius_mm"].to_numpy(float) * 1000 / optics.pixel_size_um, 0.71)
    ends = marks[["x0_px", "y0_px", "x1_px", "y1_px"]].to_numpy(float)
    codes = np.asarray(marks["kind"].map(MARK_CODES), np.uint8)
    _cover(np.column_stack([ends, radius])[order], codes[order], out)
    return out


def _to_fine(pixels: "pd.Series[float]") -> "pd.Series[float]":
    """Return positions on the grid of the height maps; the outer edges of both grids coincide."""
    return (pixels + 0.5) * OVERSAMPLING - 0.5
