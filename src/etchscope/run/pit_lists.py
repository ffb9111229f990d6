"""Lists of pits to be aligned: from files, and from scans of a store."""

from collections.abc import Sequence
from pathlib import Path

from etchscope.foil import BadInput, PitList
from etchscope.ingest import OfSurface, read_pit_list
from etchscope.run.stages.align import list_of_scan
from etchscope.store import Store

__all__ = ["gather_pit_lists", "scans_among"]


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
