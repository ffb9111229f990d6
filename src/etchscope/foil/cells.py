"""Cells of tables that come from elsewhere: one value each, of the dtype that a column declares."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from etchscope.foil.errors import BadInput

__all__ = ["cast_column", "require_plain_cells"]


def cast_column(values: Any, dtype: str) -> "pd.Series[Any]":
    """Return a column with another dtype; every value stays what it is.

    Parameters
    ----------
    values : (n,) values; a table of several columns of one name is refused.
    dtype : of pandas; ``int64`` and ``Int64`` take no fraction.

    Raises
    ------
    ValueError : in one line, why the dtype cannot hold a value: text, a fraction, a whole number of
        more than 64 bits, text with a NUL character or that is no Unicode, or several columns.

    Examples
    --------
    >>> cast_column(pd.Series([1.0, None]), "Int64").tolist()
    [1, <NA>]
    >>> cast_column(pd.Series([1e20]), "Int64")
    Traceback (most recent call last):
    ...
    ValueError: a number of more than 64 bits
    """
    if isinstance(values, pd.DataFrame):
        raise ValueError("several columns of this name")
    column = pd.Series(values)
    try:
        with np.errstate(invalid="raise"):  # and no warning of a number beyond 64 bits
            if dtype == "int64":  # by way of Int64, which refuses to cut off a fraction
                column = column.astype("Int64")
            cast: pd.Series[Any] = column.astype(dtype)  # type: ignore[call-overload]
    except ArithmeticError as error:
        raise ValueError("a number of more than 64 bits") from error
    except (TypeError, ValueError) as error:
        raise ValueError((str(error).splitlines() or ["another kind"])[0]) from error
    if dtype == "str" and bool(cast.str.contains("\0", regex=False).any()):
        raise ValueError("text with a NUL character")
    return cast


def require_plain_cells(where: str | Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns have distinct names and one value in each cell.

    Columns without a name, which spreadsheets add at the end, are left out if there are several.

    Raises
    ------
    BadInput : a name stands twice or is no text, or a cell holds a list or an object; the error
        names the column.
    """
    for name in table.columns:
        if not pd.api.types.is_scalar(name):
            raise BadInput(where, "text as the name of a column", repr(name))
    unnamed = np.array([str(name).strip() == "" for name in table.columns], bool)
    if unnamed.sum() > 1:
        table = table.loc[:, ~unnamed]
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        hint = "Rename or remove one of the columns."
        raise BadInput(f"{where}: column {twice[0]}", "every column once", "it twice", hint=hint)
    for name in (n for n in table.columns if pd.api.types.is_object_dtype(table[n])):
        nested = table[name].map(lambda value: isinstance(value, list | dict | tuple | np.ndarray))
        if nested.any():
            row = int(np.flatnonzero(nested)[0]) + 1
            at = f"{where}: column {name}, row {row}"
            raise BadInput(at, "one value", "a list or an object")
    return table
