"""Labels: events that state what is at a place on a foil. No event is ever overwritten.

A second opinion, a correction and a withdrawal are further events; ``select_standing`` selects the
events that stand. A label has its place on the foil, so it remains valid for any later scan or
search; where the scale is unknown it has its place in a tile of a scan.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from etchscope.foil.cells import cast_column, require_plain_cells
from etchscope.foil.errors import BadInput
from etchscope.foil.records import Side
from etchscope.foil.taxonomy import WITHDRAWN
from etchscope.foil.types import Floats

__all__ = [
    "BEYOND_PX",
    "LABEL_COLUMNS",
    "LabelColumn",
    "LabelSource",
    "as_labels",
    "digest_events",
    "fill_ids",
    "format_region",
    "parse_region",
]

LabelSource = Literal["person", "model", "coincidence"]
BEYOND_PX = 14.0
"""The centre of an opening that a tile's edge cuts may lie this far outside: half a patch."""
_DECIMALS = 6  # of mm: a nanometre
_TIME = "datetime64[us, UTC]"


@dataclass(frozen=True)
class LabelColumn:
    """One column of a table of labels: pandas dtype, unit ("" if none) and meaning."""

    name: str
    dtype: str
    unit: str
    meaning: str


LABEL_COLUMNS: tuple[LabelColumn, ...] = (
    LabelColumn("id", "str", "", "name of the event, unique"),
    LabelColumn("foil", "str", "", "foil"),
    LabelColumn("side", "str", "", "side of the foil that faced the camera: front or back"),
    LabelColumn(
        "x_mm", "float64", "mm", "place in the foil frame, null where the scale is unknown"
    ),
    LabelColumn("y_mm", "float64", "mm", "place in the foil frame, y up"),
    LabelColumn(
        "region_mm", "str", "mm", "corners [[x, y], …] in the foil frame, null for a point"
    ),
    LabelColumn("class", "str", "", f"class of the taxonomy, or {WITHDRAWN}"),
    LabelColumn("who", "str", "", "the person, model or coincidence that says so"),
    LabelColumn("source", "str", "", "what it is that says so: person, model or coincidence"),
    LabelColumn("when", _TIME, "", "time of the event, UTC"),
    LabelColumn("note", "str", "", "free text"),
    LabelColumn("scan", "str", "", "scan it was given on, null where only the foil is known"),
    LabelColumn("tile", "Int64", "", "tile it was given on"),
    LabelColumn("x_px", "float64", "px", "place in that tile, 0 = centre of the first pixel"),
    LabelColumn("y_px", "float64", "px", "place in that tile, y down"),
    LabelColumn("region_px", "str", "px", "corners [[x, y], …] in that tile, y down"),
)


def as_labels(columns: pd.DataFrame | Mapping[str, Any], *, where: str = "labels") -> pd.DataFrame:
    """Return a table with exactly the columns of labels, in order and dtype.

    Columns that are not given are null. Times without a zone are UTC.

    Parameters
    ----------
    columns : the columns that are known, one value per label.
    where : name of the table for errors, for example the file.

    Raises
    ------
    BadInput : labels have no such column, or it cannot be read as its dtype; the side or source is
        unknown, a place is not finite, a region has fewer than three corners, a time cannot be
        read, a column stands twice, or a cell holds a list or an object.

    Examples
    --------
    >>> labels = as_labels({"x_mm": [1.0], "y_mm": [2.0], "class": ["top"], "when": ["2026-05-01"]})
    >>> print(labels[["x_mm", "class", "when"]])
       x_mm class                      when
    0   1.0   top 2026-05-01 00:00:00+00:00
    """
    given = require_plain_cells(where, pd.DataFrame(columns)).reset_index(drop=True)
    unknown = [c for c in given.columns if c not in {k.name for k in LABEL_COLUMNS}]
    if unknown:
        raise BadInput(where, "the columns of labels only", f"{unknown[0]!r}")
    out: dict[str, Any] = {}
    for column in LABEL_COLUMNS:
        values: Any = given.get(column.name)
        if values is None:
            values = pd.Series([None] * len(given), index=given.index, dtype=object)
        at = f"{where}: column {column.name}"
        try:
            values = _times(at, values) if column.dtype == _TIME else values
            out[column.name] = cast_column(values, column.dtype).array
        except BadInput:
            raise
        except ValueError as error:
            raise BadInput(at, _kind(column), str(error)) from error
    labels = pd.DataFrame(out)
    _check(labels, where)
    return labels


def _kind(column: LabelColumn) -> str:
    return "whole numbers" if column.dtype == "Int64" else f"values of dtype {column.dtype}"


