"""Tables in Parquet files of others, whose size is known before they are unpacked."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from etchscope.files.foreign import require_file, require_table_size
from etchscope.foil import BadInput

__all__ = ["read_foreign_parquet"]

_EXPECTED = "an intact Parquet file"


def read_foreign_parquet(path: Path) -> pd.DataFrame:
    """Return the table of a Parquet file; the checksum of every page is verified.

    Raises
    ------
    BadInput : the file is absent, no regular file, no Parquet or damaged, also where it describes
        itself to pandas; a column holds lists or objects; or the table is too large, see
        ``require_table_size``.
    """
    require_file(path)
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            texts = _checked(path, file.metadata, schema)
        # Texts as numbers of different texts, since a file can repeat a long one at no cost.
        with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file:
            return _unpacked(path, file.read(), schema)
    except BadInput:
        raise
    except Exception as error:  # pyarrow and pandas trust what a file says of itself
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise BadInput(path, _EXPECTED, f"{type(error).__name__}: {reason}") from error


def _checked(path: Path, about: Any, schema: pa.Schema) -> list[str]:
    """Return the columns of text, after the footer has passed."""
    for field in schema:
        if pa.types.is_nested(field.type):
            at = f"{path}: column {field.name}"
            raise BadInput(at, "one value in each cell", "lists or objects")
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    require_table_size(path, rows=about.num_rows, columns=max(about.num_columns, 1), size=size)
    return [field.name for field in schema if _is_text(field.type)]


def _is_text(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    return any(is_kind(kind) for is_kind in kinds)


def _unpacked(path: Path, table: pa.Table, schema: pa.Schema) -> pd.DataFrame:
    size = 0
    for column in table.columns:
        for chunk in column.chunks:
            if pa.types.is_dictionary(chunk.type) and _is_text(chunk.type.value_type):
                lengths = pc.take(pc.binary_length(chunk.dictionary), chunk.indices)
                size += pc.sum(lengths).as_py() or 0
    require_table_size(path, rows=table.num_rows, columns=max(table.num_columns, 1), size=size)
    out: pd.DataFrame = table.cast(schema).to_pandas()
    return out
