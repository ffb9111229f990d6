"""Compare two pit tables: counts, efficiency and purity, each beside its chance level."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from etchscope.evaluation.accidental import Accidental, accidental_matches
from etchscope.evaluation.chance import Chance, chance_matches, in_box, mean_known
from etchscope.evaluation.intervals import Proportion
from etchscope.evaluation.matching import Matching, Rule, match
from etchscope.evaluation.tiles import cells, overdispersion, proportion_over_tiles
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry import in_tile

__all__ = ["Evaluation", "Tiles", "evaluate"]

_CELL = {"px": (640.0, 480.0), "mm": (4.0, 3.0)}
"""A tile of the reference scan, for tables without a column tile."""


@dataclass(frozen=True)
class Tiles:
    """In which tile points lie, for intervals.

    ``truth``: (n,) and ``found``: (m,), from 0 on. ``number``: tiles with a point of either.
    ``of``: what tells them apart, in words.
    """

    truth: Ints
    found: Ints
    number: int
    of: str

    def truths(self, values: Bools | Floats) -> Ints | Floats:
        """Return how many truths are so, or the sum of their values without NaN, a tile."""
        return _sums(values, self.truth, self.number)

    def finds(self, values: Bools | Floats) -> Ints | Floats:
        """Return the same of found points."""
        return _sums(values, self.found, self.number)


def _sums(values: Bools | Floats, tile: Ints, number: int) -> Ints | Floats:
    if values.dtype == np.bool_:
        return np.bincount(tile[values.astype(bool)], minlength=number)
    return np.bincount(tile, np.nan_to_num(values), number)


@dataclass(frozen=True)
class Evaluation:
    """A found list against the truth, and the same list shifted nearby (chance).

    Intervals are over tiles, see ``tiles.proportion_over_tiles``.

    Parameters
    ----------
    rule, tolerance, unit : how points were matched; the tolerance in ``unit``, px or mm.
    grouped_by : the columns within which points matched, for example scan and tile.
    matching : of the list.
    confidence : of the intervals.
    truth, found : the tables, as given.
    image_size : (height, width) of a tile in px, if it was given.
    """

    rule: Rule
    tolerance: float
    unit: Literal["px", "mm"]
    grouped_by: tuple[str, ...]
    matching: Matching
    confidence: float
    truth: pd.DataFrame = field(repr=False, compare=False)
    found: pd.DataFrame = field(repr=False, compare=False)
    image_size: tuple[int, int] | None = None

    @cached_property
    def chance(self) -> Chance:
        """How often points match when the found list is shifted by 10 and 20 tolerances.

        Within its tile of ``image_size``, or the box around the points of all tiles; over the foil
        within the convex hull of both lists.
        """
        truth_xy, found_xy = self.points_xy
        truth_group, found_group = _groups(self.truth, self.found, self.grouped_by)
        inside: Callable[[Floats], Bools] | None = None
        if self.unit == "px" and self.image_size is not None:
            inside = partial(_in_picture, image_size=self.image_size)
        elif self.grouped_by and len(truth_xy) + len(found_xy):
            every = np.concatenate([truth_xy, found_xy])
            inside = in_box(every.min(axis=0), every.max(axis=0))
        return chance_matches(
            truth_xy,
            found_xy,
            self.tolerance,
            rule=self.rule,
            inside=inside,
            truth_group=truth_group,
            found_group=found_group,
        )

    @cached_property
    def tiles(self) -> Tiles:
        """The tiles by the columns scan and tile, where both tables fill them, or else cells.

        Cells are as large as the given tile, or one of the reference scan.
        """
        columns = _common_columns(self.truth, self.found)
        if "tile" in columns and not _other_scans(self.truth, self.found, columns):
            truth, found = _codes(self.truth, self.found, columns)
            of = " and ".join(columns)
        else:
            size = _CELL[self.unit]
            if self.unit == "px" and self.image_size is not None:
                size = (float(self.image_size[1]), float(self.image_size[0]))
            cell = cells(np.concatenate(self.points_xy), size)
            n = len(self.truth)
            tables = (self.truth.assign(_cell=cell[:n]), self.found.assign(_cell=cell[n:]))
            truth, found = _codes(*tables, (*self.grouped_by, "_cell"))
            of = f"cells of {size[0]:g} × {size[1]:g} {self.unit}"
        return Tiles(truth, found, len({*truth.tolist(), *found.tolist()}), of)

    @property
    def points_xy(self) -> tuple[Floats, Floats]:
        """Places of the truths and of the found points in the evaluation's unit, (n, 2), (m, 2)."""
        return _xy(self.truth, "truth", self.unit), _xy(self.found, "found", self.unit)

    def accidental(self) -> Accidental | None:
        """Return how many truths unrelated points of the same local density would find.

        None where points match within groups: a tile is too small for a ring around each point.
        """
        if self.grouped_by:
            return None
        truth_xy, found_xy = self.points_xy
        return accidental_matches(truth_xy, found_xy, self.tolerance, rule=self.rule)

    def lists(self) -> dict[str, pd.DataFrame]:
        """Return the rows to look at: ``true_positives``, ``false_negatives``, ``false_positives``.

        True positives and false negatives are rows of the truth, false positives of the found
        table; together they are all truths, and all found points without a truth.
        """
        hit = self.matching.truth_hit
        return {
            "true_positives": self.truth[hit].reset_index(drop=True),
            "false_negatives": self.truth[~hit].reset_index(drop=True),
            "false_positives": self.found[~self.matching.found_hit].reset_index(drop=True),
        }

    @property
    def efficiency(self) -> Proportion:
        """Truths that were found, over all truths."""
        return self.efficiency_of(np.ones(len(self.truth), bool))

    def efficiency_of(self, which: Bools) -> Proportion:
        """Return the efficiency for some of the truths, (n,)."""
        hits = self.tiles.truths(self.matching.truth_hit & which)
        return self._proportion(hits, self.tiles.truths(which))

    @property
    def purity(self) -> Proportion:
        """true_pos / (true_pos + false_pos)."""
        hits = self.tiles.truths(self.matching.truth_hit)
        return self._proportion(hits, hits + self.false_by_tile)

    def purity_of(self, which: Bools) -> Proportion:
        """Return the share of some of the found points, (m,), that are true."""
        hits = self.tiles.finds(self.matching.found_hit & which)
        return self._proportion(hits, self.tiles.finds(which))

    @property
    def chance_efficiency(self) -> Proportion:
        """The efficiency of the same list by local shifts, as sure as of one such list."""
        share = self.chance.truth
        return self._proportion(self.tiles.truths(share), self.tiles.truths(np.isfinite(share)))

    @property
    def chance_purity(self) -> Proportion:
        """The purity of the same list by local shifts, as sure as of one such list."""
        hits = self.tiles.truths(self.chance.truth)
        return self._proportion(hits, hits + self.tiles.finds(1 - self.chance.found))

    @property
    def false_by_tile(self) -> Ints:
        """False finds of each tile, (tiles,)."""
        return self.tiles.finds(~self.matching.found_hit).astype(np.int64)

    @property
    def false_chi2_ndf(self) -> float:
        """By how much false finds gather in some tiles, see ``tiles.overdispersion``."""
        return overdispersion(self.false_by_tile)

    def _proportion(self, hits: Ints | Floats, all_: Ints | Floats) -> Proportion:
        return proportion_over_tiles(hits, all_, confidence=self.confidence)

    def by(self, column: str) -> pd.DataFrame:
        """Return the efficiency per value of a column of the truth, one row a value.

        Columns: the value (under the column's name, "" for null), ``truths``, ``true_pos``,
        ``efficiency``, ``low``, ``high``, ``chance``; and, where the found table states the column
        too, ``agree``: the fraction of the matched pairs in which both state the same value.

        Raises
        ------
        BadInput : the truth does not have the column.
        """
        if column not in self.truth.columns:
            listed = ", ".join(map(str, self.truth.columns))
            raise BadInput("truth table", f"a column {column!r}", f"only {listed}")
        value = _as_text(self.truth[column])
        same = None
        if column in self.found.columns and self.found[column].notna().any():
            told = _as_text(self.found[column])[self.matching.found_index]
            same = told == value[self.matching.truth_index]
        rows = []
        for name in sorted(set(value.tolist())):
            here = value == name
            p = self.efficiency_of(here)
            row: dict[str, Any] = {column: name, "truths": p.trials, "true_pos": p.successes}
            row |= {"efficiency": p.value, "low": p.low, "high": p.high}
            row["chance"] = mean_known(self.chance.truth[here])
            if same is not None:
                pairs = same[here[self.matching.truth_index]]
                row["agree"] = float(pairs.mean()) if len(pairs) else math.nan
            rows.append(row)
        return pd.DataFrame(rows, columns=None if rows else [column, "truths", "true_pos"])

    def to_dict(self) -> dict[str, Any]:
        """Return all figures for JSON."""
        by_density, gathered = self.accidental(), self.false_chi2_ndf
        return {
            "rule": self.rule,
            f"tolerance_{self.unit}": self.tolerance,
            "grouped_by": list(self.grouped_by),
            "truths": len(self.truth),
            "found": len(self.found),
            "true_pos": self.matching.true_pos,
            "false_neg": self.matching.false_neg,
            "false_pos": self.matching.false_pos,
            "efficiency": self.efficiency.to_dict(),
            "purity": self.purity.to_dict(),
            "tiles": {
                "number": self.tiles.number,
                "of": self.tiles.of,
                "false_chi2_ndf": None if math.isnan(gathered) else gathered,
            },
            "chance": {
                "method": "local shifts of 10 and 20 tolerances in eight directions",
                "true_pos": self.chance_efficiency.successes,
                "efficiency": self.chance_efficiency.to_dict(),
                "purity": self.chance_purity.to_dict(),
                "from_densities": None if by_density is None else by_density.to_dict(),
            },
        }


