"""The table of all tiles, and conditions on it in SQL."""

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from etchscope.files.strict_json import canonical_json
from etchscope.foil import BadInput
from etchscope.foil.storable import LARGEST
from etchscope.store.catalogue import (
    ChannelRow,
    CompressedTileRow,
    CompressionRow,
    FoilRow,
    LeftOutRow,
    RunRow,
    ScanRow,
    TileRow,
)
from etchscope.store.injections import sources_of_injected
from etchscope.store.rows import intact_rows

__all__ = ["SCAN_COLUMNS", "TILE_COLUMNS", "rows_where", "scan_table", "tile_table"]

_SECONDS, _AGAIN = 30.0, 0.1
_LOCKED: dict[str, Any] = {
    "enable_external_access": False,
    "threads": 1,
    "memory_limit": "1GB",
    "lock_configuration": True,
}
_CLASSES = {
    "BETWEEN",
    "CASE",
    "CAST",
    "COLLATE",
    "COLUMN_REF",
    "COMPARISON",
    "CONJUNCTION",
    "CONSTANT",
    "FUNCTION",
    "OPERATOR",
    "STAR",
    "SUBQUERY",
    "TYPE",
}
"""Kinds of expressions that a condition may have, as DuckDB's syntax tree names them."""
_FUNCTIONS = {
    "abs",
    "ceil",
    "ceiling",
    "contains",
    "ends_with",
    "exp",
    "floor",
    "greatest",
    "isfinite",
    "isinf",
    "isnan",
    "json_extract",
    "json_extract_string",
    "least",
    "length",
    "ln",
    "log",
    "log10",
    "lower",
    "mod",
    "nullif",
    "pow",
    "power",
    "prefix",
    "regexp_full_match",
    "regexp_matches",
    "round",
    "sqrt",
    "starts_with",
    "strlen",
    "substr",
    "substring",
    "suffix",
    "trim",
    "upper",
    "~~~",
    "like_escape",
    "ilike_escape",
    "not_like_escape",
    "not_ilike_escape",
}
"""Functions that a condition may call; none makes a long text out of a short one."""

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


SCAN_COLUMNS = {
    "foil": "str",
    "stack": "str",
    "side": "str",
    "scan": "str",
    "layout": "str",
    "channels": "int64",
    "tiles": "int64",
    "excluded": "int64",
    "left_out": "int64",
    "runs": "int64",
    "injected_from": "str",
    "compressed": "int64",
    "kept_share": "float64",
    "saved_bytes": "Int64",
}
"""Columns of the scan table with their dtype; from ``channels`` to ``runs`` and ``compressed`` they
are numbers of things. ``injected_from`` is the scan that an injected one was made from."""


def tile_table(
    session: Session, *, foil: str | None = None, scan: str | None = None, tile: int | None = None
) -> pd.DataFrame:
    """Return one row per tile: ``TILE_COLUMNS``, then every metadata key of any tile as a column.

    Parameters
    ----------
    foil, scan, tile : only these tiles, and their metadata keys; other tiles are not read.

    Notes
    -----
    A metadata key that would hide another column (in any case) is named ``metadata_{key}``;
    values of mixed or nested kind become JSON text. Sorted by foil, side, scan and tile.
    """
    scans = session.execute(
        select(ScanRow.foil, FoilRow.stack, ScanRow.side, ScanRow.name)
        .join(FoilRow, ScanRow.foil == FoilRow.name)
        .order_by(ScanRow.foil, ScanRow.side, ScanRow.name)
    ).all()
    with intact_rows("tiles"):
        parts, values = [], _Values()
        for row in scans:
            if foil in (None, row.foil) and scan in (None, row.name):
                of_scan = {"foil": row.foil, "stack": row.stack, "side": row.side, "scan": row.name}
                parts.append(_tiles_of(session, of_scan, values, tile))
        table = pd.concat(parts, ignore_index=True) if parts else _typed({})
        taken = set(table.columns)
        for key in sorted(values.of):
            shown = _text(key)
            name = f"metadata_{shown}" if shown.casefold() in taken else shown
            taken.add(name.casefold())
            table[name] = _column(values.padded(key))
        return table


class _Values:
    """The values of each metadata key, of the tiles so far; equal texts are kept once."""

    def __init__(self) -> None:
        self.of: dict[str, list[object]] = {}
        self.tiles = 0

    def add(self, info: Mapping[str, object]) -> None:
        """Note the metadata of the next tile."""
        for key, value in info.items():
            self.padded(key).append(sys.intern(value) if type(value) is str else value)
        self.tiles += 1

    def padded(self, key: str) -> list[object]:
        """Return the values of a key, None for the tiles that do not have it."""
        values = self.of.setdefault(key, [])
        values.extend([None] * (self.tiles - len(values)))
        return values


def _tiles_of(
    session: Session, of_scan: Mapping[str, Any], values: _Values, tile: int | None
) -> pd.DataFrame:
    """Return ``TILE_COLUMNS`` of the tiles, or of one tile, of one scan; note their metadata.

    A scan at a time, since rows of the catalogue take ten times as much memory as the table.
    """
    query = (
        select(
            TileRow.number,
            TileRow.stage_x_mm,
            TileRow.stage_y_mm,
            TileRow.excluded,
            TileRow.excluded_why,
            TileRow.info,
        )
        .where(TileRow.scan == of_scan["scan"])
        .order_by(TileRow.number)
    )
    if tile is not None:
        query = query.where(
            TileRow.number == min(max(tile, -LARGEST), LARGEST)
        )  # a database has 64 bits
    rows = session.execute(query).all()
    for row in rows:
        values.add(row.info)
    names = ("tile", "stage_x_mm", "stage_y_mm", "excluded", "excluded_why")
    own = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return _typed({name: [value] * len(rows) for name, value in of_scan.items()} | own)


