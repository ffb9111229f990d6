"""Compress the white space of a scan: what lies far from all openings that a search has found."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from etchscope.foil import BadInput, NotSearched, Scan, count_usable_cores
from etchscope.foil.types import Bools, RawStack
from etchscope.imaging import Normalisation
from etchscope.imaging.whitespace import fixed_pattern, near_openings, replace_ground
from etchscope.preselect import FindSettings, Ground
from etchscope.run.constants import normalisation_of
from etchscope.run.tiles import ground_of
from etchscope.store import Compressed, FindRecord, ScoreRecord, Store, WhiteSpace

__all__ = ["MARGIN_PX", "compress", "scans_to_compress"]

MARGIN_PX = 32.0
"""Default distance from the openings within which pixels stay, see benchmarks/compress.py."""
_SHAPE = ["x_px", "y_px", "radius_px", "ellipticity", "angle_deg", "length_px", "width_px"]


def scans_to_compress(store: Store, run: str | None = None) -> list[str]:
    """Return the scan of a run, or all scans that are not injected and were searched as a whole.

    Raises
    ------
    UnknownRun : the store has no such run.
    NotSearched : no scan was searched.
    """
    if run is not None:
        return [store.runs.record(run).scan]
    names = store.injections.original_names()
    searched = [n for n in names if store.runs.latest(n, stage="find", whole=True) is not None]
    if not searched:
        raise NotSearched(store.path, "a search of all of a scan", "none")
    return searched


def compress(
    store: Store,
    scan: str,
    *,
    run: str | None = None,
    margin_px: float | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
    total: Callable[[int], None] | None = None,
) -> Compressed:
    """Replace what lies far from all found openings and marks of a scan by its background.

    Ground that is no foil or outside the mask of the search, and tiles that were not searched, stay
    as they are. A compression that was killed is finished.

    Parameters
    ----------
    run : search or scored run of all of the scan; by default its latest search.
    margin_px : distance from an outline within which pixels stay; ``MARGIN_PX`` unless given.
    workers : threads; as many as there are cores unless given.
    progress : called with the number of tiles just done; each is done twice.
    total : called once with twice the number of tiles.

    Raises
    ------
    NotSearched : no search of all of the scan.
    UnknownScan, UnknownRun : the store has no such scan or run.
    BadInput : an injected scan, a run of another scan or of a region, a negative margin, damaged
        pictures, or a scan that is compressed in another way.
    MachineFailed : the disk is full, or the object store fails.
    """
    described = store.scans.get(scan)
    store.injections.refuse(scan, "compression")
    known = store.compressions.of(scan)
    if known is not None:
        run, margin_px = run or known.run, known.margin_px if margin_px is None else margin_px
    margin_px = MARGIN_PX if margin_px is None else float(margin_px)
    if not (np.isfinite(margin_px) and margin_px >= 0):
        raise BadInput("margin", "a number of pixels, 0 or more", f"{margin_px:g}")
    run = run or store.runs.latest(scan, stage="find", whole=True)
    if run is None:
        raise NotSearched(f"scan {scan}", "a search of all of it", "none")
    record = _search_of(store, scan, run)
    normalisation = normalisation_of(store, described)
    mask = None if record.mask is None else store.fits.mask(scan, record.mask)
    ground = ground_of(described, normalisation, FindSettings(**record.settings), mask)
    pits = store.runs.pits(run, ["tile", *_SHAPE])
    left_out = {number for number, _ in record.left_out}
    of_tile = {n: group for n, group in pits.groupby("tile") if n not in left_out}
    empty = pits.iloc[:0]
    searched = {n: of_tile.get(n, empty) for n in record.tiles if n not in left_out}
    pattern = fixed_pattern(normalisation)
    replace = partial(_replace, searched, described, ground, normalisation, pattern, margin_px)
    if total is not None:
        total(2 * len(described.tiles))
    how = WhiteSpace(run, margin_px, replace, workers or count_usable_cores(), progress)
    return store.compressions.compress(scan, how)


def _search_of(store: Store, scan: str, run: str) -> FindRecord | ScoreRecord:
    """Return the record of a run, which must be of all of the scan."""
    record = store.runs.record(run)
    if record.scan != scan:
        raise BadInput(f"run {run}", f"a run of scan {scan}", f"one of scan {record.scan}")
    if record.region_mm is not None:
        raise BadInput(f"run {run}", "a run of all of the scan", "one of a region")
    return record


def _replace(
    searched: "dict[int, pd.DataFrame]",
    scan: Scan,
    ground: Ground,
    normalisation: Normalisation,
    pattern: RawStack,
    margin_px: float,
    number: int,
    raw: RawStack,
) -> tuple[RawStack, int]:
    """Return the compressed pictures of a tile, and how many pixels of one light stay.

    A tile on which other ground would be searched afterwards stays as it is.
    """
    area = scan.image_size[0] * scan.image_size[1]
    if number not in searched:
        return raw, area
    on_foil: Bools = ground(number, raw)
    kept = ~on_foil | near_openings(searched[number], scan.image_size, margin_px)
    out = replace_ground(raw, kept, normalisation, pattern)
    if out is raw or not np.array_equal(ground(number, out), on_foil):
        return raw, area
    return out, int(np.count_nonzero(kept))
