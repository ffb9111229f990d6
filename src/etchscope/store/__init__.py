"""The only door to disk: pictures, catalogue, runs, fits, labels and table files."""

from etchscope.store.adding import Added, TilePictures
from etchscope.store.check import Finding
from etchscope.store.labels import read_taxonomy
from etchscope.store.models import read_model, write_model
from etchscope.store.removal import Removal
from etchscope.store.rows import LeftOut
from etchscope.store.store import Store
from etchscope.store.tables import read_columns, read_table, write_labels, write_rows, write_table

__all__ = [
    "Added",
    "Finding",
    "LeftOut",
    "Removal",
    "Store",
    "TilePictures",
    "read_columns",
    "read_model",
    "read_table",
    "read_taxonomy",
    "write_labels",
    "write_model",
    "write_rows",
    "write_table",
]