def evaluate(
    truth: pd.DataFrame,
    found: pd.DataFrame,
    *,
    rule: Rule,
    tolerance_px: float | None = None,
    tolerance_mm: float | None = None,
    image_size: tuple[int, int] | None = None,
    confidence: float = 0.95,
) -> Evaluation:
    """Return how well a found table agrees with the truth, beside its chance level.

    With ``tolerance_px`` points are compared by x_px, y_px within their tile (the columns scan
    and tile, where both tables fill them); with ``tolerance_mm`` by x_mm, y_mm over the foil.

    Parameters
    ----------
    truth, found : tables with those columns; either may be empty.
    rule : see ``match_one_to_one`` and ``match_nearest``.
    tolerance_px, tolerance_mm : exactly one of them; pairs must be strictly closer.
    image_size : (height, width) of a tile, px, within which the list is shifted for its chance
        level; see ``Evaluation.chance`` for what is done without it, and with millimetres.
    confidence : of the intervals.

    Raises
    ------
    BadInput : none or both of the tolerances, a column that is absent or not finite, two tables
        that have no scan in common.

    Examples
    --------
    >>> truth = pd.DataFrame({"x_px": [10.0, 50.0], "y_px": [10.0, 20.0]})
    >>> found = pd.DataFrame({"x_px": [12.0], "y_px": [10.0]})
    >>> e = evaluate(truth, found, rule="one-to-one", tolerance_px=6, image_size=(480, 640))
    >>> e.matching.true_pos, e.purity.value, e.chance_purity.value
    (1, 1.0, 0.0)
    """
    unit: Literal["px", "mm"] = "px" if tolerance_mm is None else "mm"
    tolerance = tolerance_px if tolerance_mm is None else tolerance_mm
    if tolerance is None or (tolerance_px is not None and tolerance_mm is not None):
        given = "none" if tolerance is None else "both"
        raise BadInput("tolerance", "either tolerance_px or tolerance_mm", given)
    truth_xy, found_xy = _xy(truth, "truth", unit), _xy(found, "found", unit)
    grouped_by = _common_groups(truth, found) if unit == "px" else ()
    truth_group, found_group = _groups(truth, found, grouped_by)
    groups = {"truth_group": truth_group, "found_group": found_group}
    matching = match(truth_xy, found_xy, tolerance, rule=rule, **groups)
    known = (rule, tolerance, unit, grouped_by, matching, confidence, truth, found)
    return Evaluation(*known, image_size)


