"""A store for one search only, made of the pictures that are to be searched."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from etchscope.api.given import File, Files, as_paths
from etchscope.api.store import Store
from etchscope.foil import BadInput, NotAStore
from etchscope.progress import Progress
from etchscope.store import Added
from etchscope.store import Store as KeptStore
from etchscope.store.settings import is_store

__all__ = ["opened_paths"]


@contextmanager
def opened_paths(
    paths: Files,
    *,
    scan: str | None = None,
    mask: File | None = None,
    forget_mask: bool = False,
    each: Callable[[Added], None] | None = None,
    progress: Progress = False,
    **pictures: Any,
) -> Iterator[Store]:
    """Yield the store given, or one of the pictures given, which is gone afterwards.

    Parameters
    ----------
    paths : a store; or scan directories, or pictures that make a scan.
    scan : scan of the store whose mask is set; or the name of the scan that the pictures make.
    mask : see ``Store.add``; it becomes that of the scan, or of all scans of the store.
    forget_mask : search all of the scan, or of all scans, from now on.
    pictures : layout, rows, columns, pixel_size_um, foil, side and skip_bad of ``Store.add``.

    Raises
    ------
    NotAStore : the only path does not exist.
    BadInput : both a mask and ``forget_mask``, an option about pictures beside a store, or see
        ``Store.add``.
    """
    some = as_paths(paths)
    if mask is not None and forget_mask:
        raise BadInput("forget_mask", "no mask beside it", str(mask))
    if len(some) == 1 and is_store(some[0]):
        if any(value not in (None, False) for value in pictures.values()):
            hint = "Give those options to `add`."
            raise BadInput(some[0], "no option about pictures", "a store", hint)
        opened = Store.open(some[0])
        if mask is not None or forget_mask:
            opened.set_mask(mask, scan=scan)
        yield opened
        return
    if len(some) == 1 and not some[0].exists():
        raise NotAStore(some[0], "a store, a scan directory or a picture", "no such file")
    with tempfile.TemporaryDirectory(prefix="etchscope-") as folder:
        store = Store(KeptStore.create(Path(folder) / "store"), is_temporary=True)
        store.add(some, scan=scan, mask=mask, each=each, progress=progress, **pictures)
        yield store
