"""The candidate table: its columns in addition to those of the pit table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from etchscope.foil import BadInput, PitColumn, as_pits

__all__ = ["EXPERT_COLUMNS", "VOTE_COLUMNS", "as_candidates", "is_voted"]

VOTE_COLUMNS: tuple[PitColumn, ...] = (
    PitColumn(
        "distance",
        "float64",
        "",
        "distance of its picture from the pictures that the model was trained on",
    ),
    PitColumn(
        "anomaly", "float64", "", "distance of its picture from those of all classes but signal"
    ),
)
"""Figures of the model for the picture of an opening alone, without its pair and the search."""
EXPERT_COLUMNS = PitColumn(
    "logit_", "float64", "", "log odds of the expert's first group against its second"
)
"""One column per expert, whose name follows; one per group if the expert knows more than two."""


def is_voted(name: str) -> bool:
    """Return whether a column holds a figure of the model for the picture of an opening alone.

    Parameters
    ----------
    name : of the column.

    Examples
    --------
    >>> is_voted("anomaly"), is_voted("logit_hip-top"), is_voted("score")
    (True, True, False)
    """
    return name in {c.name for c in VOTE_COLUMNS} or name.startswith(EXPERT_COLUMNS.name)


def as_candidates(columns: pd.DataFrame | Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with exactly the candidate table's columns, in order and dtype.

    The columns are those of ``foil.as_pits``, followed by those of ``VOTE_COLUMNS`` and
    ``EXPERT_COLUMNS`` that are given; runs of earlier versions lack these.

    Parameters
    ----------
    columns : the known columns, with one value per candidate.

    Raises
    ------
    BadInput : a column that the candidate table does not have, values that cannot be read as the
        dtype of their column, or a row without a score.

    Examples
    --------
    >>> table = as_candidates({"pit": [3], "score": [1.5], "anomaly": [4]})
    >>> print(table[["pit", "score", "anomaly"]])
       pit  score  anomaly
    0    3    1.5      4.0
    """
    given = pd.DataFrame(columns)
    names = [str(c) for c in given.columns if is_voted(str(c))]
    pits = as_pits(given.drop(columns=names))
    unscored = int(pits["score"].isna().sum())
    if unscored:
        raise BadInput("candidate table: column score", "a score in each row", f"{unscored} null")
    declared = [c.name for c in VOTE_COLUMNS if c.name in names]
    declared += [name for name in names if name not in declared]
    try:
        votes = given[declared].astype("float64")
    except (TypeError, ValueError) as error:
        where = f"candidate table: columns {', '.join(declared)}"
        raise BadInput(where, "float64", str(error)) from error
    return pits.join(votes.set_axis(pits.index, axis=0))