def _typed(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {n: pd.Series(columns.get(n, ()), dtype=dtype) for n, dtype in TILE_COLUMNS.items()}
    )


def scan_table(session: Session) -> pd.DataFrame:
    """Return one row per scan, sorted by foil, side and scan: ``SCAN_COLUMNS``."""
    own = (ScanRow.foil, FoilRow.stack, ScanRow.side, ScanRow.name, ScanRow.layout)
    joined = select(*own, ScanRow.height_px * ScanRow.width_px).join(FoilRow)
    rows = session.execute(joined.order_by(ScanRow.foil, ScanRow.side, ScanRow.name)).all()
    saved = {row.scan: row for row in session.scalars(select(CompressionRow))}
    of = (TileRow.scan, func.count(), func.sum(case((TileRow.excluded, 1), else_=0)))
    tiles = {name: counts for name, *counts in session.execute(select(*of).group_by(TileRow.scan))}
    counted = []
    for kind in (ChannelRow, LeftOutRow, RunRow, CompressedTileRow):
        of_kind = session.execute(select(kind.scan, func.count()).group_by(kind.scan))
        counted.append({str(name): int(count) for name, count in of_kind})
    found, injected = [], sources_of_injected(session)
    for *row, area_px in rows:
        name = str(row[3])
        channels, left_out, runs, compressed = (counts.get(name, 0) for counts in counted)
        number, excluded = tiles.get(name, (0, 0))
        counts = (channels, number, excluded, left_out, runs, injected.get(name), compressed)
        one, px = saved.get(name), max(area_px * number, 1)
        saving = (one.kept_px / px, one.bytes_before - one.bytes_after) if one else (None, None)
        found.append((*row, *counts, *saving))
    columns = zip(*found, strict=True) if found else [()] * len(SCAN_COLUMNS)
    named = zip(SCAN_COLUMNS.items(), columns, strict=True)
    return pd.DataFrame({name: pd.Series(values, dtype=dtype) for (name, dtype), values in named})


def _column(values: list[object]) -> "pd.Series[Any]":
    kinds = {type(v) for v in values if v is not None}
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean")
    if kinds == {int} and all(abs(v) <= LARGEST for v in values if isinstance(v, int)):
        return pd.Series(values, dtype="Int64")
    if kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    if kinds == {str}:
        return pd.Series([None if v is None else _text(str(v)) for v in values], dtype="str")
    texts = [None if v is None else _text(canonical_json(v)) for v in values]
    return pd.Series(texts, dtype="str")


def _text(text: str) -> str:
    """Return a text as Unicode; earlier versions accepted half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def rows_where(table: pd.DataFrame, where: str | None) -> pd.DataFrame:
    """Return the rows that an SQL condition holds for, in their order; all of them for None.

    The condition can use this table only: no file, no network, no other statement, and only
    functions whose results are about as long as their arguments. It has 1 GB of memory and 30 s.

    Raises
    ------
    BadInput : the condition is not SQL, names a column that is not there, uses another function,
        or needs too much memory or time.

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
    named = f"condition {where[:100]!r}"
    expected = f"an SQL condition on the columns {', '.join(table.columns)}"
    with duckdb.connect(":memory:", config=_LOCKED) as connection:
        done = threading.Event()
        watch = threading.Thread(target=_interrupt, args=(connection, done), daemon=True)
        watch.start()
        try:
            _require_plain(_parsed(connection, where))
            rows = connection.from_arrow(arrow).filter(where).project(place).fetchnumpy()[place]
        except duckdb.InterruptException as error:
            found = "one that takes longer"
            raise BadInput(named, f"one that takes at most {_SECONDS:g} s", found) from error
        except (duckdb.Error, RecursionError, ValueError) as error:
            reason = (str(error).splitlines() or ["unreadable"])[0][:600]
            raise BadInput(named, expected, reason) from error
        finally:
            done.set()
            watch.join()
    return table.iloc[np.sort(rows)].reset_index(drop=True)


def _interrupt(connection: "duckdb.DuckDBPyConnection", done: threading.Event) -> None:
    """Interrupt what a connection does after some time, and go on until it has stopped."""
    pause = _SECONDS
    while not done.wait(pause):
        connection.interrupt()
        pause = _AGAIN


def _parsed(connection: "duckdb.DuckDBPyConnection", where: str) -> dict[str, Any]:
    """Return the syntax tree of a condition, as DuckDB parses it."""
    query = f"SELECT 1 FROM tiles WHERE (\n{where}\n)"  # a comment in it ends with its line
    rows = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    tree = json.loads(rows[0][0])
    if tree["error"]:
        raise ValueError(tree["error_message"])
    statements = tree["statements"]
    if len(statements) != 1 or statements[0]["node"].get("type") != "SELECT_NODE":
        raise ValueError("more than a condition")
    condition: dict[str, Any] = statements[0]["node"]["where_clause"]
    return condition


def _require_plain(tree: object) -> None:
    """Refuse lambdas, windows and functions that are not in ``_FUNCTIONS``."""
    if isinstance(tree, list):
        for item in tree:
            _require_plain(item)
    elif isinstance(tree, dict):
        kind = tree.get("class", "CONSTANT")
        if kind not in _CLASSES:
            raise ValueError(f"a {kind.lower()}, which no condition can have")
        function = tree.get("function_name")
        if kind == "FUNCTION" and not tree.get("is_operator") and function not in _FUNCTIONS:
            known = ", ".join(sorted(f for f in _FUNCTIONS if f.isidentifier()))
            raise ValueError(f"the function {function}, which is not one of {known}")
        for item in tree.values():
            _require_plain(item)
