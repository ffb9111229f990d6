"""The area of a foil that was seen, spread over a grid: overlaps once, holes and masks left out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from etchscope.background.grid import MapGrid, bin_points
from etchscope.foil.types import Bools, Floats

__all__ = ["TileOutlines", "seen_area", "tile_bounds"]

_BLOCKS_PER_CELL = 2
_LARGEST_BLOCK = 8


@dataclass(frozen=True)
class TileOutlines:
    """Tiles in one plane, all of one size and turned alike.

    Parameters
    ----------
    affines : tile number → (2, 3) matrix from tile pixels to the plane.
    image_size : (height, width) of a tile in pixels.
    """

    affines: Mapping[int, Floats]
    image_size: tuple[int, int]

    @property
    def pixel(self) -> float:
        """Side of a pixel in the unit of the plane."""
        first = next(iter(self.affines.values()))
        return float(np.sqrt(abs(np.linalg.det(first[:, :2]))))

    def shifts(self, number: int) -> Iterator[tuple[int, float, float]]:
        """Yield the tiles that overlap a tile, with their pixel (0, 0) in its pixels, x and y."""
        height, width = self.image_size
        own = self.affines[number]
        names = np.array(list(self.affines))
        origins = np.array([a[:, 2] for a in self.affines.values()])
        shift = (origins - own[:, 2]) @ np.linalg.inv(own[:, :2]).T
        near = (abs(shift[:, 0]) < width) & (abs(shift[:, 1]) < height) & (names != number)
        for k in np.flatnonzero(near).tolist():
            yield int(names[k]), float(shift[k, 0]), float(shift[k, 1])


def tile_bounds(tiles: TileOutlines) -> tuple[float, float, float, float]:
    """Return the box around tiles: least x, greatest x, least y and greatest y."""
    height, width = tiles.image_size
    corners = np.array([[x, y, 1] for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
    at = np.concatenate([corners @ affine.T for affine in tiles.affines.values()])
    (x0, y0), (x1, y1) = at.min(axis=0).tolist(), at.max(axis=0).tolist()
    return x0, x1, y0, y1


def seen_area(tiles: TileOutlines, ground: Callable[[int], Bools | None], grid: MapGrid) -> Floats:
    """Return the seen area in each cell of a grid, see ``bin_points``, in the grid's unit squared.

    Where tiles overlap, each place belongs to the tile from whose edge it is farthest, among those
    that see it, so that it counts once. The area is summed over blocks of pixels of half a cell.

    Parameters
    ----------
    tiles : those that were searched.
    ground : tile number → (y, x) bool, where it was searched; None where everywhere.
    grid : in the plane of the tiles.

    Returns
    -------
    (rows, columns) float64.
    """
    height, width = tiles.image_size
    block = grid.step / tiles.pixel / _BLOCKS_PER_CELL
    block = float(np.clip(np.floor(block), 1, _LARGEST_BLOCK))
    shape = (max(round(height / block), 1), max(round(width / block), 1))
    shares: dict[int, Floats | None] = {}
    for number in tiles.affines:
        where = ground(number)
        shares[number] = None if where is None else _shrunk(where, shape)
    side_y, side_x = height / shape[0], width / shape[1]
    y, x = np.meshgrid(
        (np.arange(shape[0]) + 0.5) * side_y - 0.5,
        (np.arange(shape[1]) + 0.5) * side_x - 0.5,
        indexing="ij",
    )
    out = np.zeros(grid.shape)
    for number, affine in tiles.affines.items():
        share = np.ones(shape) if (own := shares[number]) is None else own.copy()
        for other, dx, dy in tiles.shifts(number):
            share *= _owned(x, y, dx, dy, tiles.image_size, max(side_x, side_y), shares[other])
        used = share > 0
        at = np.column_stack([x[used], y[used], np.ones(int(used.sum()))]) @ affine.T
        area = share[used] * side_x * side_y * tiles.pixel**2
        out += bin_points(at[:, 0], at[:, 1], grid, area)
    return out


def _shrunk(where: Bools, shape: tuple[int, int]) -> Floats:
    small = cv2.resize(where.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64)


def _owned(
    x: Floats,
    y: Floats,
    dx: float,
    dy: float,
    image_size: tuple[int, int],
    side: float,
    other: Floats | None,
) -> Floats:
    """Return the share of each block of a tile that is its own and not another tile's, 0 to 1."""
    height, width = image_size
    own = np.minimum.reduce([x + 0.5, width - 0.5 - x, y + 0.5, height - 0.5 - y])
    u, v = x - dx, y - dy
    others = np.minimum.reduce([u + 0.5, width - 0.5 - u, v + 0.5, height - 0.5 - v])
    owned = np.clip(0.5 + (own - others) / (2 * side), 0, 1)
    if other is None:
        return np.where(others > 0, owned, 1.0)
    row = np.clip((v + 0.5) / height * other.shape[0], 0, other.shape[0] - 1).astype(np.int64)
    column = np.clip((u + 0.5) / width * other.shape[1], 0, other.shape[1] - 1).astype(np.int64)
    return np.where(others > 0, 1 - other[row, column] * (1 - owned), 1.0)
