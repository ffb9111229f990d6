"""The output of `etchscope evaluate`: an evaluation as tables for a reader, or as JSON."""

import json
from typing import TYPE_CHECKING

import typer

from etchscope.cli.messages import echo_rich

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from etchscope.api.results import Verdict
    from etchscope.evaluation import Evaluation, MethodComparison

__all__ = ["echo_verdict"]


def echo_verdict(verdict: "Verdict", *, as_json: bool) -> None:
    """Print an evaluation and its parts."""
    if as_json:
        typer.echo(json.dumps(verdict.to_dict(), ensure_ascii=False, indent=1, allow_nan=False))
    else:
        _echo_text(verdict)


def _echo_text(verdict: "Verdict") -> None:
    unit, torn = verdict.evaluation.unit, verdict.fragments
    echo_rich(_figures(verdict.evaluation))
    typer.echo(
        f"{torn.torn:,} false pits are pieces of a pit that is found already, {torn.joined:,} "
        f"missed pits lie within the tolerance of a pit that was found for another one"
    )
    for title, table in (
        ("", verdict.table),
        (f"against the tolerance in {unit}", verdict.curve),
        ("the other search", verdict.other_curve),
    ):
        if table is not None:
            echo_rich(_rows(table, title))
    if verdict.methods is not None:
        _echo_methods(verdict.methods)


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


def _echo_methods(methods: "MethodComparison") -> None:
    n = methods.counts
    typer.echo(
        f"both searches find {n['both']:,}, only the first {n['only_first']:,}, only the other "
        f"{n['only_second']:,}, neither {n['neither']:,}; together {methods.either}; "
        f"two equally good searches differ at least this much with p = {methods.p_value:.2g}"
    )
