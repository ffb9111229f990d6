"""The candidate table: the columns that it has beside those of the pit table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from etchscope.foil import BadInput, PitColumn, as_pits

__all__ = ["EXPERT_COLUMNS", "VOTE_COLUMNS", "as_candidates", "is_voted"]

VOTE_COLUMNS: tuple[PitColumn, ...] = (
    PitColumn(
        "distance", "float64", "", "distance of its picture from the pictures that taught the model"
    ),
    PitColumn(
        "anomaly", "float64", "", "distance of its picture from those of all classes but signal"
    ),
)
"""What the model said of an opening's own picture, before pair and search were reckoned with."""
EXPERT_COLUMNS = PitColumn(
    "logit_", "float64", "", "log odds of the expert's first group against its second"
)
"""One column per expert, whose name follows; per group where the expert knows more than two."""


def is_voted(name: str) -> bool:
    """Return whether a column holds what the model said of an opening's own picture.

    >>> is_voted("anomaly"), is_voted("logit_hip-top"), is_voted("score")
    (True, True, False)
    """
    return name in {c.name for c in VOTE_COLUMNS} or name.startswith(EXPERT_COLUMNS.name)


def as_candidates(columns: pd.DataFrame | Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with exactly the candidate table's columns, in order and dtype.

    They are those of ``foil.as_pits``, then those of ``VOTE_COLUMNS`` and ``EXPERT_COLUMNS`` that
    are given, which a run of an earlier version lacks.

    Parameters
    ----------
    columns : the columns that are known, each one value per candidate.

    Raises
    ------
    BadInput : a column is not one of the candidate table's, or cannot be read as its dtype; a row
        without a score.

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
