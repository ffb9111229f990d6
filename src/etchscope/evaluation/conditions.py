"""An evaluation in parts: against the tolerance, by region and by density; torn and joined pits."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from etchscope.evaluation.chance import mean_known
from etchscope.evaluation.compare import Evaluation, evaluate
from etchscope.foil import BadInput
from etchscope.foil.types import Floats
from etchscope.geometry import merge_copies

__all__ = [
    "CURVE_COLUMNS",
    "Fragments",
    "breakdown",
    "count_fragments",
    "drop_copies",
    "name_density_classes",
    "name_regions",
    "tolerance_curve",
]

CURVE_COLUMNS = (
    "tolerance",
    *(f"{name}{end}" for name in ("efficiency", "purity") for end in ("", "_low", "_high")),
    "chance_efficiency",
    "chance_purity",
)
"""Columns, one row per tolerance; ``_low`` and ``_high`` bound the interval, and columns that begin
with ``chance_`` are by local shifts."""

_NEIGHBOURS = 10


def tolerance_curve(e: Evaluation, tolerances: Sequence[float]) -> pd.DataFrame:
    """Return efficiency and purity against the tolerance, a table with ``CURVE_COLUMNS``.

    Parameters
    ----------
    e : its tables, rule and unit are used, and not its tolerance.
    tolerances : in the evaluation's unit, each above 0.

    Raises
    ------
    BadInput : no tolerance, or one that is not positive.
    """
    if not len(tolerances):
        raise BadInput("tolerances", "one or more", "none")
    rows = []
    for tolerance in sorted(set(map(float, tolerances))):
        at = _again(e, tolerance=tolerance)
        row: dict[str, float] = {"tolerance": tolerance}
        for name, p in (("efficiency", at.efficiency), ("purity", at.purity)):
            row |= {name: p.value, f"{name}_low": p.low, f"{name}_high": p.high}
        row["chance_efficiency"] = at.chance_efficiency.value
        row["chance_purity"] = at.chance_purity.value
        rows.append(row)
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def _again(e: Evaluation, **change: Any) -> Evaluation:
    """Return an evaluation of the same tables with another tolerance or rule."""
    tolerance = change.pop("tolerance", e.tolerance)
    given: dict[str, Any] = {
        "rule": e.rule,
        f"tolerance_{e.unit}": tolerance,
        "image_size": e.image_size,
        "confidence": e.confidence,
    }
    return evaluate(e.truth, e.found, **(given | change))


@dataclass(frozen=True)
class Fragments:
    """Numbers of pits that a search tore into pieces or joined into one.

    Parameters
    ----------
    torn : found points without a truth of their own, that are closer than the tolerance to a truth
        of another found point.
    joined : truths without a found point of their own, that are as close to that of another truth.
    fakes : found points that are near no truth.
    """

    torn: int
    joined: int
    fakes: int

    def to_dict(self) -> dict[str, int]:
        """Return the counts for JSON."""
        return dict(vars(self))


def count_fragments(e: Evaluation) -> Fragments:
    """Return how many found points are pieces of one pit, and how many truths were found as one.

    The counts are those of one-to-one matches, also for an evaluation by the nearest rule.

    Parameters
    ----------
    e : an evaluation by any rule.
    """
    one, near = (_again(e, rule=rule).matching for rule in ("one-to-one", "nearest"))
    torn = int((near.found_hit & ~one.found_hit).sum())
    joined = int((near.truth_hit & ~one.truth_hit).sum())
    return Fragments(torn, joined, near.false_pos)


def breakdown(
    e: Evaluation, column: str, truth_value: NDArray[Any], found_value: NDArray[Any]
) -> pd.DataFrame:
    """Return efficiency and purity for each value of a property of pits, one row per value.

    Parameters
    ----------
    e : its matching and its chance are used.
    column : name of the property and of the first column.
    truth_value, found_value : (n,), (m,) text, the property of each truth and each found point.

    Returns
    -------
    ``column, truths, true_pos, efficiency, low, high, chance, found, purity, purity_low,
    purity_high, purity_chance``. Purity is the share of the found points that are true.
    """
    rows = []
    for value in sorted({*truth_value.tolist(), *found_value.tolist()}):
        here, there = truth_value == value, found_value == value
        p, q = e.efficiency_of(here), e.purity_of(there)
        row: dict[str, Any] = {column: value, "truths": p.trials, "true_pos": p.successes}
        row |= {"efficiency": p.value, "low": p.low, "high": p.high}
        row["chance"] = mean_known(e.chance.truth[here])
        row |= {"found": q.trials, "purity": q.value, "purity_low": q.low, "purity_high": q.high}
        row["purity_chance"] = mean_known(e.chance.found[there])
        rows.append(row)
    return pd.DataFrame(rows)


def name_regions(
    xy: ArrayLike, low: ArrayLike, high: ArrayLike, *, columns: int = 4, rows: int = 4
) -> NDArray[Any]:
    """Return the region of each point as text, (n,), with "x1 y1" for the cell of least x and y.

    Parameters
    ----------
    xy : (n, 2) places; a point beyond the box belongs to the nearest cell.
    low, high : (2,) corners of the box that is cut into ``columns`` × ``rows`` cells.
    """
    points, least = np.asarray(xy, float).reshape(-1, 2), np.asarray(low, float)
    size = np.maximum(np.asarray(high, float) - least, 1e-12)
    count = np.array([columns, rows])
    cell = np.clip(((points - least) / size * count).astype(int), 0, count - 1) + 1
    return np.array([f"x{x} y{y}" for x, y in cell.tolist()], dtype=object)


def name_density_classes(
    xy: ArrayLike, others: ArrayLike, classes: int = 4, *, unit: str = "mm"
) -> NDArray[Any]:
    """Return the class of density at each point as text, (n,).

    The density is that of ten neighbours in the circle that holds them. The classes hold equal
    numbers of the others.

    Parameters
    ----------
    xy : (n, 2) places of the points.
    others : (m, 2) places of the points whose density it is.
    classes : number of classes.
    unit : of the places, for the text.
    """
    points, known = (np.asarray(v, float).reshape(-1, 2) for v in (xy, others))
    if len(known) <= _NEIGHBOURS:
        return np.array(["all"] * len(points), dtype=object)
    tree = KDTree(known)
    edges = np.quantile(_density(tree, known), np.linspace(0, 1, classes + 1)[1:-1])
    number = np.searchsorted(edges, _density(tree, points), side="right")
    ends = ["0", *(f"{v:.3g}" for v in edges), "∞"]
    names = [f"{i + 1}: {a} to {b} per {unit}²" for i, (a, b) in enumerate(pairwise(ends))]
    return np.array(names, dtype=object)[number]


def _density(tree: KDTree, points: Floats) -> Floats:
    if not len(points):
        return np.zeros(0)
    first, last, next_one = tree.query(points, k=[1, _NEIGHBOURS, _NEIGHBOURS + 1])[0].T
    reach = np.where(first == 0, next_one, last)  # a point of the tree is no neighbour of itself
    return np.asarray(_NEIGHBOURS / (np.pi * np.maximum(reach, 1e-12) ** 2))


def drop_copies(table: pd.DataFrame, reach: float, unit: Literal["px", "mm"]) -> pd.DataFrame:
    """Return a table with each pit once: the first of the rows that are copies of each other.

    Copies are within ``reach`` of each other and, if the table has tiles, on different tiles.

    Parameters
    ----------
    table : with ``x_px, y_px`` of one frame for the whole foil, or ``x_mm, y_mm``.
    reach : greatest distance of copies, in that unit, above 0.
    unit : of the places and of the reach.

    Raises
    ------
    BadInput : the columns are absent, pixels are those of single tiles, or the reach is not
        positive.
    """
    names = [f"x_{unit}", f"y_{unit}"]
    if not set(names) <= set(table.columns):
        raise BadInput("table", f"columns {names[0]}, {names[1]}", ", ".join(map(str, table)))
    if not reach > 0:
        raise BadInput("reach of copies", "a positive number", f"{reach}")
    has_tiles = "tile" in table.columns and bool(table["tile"].notna().all())
    if has_tiles and unit == "px":
        hint = "Merge by x_mm, y_mm: copies of a pit have other pixels in each tile."
        raise BadInput("reach of copies", "millimetres, of a table with tiles", "pixels", hint=hint)
    tile = table["tile"].to_numpy(np.int64) if has_tiles else np.arange(len(table))
    same = np.zeros(len(table), np.int64)
    stands = merge_copies(table[names].to_numpy(float), tile, same, same.astype(float), reach)
    first: pd.DataFrame = table[stands == np.arange(len(table))].reset_index(drop=True)
    return first
