"""Tables as files: Parquet with units and the legend of flags, CSV and ROOT; JSON for reading."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from etchscope.files.atomic import make_folder, write_aside
from etchscope.files.csv_files import read_csv
from etchscope.files.foreign import require_table_size
from etchscope.files.parquet_files import read_foreign_parquet
from etchscope.files.root_files import read_root, write_root
from etchscope.files.strict_json import canonical_json, read_json
from etchscope.foil import (
    COLUMNS,
    LABEL_COLUMNS,
    BadInput,
    as_labels,
    as_pits,
    flag_legend,
)
from etchscope.foil.cells import cast_column, require_plain_cells

__all__ = [
    "pits_to_arrow",
    "read_columns",
    "read_frame",
    "read_parquet",
    "read_pits_file",
    "read_table",
    "write_labels",
    "write_parquet",
    "write_rows",
    "write_table",
]

_KEY = b"etchscope"


def pits_to_arrow(pits: pd.DataFrame, *, record: Mapping[str, Any] | None = None) -> pa.Table:
    """Return a pit table for Parquet, with units, meanings, the legend of its flags and a record.

    The metadata is JSON under the key ``etchscope``: ``columns`` (name → unit, meaning),
    ``flags`` (name → bit) and ``record``.

    Parameters
    ----------
    pits : a pit table (``foil.as_pits``); other columns may follow its own.
    record : provenance of the table, without times; values that JSON can hold.
    """
    known = {c.name for c in COLUMNS}
    extra = [c for c in pits.columns if c not in known and not c.startswith("p_")]
    whole = as_pits(pits.drop(columns=extra).reset_index(drop=True))
    table = pd.concat([whole, pits[extra].reset_index(drop=True)], axis=1)
    about = {
        "columns": {c.name: {"unit": c.unit, "meaning": c.meaning} for c in COLUMNS},
        "flags": flag_legend(),
        "record": dict(record or {}),
    }
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), _KEY: canonical_json(about).encode()}
    return arrow.replace_schema_metadata(metadata)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write Parquet with a checksum per page; the same table gives the same bytes."""
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the table of a Parquet file and verify the checksum of every page.

    Parameters
    ----------
    columns : those that are read; all of them unless given.

    Raises
    ------
    BadInput : there is no such file, it is not Parquet, or it is damaged.
    """
    try:
        # ParquetFile and not read_table, which makes a column of a folder named run=x.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns)
    except FileNotFoundError as error:
        raise BadInput(path, "a Parquet file", "no such file") from error
    except (OSError, pa.ArrowException) as error:
        text = (str(error).splitlines() or ["unreadable"])[0]
        raise BadInput(path, "an intact Parquet file", text) from error


def read_frame(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the table of a Parquet file; parameters and errors are those of ``read_parquet``."""
    table = read_parquet(path, columns)
    try:
        frame: pd.DataFrame = table.to_pandas()
    except (TypeError, ValueError, KeyError, AttributeError, pa.ArrowException) as error:
        # The types of pandas stand in JSON of their own, which no checksum covers.
        text = (str(error).splitlines() or ["unreadable"])[0]
        raise BadInput(path, "an intact Parquet file", text) from error
    return frame


def read_pits_file(path: Path) -> pd.DataFrame:
    """Return the pit table of a Parquet file with exactly the dtypes of ``foil.as_pits``.

    Raises
    ------
    BadInput : the file is absent or damaged, or its table is no pit table.
    """
    return as_pits(read_frame(path))


def write_table(
    path: Path, table: pd.DataFrame, *, record: Mapping[str, Any] | None = None
) -> None:
    """Write a pit table as ``.parquet`` (with units and legend), ``.csv`` or ``.root``.

    Parameters
    ----------
    path : its suffix chooses the format.
    table : a pit table; further columns may follow its own.
    record : provenance, which the metadata of Parquet hold.

    Raises
    ------
    BadInput : the suffix is another one, or the folder does not exist.
    MachineFailed : the disk is full.
    """
    suffix = _suffix_to_write(path, (".csv", ".parquet", ".root"))
    with write_aside(path) as aside:
        if suffix == ".csv":
            table.to_csv(aside, index=False, lineterminator="\n")
        elif suffix == ".root":
            write_root(aside, table)
        else:
            write_parquet(aside, pits_to_arrow(table, record=record))


def _suffix_to_write(path: Path, allowed: tuple[str, ...] = (".csv", ".parquet")) -> str:
    suffix = path.suffix.lower()
    if suffix not in allowed:
        listed = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
        raise BadInput(path, f"a name that ends in {listed}", repr(path.suffix))
    if not path.parent.is_dir():
        raise BadInput(path, "an existing folder", f"no folder {path.parent}")
    return suffix


