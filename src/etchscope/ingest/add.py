"""Add a scan from files to a store."""

from collections.abc import Callable, Sequence
from pathlib import Path

from etchscope.ingest.masks import read_mask
from etchscope.ingest.source import Overrides, open_source
from etchscope.store import Added, Store

__all__ = ["add_scan"]


def add_scan(
    store: Store,
    paths: Path | Sequence[Path],
    *,
    overrides: Overrides | None = None,
    skip_bad: bool = False,
    mask: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
    total: Callable[[int], None] | None = None,
) -> Added:
    """Add one scan, all of it or nothing, and return what was added.

    Parameters
    ----------
    paths : a scan directory, a folder of pictures, or picture files that make one scan.
    overrides : values that replace those of the files.
    skip_bad : leave bad tiles out and list them, instead of raising an error.
    mask : file of the places where the scan shall be searched, see ``read_mask``; it is kept with
        the scan, also with one that the store has already.
    workers : number of threads; by default that of the cores.
    progress : called with the number of tiles just done, from any thread.
    total : called once with the number of tiles, before the first.

    Raises
    ------
    BadInput : a bad file, a mask that does not fit the scan, or another scan of that name.
    MachineFailed : the disk is full.
    """
    source = open_source(paths, overrides, skip_bad=skip_bad)
    searched = None if mask is None else read_mask(mask, source.scan, source.sheet)
    if total is not None:
        total(len(source.scan.tiles))
    added = store.scans.add(
        source.scan,
        source.foil,
        source.read_tile,
        left_out=source.left_out,
        skip_bad=skip_bad,
        workers=workers,
        progress=progress,
    )
    if searched is not None:
        store.fits.set_mask(added.scan, searched)
    return added
