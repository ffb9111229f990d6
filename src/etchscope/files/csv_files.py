"""Tables as text: CSV in the encodings, separators and decimal signs that spreadsheets write.

The rules, in this order:

1. A byte-order mark states UTF-8 or UTF-16. Without a mark the text is UTF-8, or else Windows-1252,
   which contains Latin-1. Text that is neither, or a mixture of both, is refused.
2. A first line ``sep=;``, as Excel writes it, states the separator. Otherwise it is the comma,
   semicolon or tab that the header has most often outside quotes; a tie is refused.
3. Where the separator is no comma, a column whose numbers all have decimal commas is read as
   numbers. Columns with decimal commas beside columns with decimal points are refused.
"""

import codecs
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from etchscope.files.foreign import read_bytes, require_table_size
from etchscope.foil import BadInput

__all__ = ["read_csv"]

_MOST_BYTES = 2**30
_EXPECTED = "a CSV table with a header"
_AS_UTF8 = "Save the table as UTF-8."
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_STATED = re.compile(rb"sep=([,;\t])\r?\n", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')


def read_csv(path: Path, text: Iterable[str] = ()) -> pd.DataFrame:
    """Return the table of a CSV file; see the rules above.

    Parameters
    ----------
    text : names of columns that are text even if their values look like numbers.

    Raises
    ------
    BadInput : the file is absent, no regular file, larger than 1 GB, no text, or no table with a
        header; or its separator or its decimal sign is not clear.
    """
    data = _as_utf8(path, read_bytes(path, _MOST_BYTES))
    stated = _STATED.match(data)
    data = data[stated.end() :] if stated else data
    header = data.split(b"\n", 1)[0].decode("utf-8", "replace")
    separator = stated[1].decode() if stated else _separator(path, header)
    require_table_size(
        path, rows=data.count(b"\n"), columns=header.count(separator) + 1, size=len(data)
    )
    table = _parsed(path, data, separator, ".", text)
    if separator != ",":
        table = _with_decimal_commas(path, table, _parsed(path, data, separator, ",", text))
    try:
        out: pd.DataFrame = table.to_pandas()
    except (ValueError, pa.ArrowException) as error:
        raise BadInput(path, _EXPECTED, str(error)) from error
    return out


def _as_utf8(path: Path, data: bytes) -> bytes:
    """Return the text of a file as UTF-8 without a byte-order mark."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                data = data.decode("utf-8-sig" if encoding == "utf-8" else encoding).encode()
            except UnicodeError as error:
                raise _no_text(
                    path, f"text in {encoding.upper()}, as its first bytes say"
                ) from error
            break
    else:
        data = _from_unmarked(path, data)
    at = data.find(b"\0")
    if at >= 0:
        line = data.count(b"\n", 0, at) + 1
        raise BadInput(path, _EXPECTED, f"a NUL character in line {line}", _AS_UTF8)
    return data


def _from_unmarked(path: Path, data: bytes) -> bytes:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        expected = "text in UTF-8, UTF-16 with a byte-order mark, or Windows-1252"
        is_mixed = not data.decode("utf-8", "ignore").isascii()
        if is_mixed or _is_utf8_with_surrogates(data):
            raise _no_text(path, expected) from error
        try:
            return data.decode("cp1252").encode()
        except UnicodeDecodeError as other:
            raise _no_text(path, expected) from other
    return data


def _is_utf8_with_surrogates(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _no_text(path: Path, expected: str) -> BadInput:
    return BadInput(path, expected, "other bytes", hint=_AS_UTF8)


def _separator(path: Path, header: str) -> str:
    """Return the separator of which the header has the most."""
    bare = _QUOTED.sub("", header)
    counts = {separator: bare.count(separator) for separator in _SEPARATORS}
    most = max(counts.values())
    best = [separator for separator, count in counts.items() if count == most]
    if most == 0:
        return ","
    if len(best) > 1:
        found = " and ".join(f"{most} {_SEPARATORS[separator]}" for separator in best)
        hint = "Put names that contain another separator into double quotes."
        raise BadInput(f"{path}: header", "names between commas, semicolons or tabs", found, hint)
    return best[0]


def _parsed(
    path: Path, data: bytes, separator: str, decimal_point: str, text: Iterable[str]
) -> pa.Table:
    # PyArrow and not pandas, which takes a row with too many values for one with an index.
    options = csv.ConvertOptions(
        column_types={name: pa.string() for name in text},
        strings_can_be_null=True,
        decimal_point=decimal_point,
    )
    try:
        return csv.read_csv(
            pa.BufferReader(data),
            parse_options=csv.ParseOptions(delimiter=separator),
            convert_options=options,
        )
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise BadInput(path, _EXPECTED, reason) from error


def _with_decimal_commas(path: Path, table: pa.Table, other: pa.Table) -> pa.Table:
    """Return a table with the columns of another reading of it that are numbers only there."""
    points = [i for i in range(table.num_columns) if _is_number_only_in(table, other, i)]
    commas = [i for i in range(table.num_columns) if _is_number_only_in(other, table, i)]
    if points and commas:
        names = f"commas in {other.field(commas[0]).name}, points in {table.field(points[0]).name}"
        raise BadInput(path, "one decimal sign in all columns", names)
    for i in commas:
        table = table.set_column(i, other.field(i), other.column(i))
    return table


def _is_number_only_in(table: pa.Table, other: pa.Table, i: int) -> bool:
    here, there = table.field(i).type, other.field(i).type
    return bool(pa.types.is_floating(here) and pa.types.is_string(there))