def write_rows(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write tables of any columns as ``{name}.csv`` into a folder, which is made if it is absent.

    Raises
    ------
    BadInput : the path of the folder is a file.
    MachineFailed : the disk is full.
    """
    make_folder(folder)
    for name, table in tables.items():
        with write_aside(folder / f"{name}.csv") as aside:
            table.to_csv(aside, index=False, lineterminator="\n")


def write_labels(path: Path, labels: pd.DataFrame) -> None:
    """Write labels as ``.parquet`` (with units and meanings) or ``.csv``.

    Parameters
    ----------
    labels : see ``foil.as_labels``.

    Raises
    ------
    BadInput : the suffix is another one, or the folder does not exist.
    MachineFailed : the disk is full.
    """
    suffix = _suffix_to_write(path)
    whole = as_labels(labels)
    with write_aside(path) as aside:
        if suffix == ".csv":
            times = whole["when"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            whole.assign(when=times).to_csv(aside, index=False, lineterminator="\n")
        else:
            arrow = pa.Table.from_pandas(whole, preserve_index=False)
            columns = {c.name: {"unit": c.unit, "meaning": c.meaning} for c in LABEL_COLUMNS}
            about = canonical_json({"columns": columns}).encode()
            metadata = {**(arrow.schema.metadata or {}), _KEY: about}
            write_parquet(aside, arrow.replace_schema_metadata(metadata))


def read_columns(path: Path, text: Iterable[str] = ()) -> pd.DataFrame:
    """Return the table of a ``.csv``, ``.parquet``, ``.root`` or ``.json`` file, as it is.

    JSON is a list of objects, one per row, or an object with one list per column. CSV may have the
    encodings, separators and decimal signs of spreadsheets, see ``files.csv_files``.

    Parameters
    ----------
    text : names of columns that are text even if their values look like numbers.

    Raises
    ------
    BadInput : the file is absent or cannot be read, or its suffix is another one; the table is too
        large (see ``require_table_size``), a column stands twice, or a cell holds several values.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet", ".root", ".json"):
        raise BadInput(path, "a .csv, .parquet, .root or .json table", repr(path.suffix))
    if suffix == ".csv":
        table = read_csv(path, text)
    elif suffix == ".root":
        table = read_root(path)
    elif suffix == ".json":
        table = _read_json(path)
    else:
        table = read_foreign_parquet(path)
    return require_plain_cells(path, table)


def _read_json(path: Path) -> pd.DataFrame:
    value = read_json(path)
    is_rows = isinstance(value, list) and all(isinstance(row, dict) for row in value)
    is_columns = isinstance(value, dict) and all(isinstance(v, list) for v in value.values())
    if not (is_rows or is_columns):
        raise BadInput(path, "a list of rows as objects, or an object of columns", "another value")
    if is_rows:  # rows of different keys make far more cells than there are values
        columns = len({key for row in value for key in row})
        require_table_size(path, rows=len(value), columns=columns, size=0)
    try:
        return pd.DataFrame(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(path, "columns of one length", str(error)) from error


def read_table(path: Path) -> pd.DataFrame:
    """Return a table of places, which has x_px and y_px, or x_mm and y_mm.

    Columns of the pit table get its dtypes; others keep theirs.

    Raises
    ------
    BadInput : the file is absent or cannot be read, its suffix is another one, these columns are
        absent, or a column has text instead of numbers.
    """
    # The foil "007" must stay a name.
    table = read_columns(path, (c.name for c in COLUMNS if c.dtype == "str"))
    if not ({"x_px", "y_px"} <= set(table.columns) or {"x_mm", "y_mm"} <= set(table.columns)):
        found = ", ".join(map(str, table.columns)) or "none"
        raise BadInput(path, "columns x_px, y_px or x_mm, y_mm", found)
    for column in COLUMNS:
        if column.name in table.columns:
            table[column.name] = _as_dtype(path, table[column.name], column.name, column.dtype)
    return table


def _as_dtype(path: Path, values: "pd.Series[Any]", name: str, dtype: str) -> "pd.Series[Any]":
    try:
        return cast_column(values, dtype)
    except ValueError as error:
        raise BadInput(f"{path}: column {name}", dtype, str(error)) from error


def read_record(path: Path) -> dict[str, Any]:
    """Return the units, legend and record of a Parquet pit table; empty for other Parquet files."""
    about: dict[str, Any] = json.loads((read_parquet(path).schema.metadata or {}).get(_KEY, b"{}"))
    return about
