"""The only door to disk: pictures, catalogue, runs, fits and table files."""

from etchscope.store.adding import Added, TilePictures
from etchscope.store.check import Finding
from etchscope.store.removal import Removal
from etchscope.store.rows import LeftOut
from etchscope.store.store import Store
from etchscope.store.tables import read_table, write_table

__all__ = [
    "Added",
    "Finding",
    "LeftOut",
    "Removal",
    "Store",
    "TilePictures",
    "read_table",
    "write_table",
]
