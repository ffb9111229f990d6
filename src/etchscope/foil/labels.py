"""Labels: events that say what is at a place on a foil. None is ever overwritten.

Another opinion, a second thought and a withdrawal are events of their own; which of them stand is
a question to ``latest``. A label is anchored to the foil, so it outlives any run of the detection
and any scan; where the scale is unknown it is anchored to a scan's tile.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

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
    "event_digests",
    "region_corners",
    "region_text",
    "with_ids",
]

LabelSource = Literal["person", "model", "coincidence"]
BEYOND_PX = 14.0
"""An opening that a tile's edge cuts may have its centre so far outside: half a patch."""
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
    columns : the columns that are known, each one value a label.
    where : what an error names: the file, for example.

    Raises
    ------
    BadInput : a column is none of a label's or cannot be read as its dtype; an unknown side or
        source, a place that is not finite, a region with fewer than three corners, a time that
        is none.

    Examples
    --------
    >>> labels = as_labels({"x_mm": [1.0], "y_mm": [2.0], "class": ["top"], "when": ["2026-05-01"]})
    >>> print(labels[["x_mm", "class", "when"]])
       x_mm class                      when
    0   1.0   top 2026-05-01 00:00:00+00:00
    """
    given = pd.DataFrame(columns).reset_index(drop=True)
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
            out[column.name] = values.astype(column.dtype).array
        except (TypeError, ValueError) as error:
            if isinstance(error, BadInput):
                raise
            text = (str(error).splitlines() or ["another kind"])[0]
            raise BadInput(at, _kind(column), text) from error
    labels = pd.DataFrame(out)
    _check(labels, where)
    return labels


def _kind(column: LabelColumn) -> str:
    return "whole numbers" if column.dtype == "Int64" else f"values of dtype {column.dtype}"


def _times(where: str, values: "pd.Series[Any]") -> "pd.Series[Any]":
    if pd.api.types.is_numeric_dtype(values) and values.notna().any():
        raise BadInput(where, "times as 2026-05-01T12:00:00Z", repr(values.dropna().iloc[0]))
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
            labels.loc[row, name] = region_text(
                region_corners(text, where=f"{where}: column {name}, row {row + 1}")
            )


def _refuse(where: str, name: str, values: Any, wrong: Any, expected: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        value = values.iloc[rows[0]]
        found = repr(value.tolist() if isinstance(value, pd.Series | np.generic) else value)
        raise BadInput(f"{where}: column {name}, row {rows[0] + 1}", expected, found)


def region_text(corners: Floats) -> str:
    """Return a region as it stands in a table: JSON, rounded to a millionth.

    >>> region_text(np.array([[0, 0], [1, 0], [0, 0.5]]))
    '[[0.0,0.0],[1.0,0.0],[0.0,0.5]]'
    """
    rounded = np.round(np.asarray(corners, float), _DECIMALS) + 0.0  # no -0.0
    return json.dumps(rounded.tolist(), separators=(",", ":"), allow_nan=False)


def region_corners(text: str, *, where: str = "region") -> Floats:
    """Return the corners of a region, (n, 2) x and y in the unit of its column.

    Raises
    ------
    BadInput : not JSON, fewer than three corners, or a corner that is not two finite numbers.
    """
    try:
        corners = np.array(json.loads(text), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise BadInput(where, "corners as [[x, y], …]", repr(text)[:60]) from error
    if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise BadInput(where, "corners as [[x, y], …]", repr(text)[:60])
    if len(corners) < 3:
        raise BadInput(where, "three corners or more", f"{len(corners)}")
    return corners


def event_digests(labels: pd.DataFrame) -> list[str]:
    """Return the identity of each event, whatever its id.

    It is equal for the same foil, side, place, class, who and when. A place on the foil counts to
    the nanometre; where there is none, the place in the tile.
    """
    times = labels["when"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f")
    told = [_plain(labels[c]) for c in ("foil", "side", "class", "who")] + [_plain(times)]
    x_mm, y_mm, x_px, y_px = (
        (labels[c].round(_DECIMALS) + 0.0).tolist() for c in ("x_mm", "y_mm", "x_px", "y_px")
    )
    on_foil = zip(x_mm, y_mm, _plain(labels["region_mm"]), strict=True)
    at = [_plain(labels[c]) for c in ("scan", "tile")]
    in_tile = zip(*at, x_px, y_px, _plain(labels["region_px"]), strict=True)
    has_mm = labels["x_mm"].notna().tolist()
    out = []
    for said, is_mm, foil, tile in zip(
        zip(*told, strict=True), has_mm, on_foil, in_tile, strict=True
    ):
        text = json.dumps([*said, foil if is_mm else tile], ensure_ascii=False)
        out.append(hashlib.sha256(text.encode()).hexdigest()[:32])
    return out


def _plain(values: "pd.Series[Any]") -> list[Any]:
    """Return the values of a column as Python's own, None for null."""
    return [None if n else v for v, n in zip(values.tolist(), values.isna(), strict=True)]


def with_ids(labels: pd.DataFrame) -> pd.DataFrame:
    """Return the labels with an id each: the given one, or else the event's digest."""
    digests = pd.Series(event_digests(labels), index=labels.index, dtype="str")
    return labels.assign(id=labels["id"].fillna(digests).astype("str"))
