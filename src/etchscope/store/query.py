"""The table of all tiles, and conditions on it in SQL."""

from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.orm import Session

from etchscope.files.strict_json import canonical_json
from etchscope.foil import BadInput
from etchscope.store.catalogue import FoilRow, ScanRow, TileRow

__all__ = ["TILE_COLUMNS", "rows_where", "tile_table"]

TILE_COLUMNS = {
    "foil": "str",
    "stack": "str",
    "side": "str",
    "scan": "str",
    "tile": "int64",
    "stage_x_mm": "float64",
    "stage_y_mm": "float64",
    "excluded": "bool",
    "excluded_why": "str",
}
"""Columns of the tile table that are always there, with their dtype."""


def tile_table(session: Session) -> pd.DataFrame:
    """Return one row per tile: ``TILE_COLUMNS``, then every metadata key of any tile as a column.

    A metadata key that would hide another column (in any case) is named ``metadata_{key}``;
    values of mixed or nested kind become JSON text. Sorted by foil, side, scan and tile.
    """
    rows = session.execute(
        select(
            ScanRow.foil,
            FoilRow.stack,
            ScanRow.side,
            ScanRow.name,
            TileRow.number,
            TileRow.stage_x_mm,
            TileRow.stage_y_mm,
            TileRow.excluded,
            TileRow.excluded_why,
            TileRow.info,
        )
        .join(ScanRow, TileRow.scan == ScanRow.name)
        .join(FoilRow, ScanRow.foil == FoilRow.name)
        .order_by(ScanRow.foil, ScanRow.side, ScanRow.name, TileRow.number)
    ).all()
    columns = {
        name: pd.Series([row[i] for row in rows], dtype=dtype)
        for i, (name, dtype) in enumerate(TILE_COLUMNS.items())
    }
    taken = set(columns)
    for key in sorted({k for row in rows for k in row.info}):
        name = f"metadata_{key}" if key.casefold() in taken else key
        taken.add(name.casefold())
        columns[name] = _column([row.info.get(key) for row in rows])
    return pd.DataFrame(columns)


def _column(values: list[object]) -> "pd.Series[Any]":
    kinds = {type(v) for v in values if v is not None}
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean")
    if kinds == {int}:
        return pd.Series(values, dtype="Int64")
    if kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    if kinds == {str}:
        return pd.Series(values, dtype="str")
    return pd.Series([None if v is None else canonical_json(v) for v in values], dtype="str")


def rows_where(table: pd.DataFrame, where: str | None) -> pd.DataFrame:
    """Return the rows that an SQL condition holds for, in their order; all of them for None.

    The condition can use this table only: no file, no network, no other statement.

    Raises
    ------
    BadInput : the condition is not SQL, or names a column that is not there.

    Examples
    --------
    >>> table = pd.DataFrame({"tile": [1, 2, 3], "exposure_ms": [2.0, 5.0, 7.0]})
    >>> rows_where(table, "exposure_ms > 3 and tile < 3")["tile"].tolist()
    [2]
    """
    if where is None:
        return table
    place = "row_of_the_table"
    arrow = pa.Table.from_pandas(table.assign(**{place: range(len(table))}), preserve_index=False)
    locked: dict[str, Any] = {
        "enable_external_access": False,
        "threads": 1,
        "lock_configuration": True,
    }
    with duckdb.connect(":memory:", config=locked) as connection:
        try:
            found = connection.from_arrow(arrow).filter(where).project(place).fetchall()
        except duckdb.Error as error:
            columns = ", ".join(table.columns)
            raise BadInput(
                f"condition {where!r}",
                f"an SQL condition on the columns {columns}",
                str(error).splitlines()[0],
            ) from error
    return table.iloc[sorted(int(row[0]) for row in found)].reset_index(drop=True)
