"""Pits as ellipses over the picture of a tile: cut-outs, close-ups and contact sheets."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.draw.placement import grid_columns
from etchscope.draw.style import rgb
from etchscope.draw.tables import select_pairs, split_by_surface
from etchscope.foil import Scan
from etchscope.foil.types import Floats

__all__ = [
    "Rgb",
    "cut_window",
    "draw_pits",
    "draw_tile_sheet",
    "ellipse_axes_px",
    "find_grey_limits",
    "stretch",
]

Rgb = NDArray[np.uint8]
"""(y, x, 3) uint8 red, green, blue, y down."""

_SHIFT = 4
"""Fractional bits of OpenCV's drawing coordinates: 1/16 px."""
_BLACK = 70
"""Grey level at which black is drawn."""
_UNMEASURED_PX = 4.0
"""Radius at which a pit without a measured radius is drawn."""


def find_grey_limits(picture: NDArray[Any]) -> tuple[float, float]:
    """Return the 0.5 and 99.5 percentiles of the finite values; (0, 0) if there are none."""
    values = np.asarray(picture, np.float32)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [0.5, 99.5]).tolist() if finite.size else (0.0, 0.0)
    return low, high


def stretch(picture: NDArray[Any], limits: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Return a picture as 8-bit grey, from black to white between two of its values.

    A flat picture becomes mid-grey, and so do values that are not finite.

    Parameters
    ----------
    picture : (y, x), any real dtype.
    limits : the values of black and white; by default see ``find_grey_limits``.
    """
    values = np.asarray(picture, np.float32)
    low, high = find_grey_limits(values) if limits is None else limits
    if high <= low:
        return np.full(values.shape, 128, np.uint8)
    scaled = np.clip((values - low) / (high - low), 0, 1)
    return np.where(np.isfinite(scaled), np.rint(255 * scaled), 128).astype(np.uint8)


def ellipse_axes_px(pits: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the full axes a ≥ b of each opening in px, (n,) and (n,).

    They follow from radius_px = √(a·b)/2 and ellipticity = 1 − b/a. A radius that was not measured
    is taken as 4 px, an ellipticity as 0.
    """
    radius = pits["radius_px"].fillna(_UNMEASURED_PX).to_numpy(float)
    ratio = 1 - pits["ellipticity"].fillna(0).clip(0, 0.98).to_numpy(float)
    return 2 * radius / np.sqrt(ratio), 2 * radius * np.sqrt(ratio)


def cut_window(
    picture: NDArray[Any], x_px: float, y_px: float, size: tuple[int, int]
) -> tuple[NDArray[Any], int, int]:
    """Return the part of a picture around a place, and the (x, y) pixel of its first corner.

    The window is moved to lie inside the picture, and cut if the picture is smaller.

    Parameters
    ----------
    picture : (y, x).
    x_px, y_px : the place.
    size : (height, width) of the window in px.
    """
    height, width = picture.shape
    x0 = int(np.clip(round(x_px) - size[1] // 2, 0, max(0, width - size[1])))
    y0 = int(np.clip(round(y_px) - size[0] // 2, 0, max(0, height - size[0])))
    return picture[y0 : y0 + size[0], x0 : x0 + size[1]], x0, y0


def draw_pits(
    grey: NDArray[np.uint8],
    pits: pd.DataFrame,
    *,
    scale: int,
    origin_px: tuple[int, int] = (0, 0),
    missed_xy_px: Floats | None = None,
) -> Rgb:
    """Return a picture enlarged, with each pit's ellipse in its surface's colour.

    Pairs are linked from entry to exit; ``missed_xy_px`` are marked by crosses.

    Parameters
    ----------
    grey : (y, x) uint8.
    pits : of this tile, in tile pixels.
    scale : enlargement, ≥ 1.
    origin_px : (x, y) tile pixel of the first pixel of ``grey``.
    missed_xy_px : (k, 2) tile pixels.
    """
    large = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    # Black is lifted to dark grey, so that blue shows on the darkest pit.
    large = np.rint(_BLACK + large * (1 - _BLACK / 255))
    out: Rgb = np.repeat(large.astype(np.uint8)[:, :, None], 3, axis=2)
    offset = np.array(origin_px, float)

    def at(xy: Floats) -> tuple[int, int]:
        x, y = np.rint(((xy - offset + 0.5) * scale - 0.5) * 2**_SHIFT).astype(int).tolist()
        return x, y

    thick = min(scale, 2)
    for surface, rows in split_by_surface(pits).items():
        centres = rows[["x_px", "y_px"]].to_numpy(float)
        full = np.column_stack(ellipse_axes_px(rows))
        # OpenCV turns clockwise, y down; angle_deg is counter-clockwise, y up.
        angles = -rows["angle_deg"].fillna(0).to_numpy(float)
        for xy, axes, angle in zip(centres, full, angles, strict=True):
            half = np.rint(axes / 2 * scale * 2**_SHIFT).astype(int).tolist()
            cv2.ellipse(
                out, at(xy), half, float(angle), 0, 360, rgb(surface), thick, cv2.LINE_AA, _SHIFT
            )
    for xy, d in _links(pits):
        cv2.line(out, at(xy), at(xy + d), rgb("pair"), thick, cv2.LINE_AA, _SHIFT)
    for xy in np.zeros((0, 2)) if missed_xy_px is None else missed_xy_px:
        place = tuple(v >> _SHIFT for v in at(xy))
        for colour, width in (((0, 0, 0), thick + 2), (rgb("missed"), thick)):
            cv2.drawMarker(out, place, colour, cv2.MARKER_TILTED_CROSS, 7 * scale, width)
    return out


def _links(pits: pd.DataFrame) -> list[tuple[Floats, Floats]]:
    pairs = select_pairs(pits)
    starts = pairs[["x_px", "y_px"]].to_numpy(float)
    steps = pairs[["pair_dx_px", "pair_dy_px"]].to_numpy(float)
    return [(s, d) for s, d in zip(starts, steps, strict=True) if np.isfinite(d).all()]


def draw_tile_sheet(
    scan: Scan,
    pits: pd.DataFrame,
    thumbnails: Callable[[int], NDArray[Any]],
    *,
    scale: int = 3,
    columns: int | None = None,
) -> Rgb:
    """Return the tiles of a scan as cells in a grid, enlarged, with their pits as ellipses.

    Cells are in the order of the tile numbers, row by row. Each is numbered, and an excluded one is
    blank. All have the same grey scale, so that the noise of an empty cell is not enlarged.

    Parameters
    ----------
    pits : the pit table of the scan.
    thumbnails : tile number → its picture, (y, x).
    scale : enlargement of the cells.
    columns : of the grid; by default those of the montage, or of a sheet of 4 : 3.
    """
    across = grid_columns(scan) if columns is None else columns
    height, width = (scale * side for side in scan.image_size)
    gap = 2 * scale
    down = -(-len(scan.tiles) // across)
    sheet = np.full((down * (height + gap) + gap, across * (width + gap) + gap, 3), 255, np.uint8)
    of_tile = dict(list(pits.groupby("tile")))
    pictures = {t.number: np.asarray(thumbnails(t.number)) for t in scan.included}
    every = np.concatenate([np.zeros(0), *(p.ravel() for p in pictures.values())])
    limits = find_grey_limits(every)
    for cell, tile in enumerate(sorted(scan.tiles, key=lambda t: t.number)):
        row, column = divmod(cell, across)
        y, x = gap + row * (height + gap), gap + column * (width + gap)
        if tile.excluded:
            picture = np.full((height, width, 3), 225, np.uint8)
        else:
            own = of_tile.get(tile.number, pits.iloc[:0])
            picture = draw_pits(stretch(pictures[tile.number], limits), own, scale=scale)
        _number(picture, tile.number, scale)
        sheet[y : y + height, x : x + width] = picture
    return sheet


def _number(picture: Rgb, number: int, scale: int) -> None:
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.15 * scale
    place = (2 * scale, 6 * scale)
    cv2.putText(picture, str(number), place, font, size, (255, 255, 255), 3, cv2.LINE_AA)
    cv2.putText(picture, str(number), place, font, size, (20, 20, 20), 1, cv2.LINE_AA)
