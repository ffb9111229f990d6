"""The tables of which figures are drawn: their columns, and how they are divided."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from etchscope.draw.style import SERIES_COLOURS
from etchscope.foil import BadInput

__all__ = [
    "SURFACES",
    "format_count",
    "require_columns",
    "select_pairs",
    "split_by_surface",
    "style_curves",
    "thin_evenly",
]

SURFACES = ("top", "bottom", "unknown")
"""The values of the pit table's ``surface``, in the order in which they are drawn."""

_DASHES = ("-", "--", "-.", ":")


def require_columns(table: pd.DataFrame, columns: Sequence[str], where: str) -> pd.DataFrame:
    """Return these columns of a table with at least one row.

    Parameters
    ----------
    where : name of the table, for errors.

    Raises
    ------
    BadInput : a column is missing, or there is no row.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing:
        found = f"no {', '.join(missing)}"
        raise BadInput(where, f"the columns {', '.join(columns)}", found)
    if not len(table):
        raise BadInput(where, "one row or more to draw", "none")
    return table[list(columns)]


def style_curves(
    curves: Mapping[str, pd.DataFrame], columns: Sequence[str], where: str
) -> Iterator[tuple[str, pd.DataFrame, str, str]]:
    """Yield the name of each curve, its table, its colour and its dashes.

    Raises
    ------
    BadInput : see ``require_columns``; or there is no curve.
    """
    if not curves:
        raise BadInput(where, "one curve or more to draw", "none")
    for place, (name, table) in enumerate(curves.items()):
        turn, colour = divmod(place, len(SERIES_COLOURS))
        own = require_columns(table, columns, f"{where} {name}")
        yield name, own, SERIES_COLOURS[colour], _DASHES[turn % len(_DASHES)]


def format_count(number: int, what: str) -> str:
    """Return a number with its noun.

    >>> format_count(1, "pit"), format_count(1200, "pit")
    ('1 pit', '1,200 pits')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def split_by_surface(pits: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return surface → its rows, in the order of ``SURFACES``; other values count as unknown."""
    surface = pits["surface"].where(pits["surface"].isin(SURFACES[:2]), SURFACES[2])
    return {name: pits[surface == name] for name in SURFACES}


def select_pairs(pits: pd.DataFrame) -> pd.DataFrame:
    """Return the entry pits that have a partner, by rising ``pair_p``."""
    entries = pits[(pits["surface"] == "top") & pits["partner"].notna()]
    return entries.sort_values(["pair_p", "pit"], na_position="last", ignore_index=True)


def thin_evenly(rows: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Return at most ``limit`` rows, evenly spaced over the table."""
    if len(rows) <= limit:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, limit).astype(int)]
