"""Places of the tiles in a drawing of the whole scan, and the area that they cover."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from etchscope.foil import Scan
from etchscope.foil.types import Bools, Floats
from etchscope.geometry import tile_to_foil

__all__ = ["Canvas", "Placement", "grid_columns", "place_tiles"]

_GAP = 0.04
"""Gap between the cells of a grid, in tile widths."""


@dataclass(frozen=True)
class Placement:
    """The tiles of a scan laid out in one plane.

    Parameters
    ----------
    unit : mm (foil frame, y up) where positions and scale are known; otherwise px of a grid of
        tiles, row by row, y down.
    affines : tile number → (2, 3) matrix from tile pixels to the plane.
    image_size : (height, width) of a tile, px.
    mm2_per_area : square millimetres per unit of area of the plane; None where unknown.
    """

    unit: Literal["mm", "px"]
    affines: dict[int, Floats]
    image_size: tuple[int, int]
    mm2_per_area: float | None

    @property
    def is_y_up(self) -> bool:
        """Whether the plane's y grows up."""
        return self.unit == "mm"

    def points(self, tile: ArrayLike, x_px: ArrayLike, y_px: ArrayLike) -> tuple[Floats, Floats]:
        """Return places (x, y) in the plane, (n,) each, of pixels of tiles; NaN if unknown."""
        numbers = np.asarray(tile)
        unplaced = np.full((2, 3), np.nan)
        kinds, index = np.unique(numbers, return_inverse=True)
        table = [self.affines.get(int(n), unplaced) for n in kinds]
        m = np.array(table).reshape(-1, 2, 3)[index.ravel()]
        x, y = np.asarray(x_px, float), np.asarray(y_px, float)
        return (
            m[:, 0, 0] * x + m[:, 0, 1] * y + m[:, 0, 2],
            m[:, 1, 0] * x + m[:, 1, 1] * y + m[:, 1, 2],
        )

    def outline(self, number: int) -> Floats:
        """Return the (4, 2) corners of a tile in the plane: the outer edges of its pixels."""
        height, width = self.image_size
        x = np.array([0, width, width, 0]) - 0.5
        y = np.array([0, 0, height, height]) - 0.5
        return np.column_stack(self.points(np.full(4, number), x, y))

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """The box around all tiles: x_min, x_max, y_min, y_max of the plane."""
        corners = np.concatenate([self.outline(n) for n in self.affines])
        (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return x0, x1, y0, y1


def grid_columns(scan: Scan) -> int:
    """Return the number of columns of a grid of tiles: that of the montage, or of a 4 : 3 sheet."""
    stated = scan.metadata.get("columns")
    if isinstance(stated, int) and stated > 0:
        return min(stated, len(scan.tiles))
    height, width = scan.image_size
    return min(len(scan.tiles), math.ceil(math.sqrt(len(scan.tiles) * 4 / 3 * height / width)))


def place_tiles(scan: Scan) -> Placement:
    """Return the placement of all tiles of a scan, also of excluded ones."""
    numbers = sorted(t.number for t in scan.tiles)
    # Three corners of every tile give its affine: origin, one pixel right, one pixel down.
    tile = np.repeat(np.array(numbers, np.int64), 3)
    x_px, y_px = np.tile([0.0, 1.0, 0.0], len(numbers)), np.tile([0.0, 0.0, 1.0], len(numbers))
    x, y = (v.reshape(-1, 3) for v in tile_to_foil(tile, x_px, y_px, scan))
    size_mm = None if scan.pixel_size_um is None else scan.pixel_size_um / 1000
    if np.isfinite(x).all():
        affines = {
            n: np.array([[a[1] - a[0], a[2] - a[0], a[0]], [b[1] - b[0], b[2] - b[0], b[0]]])
            for n, a, b in zip(numbers, x, y, strict=True)
        }
        return Placement("mm", affines, scan.image_size, 1.0)
    height, width = scan.image_size
    columns, gap = grid_columns(scan), max(1, round(_GAP * width))
    cells = {n: divmod(i, columns) for i, n in enumerate(numbers)}
    affines = {
        n: np.array([[1.0, 0, column * (width + gap)], [0, 1.0, row * (height + gap)]])
        for n, (row, column) in cells.items()
    }
    return Placement("px", affines, scan.image_size, None if size_mm is None else size_mm**2)


@dataclass(frozen=True)
class Canvas:
    """A raster over a placement, its first row at the top of the drawing.

    Parameters
    ----------
    placement : of the tiles in the plane.
    step : side of a raster pixel in units of the plane.
    shape : (rows, columns).
    """

    placement: Placement
    step: float
    shape: tuple[int, int]

    @classmethod
    def over(cls, placement: Placement, longest_px: int) -> "Canvas":
        """Return the raster whose longer side has at most ``longest_px``, and at most full size."""
        x0, x1, y0, y1 = placement.bounds
        full = math.sqrt(abs(np.linalg.det(next(iter(placement.affines.values()))[:, :2])))
        step = max(full, max(x1 - x0, y1 - y0) / longest_px)
        return cls(placement, step, (_pixels(y1 - y0, step), _pixels(x1 - x0, step)))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of the raster in the plane, as Matplotlib's imshow takes it."""
        x0, _, y0, y1 = self.placement.bounds
        rows, columns = self.shape
        right = x0 + columns * self.step
        if self.placement.is_y_up:
            return x0, right, y1 - rows * self.step, y1
        return x0, right, y0 + rows * self.step, y0

    def from_tile(self, number: int) -> Floats:
        """Return the (2, 3) matrix from tile pixels to raster (column, row)."""
        x0, _, y0, y1 = self.placement.bounds
        m = self.placement.affines[number]
        sign, top = (-1.0, y1) if self.placement.is_y_up else (1.0, y0)
        column = (m[0] - [0, 0, x0]) / self.step - [0, 0, 0.5]
        row = sign * (m[1] - [0, 0, top]) / self.step - [0, 0, 0.5]
        return np.stack([column, row])

    def window(self, number: int) -> tuple[slice, slice]:
        """Return the (rows, columns) of the raster that a tile touches."""
        height, width = self.placement.image_size
        corners = np.array([[x, y, 1.0] for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
        at = corners @ self.from_tile(number).T
        low = np.maximum(np.floor(at.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(at.max(axis=0)).astype(int) + 1, self.shape[::-1])
        return slice(low[1], high[1]), slice(low[0], high[0])

    def inside(self, number: int) -> tuple[tuple[slice, slice], Bools]:
        """Return a tile's window and which of its raster pixels have their centre in the tile.

        Parameters
        ----------
        number : of the tile.

        Returns
        -------
        The window as slices of rows and columns of the raster, and (row, column) bool of its size.
        """
        rows, columns = self.window(number)
        m = self.from_tile(number)
        back = np.linalg.inv(m[:, :2])
        row, column = np.mgrid[rows, columns]
        dx, dy = column - m[0, 2], row - m[1, 2]
        x = back[0, 0] * dx + back[0, 1] * dy
        y = back[1, 0] * dx + back[1, 1] * dy
        height, width = self.placement.image_size
        is_in = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
        return (rows, columns), is_in

    def coverage(self, numbers: Iterable[int]) -> Bools:
        """Return which raster pixels any of the tiles covers, (rows, columns) bool."""
        covered: Bools = np.zeros(self.shape, bool)
        for number in numbers:
            window, is_in = self.inside(number)
            covered[window] |= is_in
        return covered

    def centres(self, where: Bools) -> tuple[Floats, Floats]:
        """Return places (x, y) in the plane, (n,) each, of the raster pixels that are set."""
        row, column = np.nonzero(where)
        left, _, _, top = self.extent
        sign = -1.0 if self.placement.is_y_up else 1.0
        across, down = column.astype(np.float64) + 0.5, row.astype(np.float64) + 0.5
        return left + across * self.step, top + sign * down * self.step


def _pixels(length: float, step: float) -> int:
    # The tolerance keeps an exact multiple from gaining a pixel by rounding.
    return max(1, math.ceil(length / step - 1e-6))
