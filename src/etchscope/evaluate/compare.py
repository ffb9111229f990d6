"""Compare two pit tables: counts, efficiency and purity, each beside its chance level."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from etchscope.evaluate.accidental import Accidental, accidental_matches
from etchscope.evaluate.chance import bounding_centre, tile_centre, turn_180
from etchscope.evaluate.intervals import Proportion, proportion
from etchscope.evaluate.matching import Matching, Rule, match
from etchscope.foil import BadInput
from etchscope.foil.types import Floats, Ints

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """A found list against the truth, and the same list turned by 180° (chance).

    Parameters
    ----------
    rule, tolerance, unit : how points were matched; the tolerance in ``unit``, px or mm.
    grouped_by : the columns within which points matched, for example scan and tile.
    matching, chance : the matching of the list, and of the list turned by 180°.
    confidence : of the intervals.
    truth, found : the tables, as given.
    image_size : (height, width) of a tile in px, if it was given.
    """

    rule: Rule
    tolerance: float
    unit: Literal["px", "mm"]
    grouped_by: tuple[str, ...]
    matching: Matching
    chance: Matching
    confidence: float
    truth: pd.DataFrame = field(repr=False, compare=False)
    found: pd.DataFrame = field(repr=False, compare=False)
    image_size: tuple[int, int] | None = None

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
        return _efficiency(self.matching, self.confidence)

    @property
    def purity(self) -> Proportion:
        """true_pos / (true_pos + false_pos)."""
        return _purity(self.matching, self.confidence)

    @property
    def chance_efficiency(self) -> Proportion:
        """The efficiency of the same list, turned by 180°."""
        return _efficiency(self.chance, self.confidence)

    @property
    def chance_purity(self) -> Proportion:
        """The purity of the same list, turned by 180°."""
        return _purity(self.chance, self.confidence)

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
            hits = int(self.matching.truth_hit[here].sum())
            p = proportion(hits, int(here.sum()), confidence=self.confidence)
            row: dict[str, Any] = {column: name, "truths": p.trials, "true_pos": hits}
            row |= {"efficiency": p.value, "low": p.low, "high": p.high}
            row["chance"] = float(self.chance.truth_hit[here].mean())
            if same is not None:
                pairs = same[here[self.matching.truth_index]]
                row["agree"] = float(pairs.mean()) if len(pairs) else math.nan
            rows.append(row)
        return pd.DataFrame(rows, columns=None if rows else [column, "truths", "true_pos"])

    def to_dict(self) -> dict[str, Any]:
        """Return all figures for JSON."""
        by_density = self.accidental()
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
            "chance": {
                "true_pos": self.chance.true_pos,
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
    image_size : (height, width) of a tile, px, for the turn of the chance level; without it, and
        for millimetres, the list is turned about the centre of the box around all points.
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
    >>> e.matching.true_pos, e.purity.value, e.chance.true_pos
    (1, 1.0, 0)
    """
    unit: Literal["px", "mm"] = "px" if tolerance_mm is None else "mm"
    tolerance = tolerance_px if tolerance_mm is None else tolerance_mm
    if tolerance is None or (tolerance_px is not None and tolerance_mm is not None):
        given = "none" if tolerance is None else "both"
        raise BadInput("tolerance", "either tolerance_px or tolerance_mm", given)
    truth_xy, found_xy = _xy(truth, "truth", unit), _xy(found, "found", unit)
    grouped_by = _common_groups(truth, found) if unit == "px" else ()
    truth_group, found_group = _groups(truth, found, grouped_by)
    if image_size is not None and unit == "px":
        centre = tile_centre(image_size)
    else:
        centre = bounding_centre(truth_xy, found_xy)
    groups = {"truth_group": truth_group, "found_group": found_group}
    matching = match(truth_xy, found_xy, tolerance, rule=rule, **groups)
    chance = match(truth_xy, turn_180(found_xy, centre), tolerance, rule=rule, **groups)
    known = (rule, tolerance, unit, grouped_by, matching, chance, confidence, truth, found)
    return Evaluation(*known, image_size)


def _efficiency(m: Matching, confidence: float) -> Proportion:
    return proportion(m.true_pos, m.true_pos + m.false_neg, confidence=confidence)


def _purity(m: Matching, confidence: float) -> Proportion:
    return proportion(m.true_pos, m.true_pos + m.false_pos, confidence=confidence)


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


def _common_groups(truth: pd.DataFrame, found: pd.DataFrame) -> tuple[str, ...]:
    """Return those of scan and tile that both tables have and fill."""
    common = tuple(
        c
        for c in ("scan", "tile")
        if all(c in t.columns and bool(t[c].notna().all()) for t in (truth, found))
    )
    if "scan" in common and len(truth) and len(found):
        names = sorted(set(truth["scan"])), sorted(set(found["scan"]))
        if not set(names[0]) & set(names[1]):
            hint = "Drop the column scan from one of the tables to compare them all the same."
            raise BadInput("found table: scan", f"a scan of {names[0]}", f"{names[1]}", hint=hint)
    return common


def _groups(
    truth: pd.DataFrame, found: pd.DataFrame, columns: tuple[str, ...]
) -> tuple[Ints | None, Ints | None]:
    if not columns:
        return None, None
    both = pd.concat([truth[list(columns)], found[list(columns)]], ignore_index=True)
    codes = both.groupby(list(columns), sort=False).ngroup().to_numpy().astype(np.int64)
    return codes[: len(truth)], codes[len(truth) :]
