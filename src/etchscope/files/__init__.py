"""One file at a time: written whole or not at all, read strictly, identified by its digest."""

from etchscope.files.digests import sha256_of
from etchscope.files.strict_json import canonical_json, read_json
from etchscope.files.tables import read_columns, read_table, write_labels, write_rows, write_table

__all__ = [
    "canonical_json",
    "read_columns",
    "read_json",
    "read_table",
    "sha256_of",
    "write_labels",
    "write_rows",
    "write_table",
]
