"""Compare a found table with the truth: counts, efficiency and purity beside their chance level."""

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
from etchscope.evaluation.points import (
    Tiles,
    common_columns,
    common_groups,
    lack_common_scan,
    number_groups,
    points_of,
)
from etchscope.evaluation.tiles import number_cells, overdispersion, proportion_over_tiles
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry import in_tile

__all__ = ["Evaluation", "evaluate"]

_CELL = {"px": (640.0, 480.0), "mm": (4.0, 3.0)}
"""A tile of the reference scan, for tables without a column tile."""


@dataclass(frozen=True)
class Evaluation:
    """The comparison of a found list with the truth, and of the same list after shifts (chance).

    Intervals are over tiles, see ``tiles.proportion_over_tiles``.

    Parameters
    ----------
    rule, tolerance, unit : how points were matched; the tolerance is in ``unit``, px or mm.
    grouped_by : the columns within which points matched, for example scan and tile.
    matching : of the two lists.
    confidence : of the intervals.
    truth, found : the two tables.
    image_size : (height, width) of a tile in px; None if it is unknown.
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

        Points are shifted within their tile of ``image_size`` or, without it, within the box around
        the points of all tiles; over the foil they are shifted in the convex hull of both lists.
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
        """The tiles by the columns scan and tile if both tables fill them, or else cells.

        Cells are as large as a tile of ``image_size``, or of the reference scan.
        """
        columns = common_columns(self.truth, self.found)
        if "tile" in columns and not lack_common_scan(self.truth, self.found, columns):
            truth, found = number_groups(self.truth, self.found, columns)
            of = " and ".join(columns)
        else:
            size = _CELL[self.unit]
            if self.unit == "px" and self.image_size is not None:
                size = (float(self.image_size[1]), float(self.image_size[0]))
            cell = number_cells(np.concatenate(self.points_xy), size)
            n = len(self.truth)
            tables = (self.truth.assign(_cell=cell[:n]), self.found.assign(_cell=cell[n:]))
            truth, found = number_groups(*tables, (*self.grouped_by, "_cell"))
            of = f"cells of {size[0]:g} × {size[1]:g} {self.unit}"
        return Tiles(truth, found, len({*truth.tolist(), *found.tolist()}), of)

    @property
    def points_xy(self) -> tuple[Floats, Floats]:
        """Places of the truths and of the found points in the evaluation's unit, (n, 2), (m, 2)."""
        return points_of(self.truth, "truth", self.unit), points_of(self.found, "found", self.unit)

    def accidental(self) -> Accidental | None:
        """Return how many truths would match unrelated points of the same local density.

        None if points match within tiles, since a tile is too small for a ring around each point.
        """
        if self.grouped_by:
            return None
        truth_xy, found_xy = self.points_xy
        return accidental_matches(truth_xy, found_xy, self.tolerance, rule=self.rule)

    def lists(self) -> dict[str, pd.DataFrame]:
        """Return the rows of ``true_positives``, ``false_negatives`` and ``false_positives``.

        True positives and false negatives are rows of the truth and together all of it; false
        positives are rows of the found table.
        """
        hit = self.matching.truth_hit
        return {
            "true_positives": self.truth[hit].reset_index(drop=True),
            "false_negatives": self.truth[~hit].reset_index(drop=True),
            "false_positives": self.found[~self.matching.found_hit].reset_index(drop=True),
        }

    @property
    def efficiency(self) -> Proportion:
        """The share of the truths that were found."""
        return self.efficiency_of(np.ones(len(self.truth), bool))

    def efficiency_of(self, which: Bools) -> Proportion:
        """Return the efficiency for some of the truths.

        Parameters
        ----------
        which : (n,) bool.
        """
        hits = self.tiles.truths(self.matching.truth_hit & which)
        return self._proportion(hits, self.tiles.truths(which))

    @property
    def purity(self) -> Proportion:
        """true_pos / (true_pos + false_pos)."""
        hits = self.tiles.truths(self.matching.truth_hit)
        return self._proportion(hits, hits + self.false_by_tile)

    def purity_of(self, which: Bools) -> Proportion:
        """Return the purity of some of the found points.

        Parameters
        ----------
        which : (m,) bool.
        """
        hits = self.tiles.finds(self.matching.found_hit & which)
        return self._proportion(hits, self.tiles.finds(which))

    @property
    def chance_efficiency(self) -> Proportion:
        """The efficiency of the same list by local shifts, with the interval of one such list."""
        share = self.chance.truth
        return self._proportion(self.tiles.truths(share), self.tiles.truths(np.isfinite(share)))

    @property
    def chance_purity(self) -> Proportion:
        """The purity of the same list by local shifts, with the interval of one such list."""
        hits = self.tiles.truths(self.chance.truth)
        return self._proportion(hits, hits + self.tiles.finds(1 - self.chance.found))

    @property
    def false_by_tile(self) -> Ints:
        """Number of false finds on each tile, (tiles,) int64."""
        return self.tiles.finds(~self.matching.found_hit).astype(np.int64)

    @property
    def false_chi2_ndf(self) -> float:
        """χ²/ndf of the false finds per tile, see ``tiles.overdispersion``."""
        return overdispersion(self.false_by_tile)

    def _proportion(self, hits: Ints | Floats, all_: Ints | Floats) -> Proportion:
        return proportion_over_tiles(hits, all_, confidence=self.confidence)

    def by(self, column: str) -> pd.DataFrame:
        """Return the efficiency for each value of a column of the truth, one row per value.

        Columns: the value (under the column's name, "" for null), ``truths``, ``true_pos``,
        ``efficiency``, ``low``, ``high``, ``chance``; and, if the found table states the column
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
            found = _as_text(self.found[column])[self.matching.found_index]
            same = found == value[self.matching.truth_index]
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
    """Return the comparison of a found table with the truth.

    With ``tolerance_px`` points are compared by x_px, y_px within their tile (the columns scan
    and tile, if both tables fill them); with ``tolerance_mm`` by x_mm, y_mm over the foil.

    Parameters
    ----------
    truth, found : tables with those columns; either may be empty.
    rule : see ``match_one_to_one`` and ``match_nearest``.
    tolerance_px, tolerance_mm : exactly one of them; pairs must be strictly closer.
    image_size : (height, width) of a tile in px, within which the list is shifted for its chance
        level; see ``Evaluation.chance`` for the area without it, and with millimetres.
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
    truth_xy, found_xy = points_of(truth, "truth", unit), points_of(found, "found", unit)
    grouped_by = common_groups(truth, found) if unit == "px" else ()
    truth_group, found_group = _groups(truth, found, grouped_by)
    groups = {"truth_group": truth_group, "found_group": found_group}
    matching = match(truth_xy, found_xy, tolerance, rule=rule, **groups)
    known = (rule, tolerance, unit, grouped_by, matching, confidence, truth, found)
    return Evaluation(*known, image_size)


def _as_text(column: "pd.Series[Any]") -> Any:
    return column.astype("str").where(column.notna(), "").to_numpy(dtype=object)


def _groups(
    truth: pd.DataFrame, found: pd.DataFrame, columns: tuple[str, ...]
) -> tuple[Ints | None, Ints | None]:
    return number_groups(truth, found, columns) if columns else (None, None)


def _in_picture(xy: Floats, image_size: tuple[int, int]) -> Bools:
    return in_tile(xy[:, 0], xy[:, 1], image_size)
