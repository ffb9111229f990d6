"""The stars of a run: its pits are fetched, and the vertices are placed on the foil."""

from dataclasses import replace

import numpy as np

from etchscope.background.signal import require_sheet
from etchscope.background.stars import StarSearch, find_stars
from etchscope.foil import BadInput, NoPositions, Scan
from etchscope.foil.types import Floats, Ints
from etchscope.geometry import foil_frame, tile_to_stage
from etchscope.store import Store

__all__ = ["search_stars"]


def search_stars(
    store: Store, run: str, *, purity: float = 0.9, copies: int = 20, seed: int = 0
) -> StarSearch:
    """Return the stars among the pits of a run, see ``background.stars.find_stars``.

    The beam is taken to enter the front of the foil. Tiles that are excluded by now do not count.

    Raises
    ------
    UnknownRun : the store has no such run.
    NoPositions : the scan has no scale, or tiles without positions.
    BadInput : the foil has no thickness or no removed bulk, signal was injected into the scan, no
        searched tile is included, or see ``find_stars``.
    """
    record = store.runs.record(run)
    store.injections.refuse(record.scan, "search for stars")
    scan = store.scans.get(record.scan)
    foil = next(foil for foil in store.scans.foils() if foil.name == scan.foil)
    sheet = require_sheet(foil)
    um = scan.pixel_size_um
    if um is None or any(tile.stage_x_mm is None for tile in scan.tiles):
        found = "no pixel size" if um is None else "tiles without positions"
        raise NoPositions(f"scan {scan.name}", "a pixel size, and the place of each tile", found)
    used = {tile.number for tile in scan.included} - {number for number, _ in record.left_out}
    tiles = np.array([number for number in record.tiles if number in used], np.int64)
    if not len(tiles):
        hint = "Include some tiles, or search the scan again."
        raise BadInput(f"run {run}", "a searched tile that is included", "none", hint=hint)
    pits = store.runs.pits(run)
    pits = pits[pits["tile"].isin(tiles)].reset_index(drop=True)
    corner = np.full(len(tiles), -0.5)
    low = _places_px(scan, um, tiles, corner, corner)
    height, width = scan.image_size
    search = find_stars(
        pits,
        _places_px(scan, um, *(pits[c].to_numpy() for c in ("tile", "x_px", "y_px"))),
        np.column_stack([low[:, 0], low[:, 0] + width, low[:, 1], low[:, 1] + height]),
        sheet=sheet,
        pixel_size_um=um,
        entry="top" if scan.side == "front" else "bottom",
        purity=purity,
        copies=copies,
        seed=seed,
    )
    x, y = (search.stars[c].to_numpy() * um / 1000 for c in ("x_px", "y_px"))
    x_mm, y_mm = foil_frame(scan).from_stage(x, -y)
    return replace(search, stars=search.stars.assign(x_mm=x_mm, y_mm=y_mm), run=run)


def _places_px(scan: Scan, um: float, tile: Ints, x_px: Floats, y_px: Floats) -> Floats:
    """Return places in pixels in one frame for all tiles, y down, (n, 2)."""
    numbers = np.array([t.number for t in scan.tiles], np.int64)
    order = np.argsort(numbers)
    centre = np.array([(t.stage_x_mm, t.stage_y_mm) for t in scan.tiles], np.float64)
    at = centre[order[np.searchsorted(numbers[order], tile)]]
    x, y = tile_to_stage(x_px, y_px, at[:, 0], at[:, 1], scan)
    return np.column_stack([x, -y]) * 1000 / um