def _as_text(column: "pd.Series[Any]") -> Any:
    return column.astype("str").where(column.notna(), "").to_numpy(dtype=object)


def _xy(table: pd.DataFrame, name: str, unit: str) -> Floats:
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


def _common_columns(truth: pd.DataFrame, found: pd.DataFrame) -> tuple[str, ...]:
    """Return those of scan and tile that both tables have and fill."""
    return tuple(
        c
        for c in ("scan", "tile")
        if all(c in t.columns and bool(t[c].notna().all()) for t in (truth, found))
    )


def _other_scans(truth: pd.DataFrame, found: pd.DataFrame, columns: tuple[str, ...]) -> bool:
    """Return whether two filled tables have no scan in common."""
    if "scan" not in columns or not len(truth) or not len(found):
        return False
    return not set(truth["scan"]) & set(found["scan"])


def _common_groups(truth: pd.DataFrame, found: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns within which points match in pixels."""
    common = _common_columns(truth, found)
    if _other_scans(truth, found, common):
        names = sorted(set(truth["scan"])), sorted(set(found["scan"]))
        hint = "Drop the column scan from one of the tables to compare them all the same."
        raise BadInput("found table: scan", f"a scan of {names[0]}", f"{names[1]}", hint=hint)
    return common


def _groups(
    truth: pd.DataFrame, found: pd.DataFrame, columns: tuple[str, ...]
) -> tuple[Ints | None, Ints | None]:
    return _codes(truth, found, columns) if columns else (None, None)


def _codes(truth: pd.DataFrame, found: pd.DataFrame, columns: tuple[str, ...]) -> tuple[Ints, Ints]:
    both = pd.concat([truth[list(columns)], found[list(columns)]], ignore_index=True)
    codes = both.groupby(list(columns), sort=False).ngroup().to_numpy().astype(np.int64)
    return codes[: len(truth)], codes[len(truth) :]


def _in_picture(xy: Floats, image_size: tuple[int, int]) -> Bools:
    return in_tile(xy[:, 0], xy[:, 1], image_size)
