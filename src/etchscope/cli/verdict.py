"""What `etchscope evaluate` says: the parts of a verdict, as text, JSON, lists and figures."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from etchscope.evaluate import (
    Evaluation,
    Fragments,
    MethodComparison,
    Proportion,
    breakdown,
    chi2_text,
    compare_methods,
    density_classes,
    fragments,
    regions,
    tolerance_curve,
)
from etchscope.files import write_rows

__all__ = ["Parts", "parts_of", "tell", "write_figures", "write_lists"]


@dataclass(frozen=True)
class Parts:
    """What is told beside efficiency and purity; None where it was not asked for."""

    fragments: Fragments
    by: str | None
    table: pd.DataFrame | None
    curve: pd.DataFrame | None
    other_curve: pd.DataFrame | None
    methods: MethodComparison | None


def parts_of(
    e: Evaluation, *, by: str | None, second: Evaluation | None, tolerances: Sequence[float]
) -> Parts:
    """Return the parts of a verdict.

    Parameters
    ----------
    by : a column of the truth; or region, a raster of 4 × 4 cells, or density, in quarters.
    second : of another search.
    tolerances : of the curve, none without one.

    Raises
    ------
    BadInput : the truth has no such column.
    """
    return Parts(
        fragments(e),
        by,
        None if by is None else _broken_down(e, by),
        tolerance_curve(e, tolerances) if tolerances else None,
        tolerance_curve(second, tolerances) if tolerances and second is not None else None,
        None if second is None else compare_methods(e, second),
    )


def _broken_down(e: Evaluation, by: str) -> pd.DataFrame:
    if by in e.truth.columns or by not in ("region", "density"):
        return e.by(by)
    truth_xy, found_xy = e.points_xy
    if by == "density":
        values = [density_classes(xy, truth_xy, unit=e.unit) for xy in (truth_xy, found_xy)]
    else:
        every = np.concatenate([truth_xy, found_xy])
        box = (every.min(axis=0), every.max(axis=0)) if len(every) else ([0, 0], [1, 1])
        values = [regions(xy, *box) for xy in (truth_xy, found_xy)]
    return breakdown(e, by, *values)


def tell(e: Evaluation, parts: Parts, *, as_json: bool) -> None:
    """Print a verdict."""
    if as_json:
        told = e.to_dict() | {"fragments": parts.fragments.to_dict()}
        if parts.by is not None:
            told["by"] = {"column": parts.by, "rows": _records(parts.table)}
        if parts.curve is not None:
            told["curve"] = _records(parts.curve)
        if parts.methods is not None:
            told["other"] = parts.methods.to_dict()
        if parts.other_curve is not None:
            told["other"]["curve"] = _records(parts.other_curve)
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False))
        return
    console = Console()
    console.print(_figures(e))
    torn = parts.fragments
    typer.echo(
        f"{torn.torn:,} found pits are pieces of one that is found already, {torn.joined:,} "
        f"missed ones lie within the tolerance of a pit found for another"
    )
    for title, table in (
        ("", parts.table),
        (f"against the tolerance in {e.unit}", parts.curve),
        ("the other search", parts.other_curve),
    ):
        if table is not None:
            console.print(_rows(table, title))
    if parts.methods is not None:
        _tell_methods(parts.methods)


def _records(table: pd.DataFrame | None) -> Any:
    text = "[]" if table is None else table.to_json(orient="records", double_precision=15)
    return json.loads(text)


def _figures(e: Evaluation) -> Table:
    within = f", within {' and '.join(e.grouped_by)}" if e.grouped_by else ""
    by_density, tiles = e.accidental(), e.tiles
    expected = "" if by_density is None else f"; local densities would match {by_density} by chance"
    out = Table(
        title=f"{e.rule}, closer than {e.tolerance:g} {e.unit}{within}",
        caption=f"{e.matching.true_pos:,} found, {e.matching.false_neg:,} missed, "
        f"{e.matching.false_pos:,} false; intervals at {100 * e.confidence:g} % over "
        f"{tiles.number:,} tiles ({tiles.of}), false finds a tile: "
        f"{chi2_text(e.false_chi2_ndf)}{expected}",
    )
    out.add_column("")
    for name in ("value", "counts", "by chance (local shifts)"):
        out.add_column(name, justify="right")

    def line(what: str, p: Proportion, chance: Proportion) -> None:
        out.add_row(what, str(p), f"{p.successes:,} of {p.trials:,}", str(chance))

    line("efficiency", e.efficiency, e.chance_efficiency)
    line("purity", e.purity, e.chance_purity)
    return out


_BOUNDS = {
    "efficiency": [("low", "high"), ("efficiency_low", "efficiency_high")],
    "purity": [("purity_low", "purity_high")],
}


def _rows(table: pd.DataFrame, title: str) -> Table:
    """Return a table to print; an interval stands in the cell of its value."""
    out = Table(title=title or None)
    bounds = {
        name: pair
        for name, pairs in _BOUNDS.items()
        for pair in pairs
        if {name, *pair} <= set(table.columns)
    }
    hidden = {bound for pair in bounds.values() for bound in pair}
    shown = [str(c) for c in table.columns if c not in hidden]
    for place, name in enumerate(shown):
        out.add_column(name.replace("_", " "), justify="left" if place == 0 else "right")
    for row in table.to_dict("records"):
        cells = []
        for name in shown:
            value = row[name]
            text = f"{value:.3f}" if isinstance(value, float) else str(value)
            if name in bounds:
                low, high = (row[bound] for bound in bounds[name])
                text += f" [{low:.3f}, {high:.3f}]"
            cells.append(text)
        out.add_row(*cells)
    return out


def _tell_methods(methods: MethodComparison) -> None:
    n = methods.counts
    typer.echo(
        f"both searches find {n['both']:,}, only the first {n['only_first']:,}, only the other "
        f"{n['only_second']:,}, neither {n['neither']:,}; together {methods.either}; "
        f"equally good ones differ so much with p = {methods.p_value:.2g}"
    )


def write_lists(e: Evaluation, second: Evaluation | None, folder: Path) -> None:
    """Write ``true_positives.csv``, ``false_negatives.csv`` and ``false_positives.csv``.

    With another search also ``truths.csv``, with a column ``found_by``.
    """
    tables = e.lists()
    if second is not None:
        tables["truths"] = compare_methods(e, second).truths(e.truth)
    write_rows(folder, tables)


def write_figures(e: Evaluation, second: Evaluation | None, parts: Parts, folder: Path) -> None:
    """Draw ``map.png`` and, with a curve, ``curve.png``."""
    # Here, so that no other command waits for Matplotlib.
    from etchscope.pages.evaluation import write_evaluation

    curves = {} if parts.curve is None else {"found": parts.curve}
    if parts.other_curve is not None:
        curves["other"] = parts.other_curve
    for path in write_evaluation(e, curves, folder):
        typer.echo(str(path), err=True)