def _times(where: str, values: "pd.Series[Any]") -> "pd.Series[Any]":
    if pd.api.types.is_numeric_dtype(values) and values.notna().any():
        raise BadInput(where, "times as 2026-05-01T12:00:00Z", repr(values.dropna().tolist()[0]))
    if values.dtype.kind == "M":
        return pd.to_datetime(values, utc=True)
    texts = values.astype("str")
    times = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    wrong = times.isna() & texts.notna()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        found = repr(texts.iloc[row])
        raise BadInput(f"{where}, row {row + 1}", "a time as 2026-05-01T12:00:00Z", found)
    return times


def _check(labels: pd.DataFrame, where: str) -> None:
    for name, allowed in (("side", get_args(Side)), ("source", get_args(LabelSource))):
        wrong = labels[name].notna() & ~labels[name].isin(allowed)
        _refuse(where, name, labels[name], wrong, ", ".join(allowed))
    for name in ("x_mm", "y_mm", "x_px", "y_px"):
        _refuse(where, name, labels[name], np.isinf(labels[name]), "a finite number")
    for x, y in (("x_mm", "y_mm"), ("x_px", "y_px")):
        wrong = labels[x].isna() != labels[y].isna()
        _refuse(where, f"{x}, {y}", labels[[x, y]], wrong, "both or neither")
    for name in ("region_mm", "region_px"):
        for row in np.flatnonzero(labels[name].notna()):
            text = str(labels[name].iloc[row])
            labels.loc[row, name] = format_region(
                parse_region(text, where=f"{where}: column {name}, row {row + 1}")
            )


def _refuse(where: str, name: str, values: Any, wrong: Any, expected: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        value = values.iloc[rows[0]]
        found = repr(value.tolist() if isinstance(value, pd.Series | np.generic) else value)
        raise BadInput(f"{where}: column {name}, row {rows[0] + 1}", expected, found)


def format_region(corners: Floats) -> str:
    """Return a region as text for a table: JSON, rounded to a millionth.

    Parameters
    ----------
    corners : (n, 2) x and y in the unit of the column, finite.

    >>> format_region(np.array([[0, 0], [1, 0], [0, 0.5]]))
    '[[0.0,0.0],[1.0,0.0],[0.0,0.5]]'
    """
    rounded = np.round(np.asarray(corners, float), _DECIMALS) + 0.0  # no -0.0
    return json.dumps(rounded.tolist(), separators=(",", ":"), allow_nan=False)


def parse_region(text: str, *, where: str = "region") -> Floats:
    """Return the corners of a region from its text, (n, 2) float64 x and y in its column's unit.

    Raises
    ------
    BadInput : the text is no JSON, has fewer than three corners, or a corner is not two finite
        numbers.
    """
    try:
        corners = np.array(json.loads(text), dtype=np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadInput(where, "corners as [[x, y], …]", repr(text)[:60]) from error
    if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise BadInput(where, "corners as [[x, y], …]", repr(text)[:60])
    if len(corners) < 3:
        raise BadInput(where, "three corners or more", f"{len(corners)}")
    return corners


def digest_events(labels: pd.DataFrame) -> list[str]:
    """Return a digest of each event that identifies it whatever its id, 32 hexadecimal digits.

    Events of the same foil, side, place, class, who and when have the same digest. The place is
    that on the foil, to the nanometre; where it is unknown, the place in the tile.

    Parameters
    ----------
    labels : n events, see ``as_labels``.
    """
    times = labels["when"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f")
    stated = [_plain(labels[c]) for c in ("foil", "side", "class", "who")] + [_plain(times)]
    x_mm, y_mm, x_px, y_px = (
        (labels[c].round(_DECIMALS) + 0.0).tolist() for c in ("x_mm", "y_mm", "x_px", "y_px")
    )
    on_foil = zip(x_mm, y_mm, _plain(labels["region_mm"]), strict=True)
    at = [_plain(labels[c]) for c in ("scan", "tile")]
    in_tile = zip(*at, x_px, y_px, _plain(labels["region_px"]), strict=True)
    has_mm = labels["x_mm"].notna().tolist()
    out = []
    for of_event, is_mm, foil, tile in zip(
        zip(*stated, strict=True), has_mm, on_foil, in_tile, strict=True
    ):
        text = json.dumps([*of_event, foil if is_mm else tile], ensure_ascii=False)
        out.append(hashlib.sha256(text.encode()).hexdigest()[:32])
    return out


def _plain(values: "pd.Series[Any]") -> list[Any]:
    """Return the values of a column as Python objects, None for null."""
    return [None if n else v for v, n in zip(values.tolist(), values.isna(), strict=True)]


def fill_ids(labels: pd.DataFrame) -> pd.DataFrame:
    """Return the labels with an id for each: its own, or else the digest of the event."""
    digests = pd.Series(digest_events(labels), index=labels.index, dtype="str")
    return labels.assign(id=labels["id"].fillna(digests).astype("str"))
