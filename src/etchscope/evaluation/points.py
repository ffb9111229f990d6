"""The points of a truth and of a found table: their places, and the groups that they belong to."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats, Ints

__all__ = [
    "Tiles",
    "common_columns",
    "common_groups",
    "lack_common_scan",
    "number_groups",
    "points_of",
]


@dataclass(frozen=True)
class Tiles:
    """The tile of each point, for intervals over tiles.

    Parameters
    ----------
    truth, found : (n,) and (m,) number of the tile of each point, from 0 on.
    number : number of tiles with a point of either table.
    of : the columns or cells that distinguish the tiles, in words.
    """

    truth: Ints
    found: Ints
    number: int
    of: str

    def truths(self, values: Bools | Floats) -> Ints | Floats:
        """Return the count of bools on each tile, or the sum of values that are not NaN, (tiles,).

        Parameters
        ----------
        values : (n,) bool or float64.
        """
        return _sums(values, self.truth, self.number)

    def finds(self, values: Bools | Floats) -> Ints | Floats:
        """Return the same of found points, (tiles,).

        Parameters
        ----------
        values : (m,) bool or float64.
        """
        return _sums(values, self.found, self.number)


def _sums(values: Bools | Floats, tile: Ints, number: int) -> Ints | Floats:
    if values.dtype == np.bool_:
        return np.bincount(tile[values.astype(bool)], minlength=number)
    return np.bincount(tile, np.nan_to_num(values), number)


def points_of(table: pd.DataFrame, name: str, unit: str) -> Floats:
    """Return the places of a table, (n, 2) float64: its columns x and y in px or mm.

    Parameters
    ----------
    name : of the table, for errors.
    unit : px or mm.

    Raises
    ------
    BadInput : a column is absent, or holds something else than finite numbers.
    """
    columns = [f"x_{unit}", f"y_{unit}"]
    absent = [c for c in columns if c not in table.columns]
    if absent:
        other = "mm" if unit == "px" else "px"
        hint = f"Give a tolerance in {other}." if f"x_{other}" in table.columns else ""
        raise BadInput(f"{name} table", f"a column {absent[0]}", "none", hint=hint)
    try:
        xy = table[columns].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} table: {', '.join(columns)}", "numbers", str(error)) from error
    bad = np.flatnonzero(~np.isfinite(xy).all(axis=1))
    if len(bad):
        where = f"{name} table: {', '.join(columns)}"
        raise BadInput(where, "finite numbers", f"none in row {bad[0] + 1} of {len(xy)}")
    return xy


def common_columns(truth: pd.DataFrame, found: pd.DataFrame) -> tuple[str, ...]:
    """Return which of the columns scan and tile both tables have and fill.

    Parameters
    ----------
    truth, found : the two tables.
    """
    return tuple(
        c
        for c in ("scan", "tile")
        if all(c in t.columns and bool(t[c].notna().all()) for t in (truth, found))
    )


def lack_common_scan(truth: pd.DataFrame, found: pd.DataFrame, columns: tuple[str, ...]) -> bool:
    """Return whether two tables with rows have no scan in common.

    Parameters
    ----------
    truth, found : the two tables.
    columns : see ``common_columns``.
    """
    if "scan" not in columns or not len(truth) or not len(found):
        return False
    return not set(truth["scan"]) & set(found["scan"])


def common_groups(truth: pd.DataFrame, found: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns within which points match in pixels.

    Parameters
    ----------
    truth, found : the two tables.

    Raises
    ------
    BadInput : the tables have no scan in common.
    """
    common = common_columns(truth, found)
    if lack_common_scan(truth, found, common):
        names = sorted(set(truth["scan"])), sorted(set(found["scan"]))
        hint = "Drop the column scan from one of the tables to compare them all the same."
        raise BadInput("found table: scan", f"a scan of {names[0]}", f"{names[1]}", hint=hint)
    return common


def number_groups(
    truth: pd.DataFrame, found: pd.DataFrame, columns: tuple[str, ...]
) -> tuple[Ints, Ints]:
    """Return the group of each row of either table, (n,) and (m,) int64, numbered from 0 on.

    Parameters
    ----------
    truth, found : the two tables, of n and m rows.
    columns : whose values make a group.
    """
    both = pd.concat([truth[list(columns)], found[list(columns)]], ignore_index=True)
    codes = both.groupby(list(columns), sort=False).ngroup().to_numpy().astype(np.int64)
    return codes[: len(truth)], codes[len(truth) :]
