"""Where the tiles of a scan lie, and which ground on them a run has searched."""

from collections.abc import Callable
from functools import cache

import numpy as np

from etchscope.background.seen import TileOutlines
from etchscope.foil import Scan
from etchscope.foil.types import Bools, Floats
from etchscope.geometry import Mask, Similarity, tile_to_foil
from etchscope.preselect import FindSettings, Ground
from etchscope.run.constants import normalisation_of
from etchscope.run.tiles import ground_of
from etchscope.store import RunRecord, Store
from etchscope.store.records import ScoreRecord

__all__ = ["SearchedGround", "outline_tiles", "searched_ground"]

SearchedGround = Callable[[int], Bools | None]
"""Tile number → (y, x) bool, where it was searched; None where everywhere."""


def outline_tiles(
    scan: Scan, numbers: tuple[int, ...], way: Similarity | None = None
) -> TileOutlines:
    """Return where tiles lie on the foil in mm, or the only tile in its own frame.

    The frame of a tile without a position on the foil has its origin at the centre of the first
    pixel. With a scale it is in mm and y points up; without one it is in pixels and y points down.

    Parameters
    ----------
    numbers : of the tiles.
    way : from the foil frame of the scan to another one.
    """
    tile = np.repeat(np.array(numbers, np.int64), 3)
    x_px, y_px = np.tile([0.0, 1.0, 0.0], len(numbers)), np.tile([0.0, 0.0, 1.0], len(numbers))
    x, y = tile_to_foil(tile, x_px, y_px, scan)
    if not np.isfinite(x).all():
        size = 1.0 if scan.pixel_size_um is None else scan.pixel_size_um / 1000
        down = 1.0 if scan.pixel_size_um is None else -1.0
        x, y = size * x_px, down * size * y_px
    if way is not None:
        x, y = way.apply(np.column_stack([x, y])).T
    affines: dict[int, Floats] = {}
    for k, n in enumerate(numbers):
        a, b = x[3 * k : 3 * k + 3], y[3 * k : 3 * k + 3]
        affines[n] = np.array([[a[1] - a[0], a[2] - a[0], a[0]], [b[1] - b[0], b[2] - b[0], b[0]]])
    return TileOutlines(affines, scan.image_size)


def searched_ground(
    store: Store, scan: Scan, record: RunRecord, *, progress: Callable[[int], None] | None = None
) -> SearchedGround:
    """Return a function that gives the ground of a tile that a run has searched.

    Pictures are read only of tiles of which the run used a part.

    Parameters
    ----------
    progress : called with 1 for each tile.

    Raises
    ------
    DamagedFile : a picture is damaged.
    """
    search = store.runs.record(record.search) if isinstance(record, ScoreRecord) else record
    usable = dict(zip(search.tiles, search.usable_px, strict=False))
    whole = scan.image_size[0] * scan.image_size[1]
    region = None
    if search.region_mm is not None:
        region = Mask(polygons=(np.array(search.region_mm, float),)).on_scan(scan)

    @cache
    def ground() -> Ground:
        settings = FindSettings(**search.settings)
        mask = None if search.mask is None else store.fits.mask(scan.name, search.mask)
        return ground_of(scan, normalisation_of(store, scan), settings, mask)

    def where(number: int) -> Bools | None:
        if progress is not None:
            progress(1)
        used = usable.get(number)
        within = None if region is None else region(number)
        if used == 0:
            return np.zeros(scan.image_size, bool)
        if used == whole:
            return within
        seen = ground()(number, store.scans.read_tile(scan.name, number))
        return seen if within is None else seen & within

    return where
