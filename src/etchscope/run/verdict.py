"""The comparison of found pits with true ones: figures, and their breakdown."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from etchscope.evaluation import (
    Evaluation,
    Fragments,
    MethodComparison,
    breakdown,
    compare_methods,
    count_fragments,
    drop_copies,
    evaluate,
    name_density_classes,
    name_regions,
    tolerance_curve,
)
from etchscope.files import write_rows

__all__ = ["Comparison", "Verdict", "compare_pits", "write_lists"]


@dataclass(frozen=True)
class Comparison:
    """How pits are compared: see ``evaluation.evaluate`` and ``evaluation.drop_copies``.

    Parameters
    ----------
    rule, tolerance_px, tolerance_mm, image_size, confidence : see ``evaluation.evaluate``.
    merge_px, merge_mm : rows of one list closer than this are one pit.
    """

    rule: Literal["one-to-one", "nearest"] = "one-to-one"
    tolerance_px: float | None = None
    tolerance_mm: float | None = None
    merge_px: float | None = None
    merge_mm: float | None = None
    image_size: tuple[int, int] | None = None
    confidence: float = 0.95

    def compare(self, truth: pd.DataFrame, found: pd.DataFrame) -> Evaluation:
        """Return how well found pits agree with true ones; see ``evaluation.evaluate``."""
        return evaluate(
            self._merged(truth),
            self._merged(found),
            rule=self.rule,
            tolerance_px=self.tolerance_px,
            tolerance_mm=self.tolerance_mm,
            image_size=self.image_size,
            confidence=self.confidence,
        )

    def _merged(self, table: pd.DataFrame) -> pd.DataFrame:
        if self.merge_px is not None:
            table = drop_copies(table, self.merge_px, "px")
        if self.merge_mm is not None:
            table = drop_copies(table, self.merge_mm, "mm")
        return table


@dataclass(frozen=True)
class Verdict:
    """An evaluation and its parts; a part that was not asked for is None.

    Parameters
    ----------
    evaluation, other : the evaluations of the search and of another one.
    fragments : see ``evaluation.count_fragments``.
    by, table : a column, and the efficiency by its values.
    curve, other_curve : figures against the tolerance.
    methods : which search finds which pit.
    """

    evaluation: Evaluation
    other: Evaluation | None
    fragments: Fragments
    by: str | None
    table: pd.DataFrame | None
    curve: pd.DataFrame | None
    other_curve: pd.DataFrame | None
    methods: MethodComparison | None

    @property
    def figures(self) -> pd.DataFrame:
        """Efficiency and purity with their intervals, and their values by chance.

        Columns: ``figure, value, low, high, counted, of``, and ``by_chance``.
        """
        one = self.evaluation
        return pd.DataFrame(
            {
                "figure": name,
                "value": p.value,
                "low": p.low,
                "high": p.high,
                "counted": p.successes,
                "of": p.trials,
                "by_chance": chance.value,
            }
            for name, p, chance in (
                ("efficiency", one.efficiency, one.chance_efficiency),
                ("purity", one.purity, one.chance_purity),
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all parts as JSON can hold them: numbers with their intervals, tables as rows."""
        record = self.evaluation.to_dict() | {"fragments": self.fragments.to_dict()}
        if self.by is not None:
            record["by"] = {"column": self.by, "rows": _rows_of(self.table)}
        if self.curve is not None:
            record["curve"] = _rows_of(self.curve)
        if self.methods is not None:
            record["other"] = self.methods.to_dict()
        if self.other_curve is not None:
            record["other"]["curve"] = _rows_of(self.other_curve)
        return record

    def _repr_html_(self) -> str:
        """Return the figures and their breakdown as tables for a notebook."""
        one = self.evaluation
        about = f"{one.rule}, closer than {one.tolerance:g} {one.unit}"
        tables = [t for t in (self.figures, self.table, self.curve) if t is not None]
        shown = "".join(table.round(4).to_html(index=False) for table in tables)
        return f"<p>{about}; intervals at {100 * one.confidence:g} %</p>{shown}"


def _rows_of(table: pd.DataFrame | None) -> Any:
    """Return the rows of a table as JSON holds them; NaN becomes null."""
    text = "[]" if table is None else table.to_json(orient="records", double_precision=15)
    return json.loads(text)


def compare_pits(
    truth: pd.DataFrame,
    found: pd.DataFrame,
    comparison: Comparison,
    *,
    other: pd.DataFrame | None = None,
    by: str | None = None,
    tolerances: Sequence[float] = (),
) -> Verdict:
    """Return the comparison of found pits with true ones.

    Parameters
    ----------
    truth, found : see ``evaluation.evaluate``.
    other : the pits of another search.
    by : a column of the truth; or region, a raster of 4 × 4 cells; or density, in quarters.
    tolerances : tolerances of the curve, px or mm as that of ``comparison``; without any there is
        no curve.

    Raises
    ------
    BadInput : see ``evaluation.evaluate``, or the truth has no such column.
    """
    one = comparison.compare(truth, found)
    second = None if other is None else comparison.compare(truth, other)
    return Verdict(
        one,
        second,
        count_fragments(one),
        by,
        None if by is None else _broken_down(one, by),
        tolerance_curve(one, tolerances) if tolerances else None,
        tolerance_curve(second, tolerances) if tolerances and second is not None else None,
        None if second is None else compare_methods(one, second),
    )


def _broken_down(one: Evaluation, by: str) -> pd.DataFrame:
    if by in one.truth.columns or by not in ("region", "density"):
        return one.by(by)
    truth_xy, found_xy = one.points_xy
    if by == "density":
        values = [name_density_classes(xy, truth_xy, unit=one.unit) for xy in (truth_xy, found_xy)]
    else:
        every = np.concatenate([truth_xy, found_xy])
        box = (every.min(axis=0), every.max(axis=0)) if len(every) else ([0, 0], [1, 1])
        values = [name_regions(xy, *box) for xy in (truth_xy, found_xy)]
    return breakdown(one, by, *values)


def write_lists(verdict: Verdict, folder: Path) -> None:
    """Write ``true_positives.csv``, ``false_negatives.csv`` and ``false_positives.csv``.

    With another search also ``truths.csv``, with a column ``found_by``.

    Raises
    ------
    BadInput : the folder is a file.
    MachineFailed : the disk is full.
    """
    tables = verdict.evaluation.lists()
    if verdict.methods is not None:
        tables["truths"] = verdict.methods.truths(verdict.evaluation.truth)
    write_rows(folder, tables)
