"""Conversion between tables of labels and the rows of the catalogue."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from etchscope.foil import (
    LABEL_COLUMNS,
    BadInput,
    as_labels,
    digest_events,
)
from etchscope.foil.types import Bools
from etchscope.store.catalogue import LabelRow

__all__ = [
    "are_known",
    "as_rows",
    "class_counts",
    "damaged_labels",
    "get_labels",
    "label_counts",
    "put_rows",
]

_FIELDS = {c.name: "kind" if c.name == "class" else c.name for c in LABEL_COLUMNS}
_AT_ONCE = 500  # ids in one query


def label_counts(session: Session, foils: Sequence[str]) -> dict[str, int]:
    """Return foil → number of events, of these foils that have any."""
    query = select(LabelRow.foil, func.count()).where(LabelRow.foil.in_(foils))
    rows = session.execute(query.group_by(LabelRow.foil).order_by(LabelRow.foil)).all()
    return {foil: int(count) for foil, count in rows}


def class_counts(session: Session) -> dict[str, int]:
    """Return class → number of events that name it."""
    rows = session.execute(select(LabelRow.kind, func.count()).group_by(LabelRow.kind)).all()
    return {kind: int(count) for kind, count in rows}


def get_labels(session: Session, **wanted: str | None) -> pd.DataFrame:
    """Return events in their order of arrival, those with the wanted foil, side or who.

    Raises
    ------
    BadInput : a row is damaged.
    """
    query = select(*(getattr(LabelRow, f) for f in _FIELDS.values())).order_by(LabelRow.number)
    for field, value in wanted.items():
        if value is not None:
            query = query.where(getattr(LabelRow, field) == value)
    rows = session.execute(query).all()
    columns = {name: [row[i] for row in rows] for i, name in enumerate(_FIELDS)}
    return as_labels(columns, where="catalogue: labels")


def are_known(session: Session, labels: pd.DataFrame) -> Bools:
    """Return, per label, whether the catalogue has the event already, whatever its id.

    Parameters
    ----------
    labels : n labels, see ``foil.as_labels``.

    Returns
    -------
    (n,) bool.
    """
    if labels.empty:
        return np.zeros(len(labels), bool)
    digests = digest_events(labels)
    events = set(_known(session, [], digests).values())
    return np.array([digest in events for digest in digests])


def as_rows(labels: pd.DataFrame) -> list[dict[str, Any]]:
    """Return complete labels, each with its id, as rows for ``put_rows``."""
    times = labels["when"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    plain = labels.astype(object).where(labels.notna(), None).to_dict("records")
    return [
        {_FIELDS[str(k)]: v for k, v in row.items()} | {"when": when, "event": event}
        for row, event, when in zip(plain, digest_events(labels), times, strict=True)
    ]


def put_rows(session: Session, rows: list[dict[str, Any]], where: str) -> int:
    """Add the events that are not there yet, and return how many those are.

    Parameters
    ----------
    rows : of ``as_rows``.
    where : what an error names.

    Raises
    ------
    BadInput : another event has the same id.
    """
    known = _known(session, [row["id"] for row in rows], [row["event"] for row in rows])
    events = set(known.values())
    new: list[dict[str, Any]] = []
    for row in rows:
        if known.get(row["id"], row["event"]) != row["event"]:
            found = f"another event of the same id {row['id']!r}"
            hint = "An event is never overwritten; give the new one an id of its own, or none."
            raise BadInput(where, "a new event, or a known one unchanged", found, hint)
        if row["event"] in events:
            continue
        known[row["id"]] = row["event"]
        events.add(row["event"])
        new.append(row)
    if new:
        session.execute(insert(LabelRow), new)
    return len(new)


def _known(session: Session, ids: list[str], events: list[str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for column, values in ((LabelRow.id, ids), (LabelRow.event, events)):
        for start in range(0, len(values), _AT_ONCE):
            part = values[start : start + _AT_ONCE]
            query = select(LabelRow.id, LabelRow.event).where(column.in_(part))
            out |= {row.id: row.event for row in session.execute(query)}
    return out


def damaged_labels(session: Session) -> list[str]:
    """Return the ids of events whose rows are not what was added."""
    labels = get_labels(session)
    stored = session.scalars(select(LabelRow.event).order_by(LabelRow.number)).all()
    pairs = zip(labels["id"], digest_events(labels), stored, strict=True)
    return [name for name, event, was in pairs if event != was]
