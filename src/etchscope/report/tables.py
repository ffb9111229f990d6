"""Checks of the tables that figures are drawn from."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from etchscope.foil import BadInput
from etchscope.report.style import SERIES_COLOURS

__all__ = ["drawable", "series"]

_DASHES = ("-", "--", "-.", ":")


def drawable(table: pd.DataFrame, columns: Sequence[str], where: str) -> pd.DataFrame:
    """Return these columns of a table that has something to draw.

    Raises
    ------
    BadInput : a column is missing, or there is no row; ``where`` is what the message names.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing:
        found = f"no {', '.join(missing)}"
        raise BadInput(where, f"the columns {', '.join(columns)}", found)
    if not len(table):
        raise BadInput(where, "one row or more to draw", "none")
    return table[list(columns)]


def series(
    curves: Mapping[str, pd.DataFrame], columns: Sequence[str], where: str
) -> Iterator[tuple[str, pd.DataFrame, str, str]]:
    """Yield each curve's name, its table, and the colour and dashes to draw it with.

    Raises
    ------
    BadInput : see ``drawable``; or there is no curve.
    """
    if not curves:
        raise BadInput(where, "one curve or more to draw", "none")
    for place, (name, table) in enumerate(curves.items()):
        turn, colour = divmod(place, len(SERIES_COLOURS))
        own = drawable(table, columns, f"{where} {name}")
        yield name, own, SERIES_COLOURS[colour], _DASHES[turn % len(_DASHES)]
