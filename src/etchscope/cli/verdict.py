"""What `etchscope evaluate` says: the parts of a verdict, as text, JSON, lists and figures."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from etchscope.cli.messages import echo_rich

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from etchscope.evaluation import Evaluation, MethodComparison
    from etchscope.run.verdict import Verdict

__all__ = ["tell", "write_figures"]


def tell(verdict: "Verdict", *, as_json: bool) -> None:
    """Print a verdict."""
    if as_json:
        _tell_json(verdict)
    else:
        _tell_text(verdict)


def _tell_json(verdict: "Verdict") -> None:
    record = verdict.evaluation.to_dict() | {"fragments": verdict.fragments.to_dict()}
    if verdict.by is not None:
        record["by"] = {"column": verdict.by, "rows": _records(verdict.table)}
    if verdict.curve is not None:
        record["curve"] = _records(verdict.curve)
    if verdict.methods is not None:
        record["other"] = verdict.methods.to_dict()
    if verdict.other_curve is not None:
        record["other"]["curve"] = _records(verdict.other_curve)
    typer.echo(json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False))


def _tell_text(verdict: "Verdict") -> None:
    unit, torn = verdict.evaluation.unit, verdict.fragments
    echo_rich(_figures(verdict.evaluation))
    typer.echo(
        f"{torn.torn:,} found pits are pieces of one that is found already, {torn.joined:,} "
        f"missed ones lie within the tolerance of a pit found for another"
    )
    for title, table in (
        ("", verdict.table),
        (f"against the tolerance in {unit}", verdict.curve),
        ("the other search", verdict.other_curve),
    ):
        if table is not None:
            echo_rich(_rows(table, title))
    if verdict.methods is not None:
        _tell_methods(verdict.methods)


def _records(table: "pd.DataFrame | None") -> Any:
    text = "[]" if table is None else table.to_json(orient="records", double_precision=15)
    return json.loads(text)


def _figures(e: "Evaluation") -> "Table":
    from rich.table import Table

    from etchscope.evaluation import Proportion, format_chi2

    within = f", within {' and '.join(e.grouped_by)}" if e.grouped_by else ""
    by_density, tiles = e.accidental(), e.tiles
    expected = "" if by_density is None else f"; local densities would match {by_density} by chance"
    out = Table(
        title=f"{e.rule}, closer than {e.tolerance:g} {e.unit}{within}",
        caption=f"{e.matching.true_pos:,} found, {e.matching.false_neg:,} missed, "
        f"{e.matching.false_pos:,} false; intervals at {100 * e.confidence:g} % over "
        f"{tiles.number:,} tiles ({tiles.of}), false finds per tile: "
        f"{format_chi2(e.false_chi2_ndf)}{expected}",
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


def _rows(table: "pd.DataFrame", title: str) -> "Table":
    """Return a table to print; an interval stands in the cell of its value."""
    from rich.table import Table

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


def _tell_methods(methods: "MethodComparison") -> None:
    n = methods.counts
    typer.echo(
        f"both searches find {n['both']:,}, only the first {n['only_first']:,}, only the other "
        f"{n['only_second']:,}, neither {n['neither']:,}; together {methods.either}; "
        f"equally good ones differ so much with p = {methods.p_value:.2g}"
    )


def write_figures(verdict: "Verdict", folder: Path) -> None:
    """Draw ``map.png`` and, with a curve, ``curve.png``."""
    from etchscope.pages.evaluation import write_evaluation

    curves = {} if verdict.curve is None else {"found": verdict.curve}
    if verdict.other_curve is not None:
        curves["other"] = verdict.other_curve
    for path in write_evaluation(verdict.evaluation, curves, folder):
        typer.echo(str(path), err=True)
