"""Lists of pits to be aligned: from files, and from scans of a store."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from etchscope.foil import BadInput, NotSearched, PitList
from etchscope.geometry import datum_holes_mm, tile_to_foil
from etchscope.ingest import OfSurface, read_pit_list
from etchscope.run.stages.datum import find_datum
from etchscope.store import Store

__all__ = ["gather_pit_lists", "list_of_scan", "scans_among"]


def gather_pit_lists(
    names: Sequence[str],
    store: Store | None = None,
    *,
    surface: OfSurface = "top",
    look_for_holes: bool = False,
) -> list[PitList]:
    """Return the lists of pits that names stand for.

    Parameters
    ----------
    names : each a file, or a scan of the store; a file comes first.
    surface : which openings of pit tables are taken.
    look_for_holes : whether datum holes are looked for that a scan does not state.

    Raises
    ------
    BadInput : a name that is neither, or see ``read_pit_list`` and ``list_of_scan``.
    """
    scans = [] if store is None else store.scans.names()
    lists = []
    for name in names:
        if Path(name).is_file():
            lists.append(read_pit_list(Path(name), surface=surface))
        elif store is not None and name in scans:
            lists.append(list_of_scan(store, name, surface=surface, look_for_holes=look_for_holes))
        else:
            known = "" if store is None else f", or a scan of {store.path} ({', '.join(scans)})"
            raise BadInput("align", f"a file of pits{known}", repr(name))
    return lists


def scans_among(names: Sequence[str]) -> list[str]:
    """Return the names that are no files, so scans of a store."""
    return [name for name in names if not Path(name).is_file()]


def list_of_scan(
    store: Store, scan: str, *, surface: OfSurface = "top", look_for_holes: bool = False
) -> PitList:
    """Return the pits of a scan's latest run as a list, in the scan's foil frame.

    Parameters
    ----------
    surface : see ``ingest.read_pit_list``.
    look_for_holes : on the pictures, where the scan does not state its datum holes.

    Raises
    ------
    BadInput : no such scan, an injected one, none of its runs is finished, or its scale is unknown.
    """
    store.injections.refuse(scan, "align")
    record = store.scans.get(scan)
    run = store.runs.latest(scan)
    if run is None:
        raise NotSearched(f"scan {scan}", "a finished run", "none")
    pits = store.runs.pits(run)
    if surface != "any":
        pits = pits[pits["surface"] != ("bottom" if surface == "top" else "top")]
    pits = pits.reset_index(drop=True)
    holes = datum_holes_mm(record)
    if look_for_holes and not holes:
        # In the frame that the scan has, which found holes do not change.
        found = find_datum(store, scan)
        tile = np.array([t for t, _, _ in found], np.int64)
        x_px, y_px = (np.array([h[k] for h in found], float) for k in (1, 2))
        x_mm, y_mm = tile_to_foil(tile, x_px, y_px, record)
        holes = tuple(zip(x_mm.tolist(), y_mm.tolist(), strict=True))
    return PitList(scan, record.foil, record.side, pits, record.image_size, holes)
