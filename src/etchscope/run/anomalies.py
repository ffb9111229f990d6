"""The anomalies of a run: its tiles are fetched, scored, and placed on the foil."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.background.anomalies import EmptyGround, list_places
from etchscope.background.grid import MapGrid, grid_over
from etchscope.background.seen import TileOutlines, tile_bounds
from etchscope.foil import BadInput, Scan
from etchscope.foil.types import FloatImage, Floats
from etchscope.geometry import tile_to_foil
from etchscope.run.density_maps import grid_columns
from etchscope.run.residuals import RunTiles, open_tiles
from etchscope.run.seen_ground import outline_tiles
from etchscope.store import Store

__all__ = ["AnomalySearch", "search_anomalies"]

_MOST_CELLS = 4_000_000
_GAP_PX = 2


@dataclass(frozen=True)
class AnomalySearch:
    """What no found pit explains, everywhere on a scan.

    Attributes
    ----------
    scan, run : names.
    places : one row for each place, the best first: ``rank``, from 1, ``tile``, ``x_px, y_px``,
        ``x_mm, y_mm`` (NaN where unknown), and the columns of ``background.anomalies.list_places``.
    grid, score : the cells of the map, and the greatest score in each, (rows, columns) float32; NaN
        where nothing is known.
    empty : how often empty ground has a peak.
    tiles : number of tiles.
    not_modelled : why found pits were left out instead of taken out; empty where they were.
    """

    scan: str
    run: str
    places: pd.DataFrame
    grid: MapGrid
    score: Floats
    empty: EmptyGround
    tiles: int
    not_modelled: str


def search_anomalies(
    store: Store,
    run: str,
    *,
    most_expected: float = 1.0,
    progress: Callable[[int], None] | None = None,
) -> AnomalySearch:
    """Return the places of a run's tiles that neither the background nor a found pit explains.

    Parameters
    ----------
    most_expected : accidental places per tile among those that are listed.
    progress : called with 1 for each tile.

    Raises
    ------
    UnknownRun : the store has no such run.
    BadInput : ``most_expected`` is not above 0, or see ``open_tiles``.
    """
    if not 0 < most_expected < np.inf:
        raise BadInput("expected", "a number above 0", f"{most_expected!r}")
    tiles = open_tiles(store, run)
    empty = tiles.empty_ground()
    height, width = tiles.scan.image_size
    outlines, unit = _outlines(tiles)
    grid = _grid(outlines, unit, tiles.radius_px)
    score, parts = np.full(grid.shape, np.nan), []
    least = -np.log10(most_expected)
    stacks = store.scans.read_tiles(tiles.scan.name, tiles.numbers)
    for tile, raw in zip(tiles.numbers, stacks, strict=True):
        one = tiles.measure(tile, raw)
        own = empty.score(one.chi2, one.residual.pits, height * width)
        parts.append(list_places(own, one.residual.pits, least, tiles.radius_px).assign(tile=tile))
        _add_to_map(score, grid, own, outlines.affines[tile])
        if progress is not None:
            progress(1)
    places = _placed(pd.concat(parts, ignore_index=True), tiles.scan, tiles.radius_px)
    return AnomalySearch(
        tiles.scan.name, run, places, grid, score, empty, len(tiles.numbers), tiles.no_optics
    )


def _outlines(tiles: RunTiles) -> tuple[TileOutlines, str]:
    """Return where the tiles lie: on the foil, or side by side, and the unit of the plane."""
    scan, numbers = tiles.scan, tiles.numbers
    if len(numbers) == 1 or all(t.stage_x_mm is not None for t in scan.tiles):
        unit = "px" if scan.pixel_size_um is None else "mm"
        return outline_tiles(scan, numbers), unit
    height, width = scan.image_size
    across = grid_columns(scan)
    order = {t.number: k for k, t in enumerate(sorted(scan.tiles, key=lambda t: t.number))}
    affines = {}
    for number in numbers:
        row, column = divmod(order[number], across)
        x, y = column * (width + _GAP_PX), row * (height + _GAP_PX)
        affines[number] = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    return TileOutlines(affines, scan.image_size), "px"


def _grid(outlines: TileOutlines, unit: str, radius_px: float) -> MapGrid:
    """Return the grid of the map, whose cells are as wide as the radius of a pit or wider."""
    x0, x1, y0, y1 = bounds = tile_bounds(outlines)
    step = max(radius_px * outlines.pixel, float(np.sqrt((x1 - x0) * (y1 - y0) / _MOST_CELLS)))
    return grid_over(bounds, step, "mm" if unit == "mm" else "px")


def _add_to_map(out: Floats, grid: MapGrid, score: FloatImage, affine: Floats) -> None:
    """Put the greatest score of a tile in each cell into the map, in place."""
    height, width = score.shape
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    side = 2 * max(round(grid.step / scale / 2), 0) + 1
    filled = np.nan_to_num(score, nan=-np.inf).astype(np.float32)
    greatest = cv2.dilate(filled, np.ones((side, side), np.uint8))
    corners = np.array([[x, y, 1] for x in (0, width - 1) for y in (0, height - 1)]) @ affine.T
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    columns = np.flatnonzero((grid.x >= x0 - grid.step) & (grid.x <= x1 + grid.step))
    rows = np.flatnonzero((grid.y >= y0 - grid.step) & (grid.y <= y1 + grid.step))
    x, y = np.meshgrid(grid.x[columns], grid.y[rows])
    place = np.stack([x.ravel(), y.ravel()]) - affine[:, 2:]
    u, v = np.rint(np.linalg.solve(affine[:, :2], place)).astype(np.int64)
    half = side // 2  # the middle of a cell at the rim may lie beyond it
    inside = (u >= -half) & (u < width + half) & (v >= -half) & (v < height + half)
    values = np.full(u.shape, np.nan)
    u, v = u.clip(0, width - 1), v.clip(0, height - 1)
    values[inside] = greatest[v[inside], u[inside]]
    values[np.isinf(values)] = np.nan
    part = np.ix_(rows, columns)
    out[part] = np.fmax(out[part], values.reshape(x.shape))


def _placed(places: pd.DataFrame, scan: Scan, radius_px: float) -> pd.DataFrame:
    """Return the places of all tiles, the best first, each one once, with foil coordinates."""
    tile, x, y = (places[c].to_numpy() for c in ("tile", "x_px", "y_px"))
    x_mm, y_mm = tile_to_foil(tile.astype(np.int64), x, y, scan)
    table = places.assign(x_mm=x_mm, y_mm=y_mm)
    table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    if scan.pixel_size_um is not None and np.isfinite(x_mm).all() and len(table) > 1:
        reach = 2 * radius_px * scan.pixel_size_um / 1000
        pairs = cKDTree(table[["x_mm", "y_mm"]].to_numpy()).query_pairs(
            reach, output_type="ndarray"
        )
        number = table["tile"].to_numpy()
        again = pairs.max(axis=1)[number[pairs[:, 0]] != number[pairs[:, 1]]]
        table = table[~np.isin(np.arange(len(table)), again)].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    columns = ["rank", "tile", "x_px", "y_px", "x_mm", "y_mm", "score", "expected_per_tile"]
    return table[[*columns, "area_px", "at_pit"]]
