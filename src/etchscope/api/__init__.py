"""What a notebook or a script calls: paths, names, tables and plain numbers in, tables out."""

from typing import TYPE_CHECKING

from etchscope.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.api.arrays import find_pits
    from etchscope.api.pictures import opened_paths
    from etchscope.api.store import Store, open_store

__all__ = ["Store", "find_pits", "open_store", "opened_paths"]

__getattr__ = load_on_use(__name__, ("arrays", "store", "pictures"))
