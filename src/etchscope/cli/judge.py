"""Commands that judge a result: evaluate, report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from etchscope.cli.progress import progress_bar
from etchscope.evaluate import Evaluation, Proportion, evaluate
from etchscope.foil import BadInput
from etchscope.store import Store, read_table

__all__ = ["COMMANDS"]


def evaluate_command(
    truth: Annotated[Path, typer.Option(metavar="TABLE", help="True pits, .csv or .parquet.")],
    found: Annotated[Path, typer.Option(metavar="TABLE", help="Found pits, .csv or .parquet.")],
    rule: Annotated[
        Literal["one-to-one", "nearest"], typer.Option(help="How points are matched.")
    ] = "one-to-one",
    tolerance_px: Annotated[
        float | None, typer.Option(help="Closer than this matches, by x_px, y_px.")
    ] = None,
    tolerance_mm: Annotated[
        float | None, typer.Option(help="Closer than this matches, by x_mm, y_mm.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Efficiency for each value of the truth's.")
    ] = None,
    image_size: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="HEIGHT WIDTH", help="Size of a tile in pixels, for the chance level."
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(help="Confidence of the intervals.")] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Compare found pits with true ones: efficiency and purity, beside their chance level.

    Example: etchscope evaluate --truth truth.csv --found pits.csv --tolerance-px 6
    """
    if tolerance_px is None and tolerance_mm is None:
        raise BadInput("tolerance", "--tolerance-px or --tolerance-mm", "neither")
    e = evaluate(
        read_table(truth),
        read_table(found),
        rule=rule,
        tolerance_px=tolerance_px,
        tolerance_mm=tolerance_mm,
        image_size=image_size,
        confidence=confidence,
    )
    table = None if by is None else e.by(by)
    if as_json:
        told = e.to_dict()
        if by is not None and table is not None:
            rows = json.loads(table.to_json(orient="records", double_precision=15))
            told["by"] = {"column": by, "rows": rows}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False))
        return
    console = Console()
    console.print(_figures(e))
    if table is not None:
        console.print(_breakdown(table))


def _figures(e: Evaluation) -> Table:
    within = f", within {' and '.join(e.grouped_by)}" if e.grouped_by else ""
    out = Table(
        title=f"{e.rule}, closer than {e.tolerance:g} {e.unit}{within}",
        caption=f"{e.matching.true_pos:,} found, {e.matching.false_neg:,} missed, "
        f"{e.matching.false_pos:,} false; intervals at {100 * e.confidence:g} %",
    )
    out.add_column("")
    for name in ("value", "counts", "by chance (turned by 180°)"):
        out.add_column(name, justify="right")

    def line(what: str, p: Proportion, chance: Proportion) -> None:
        out.add_row(what, str(p), f"{p.successes:,} of {p.trials:,}", str(chance))

    line("efficiency", e.efficiency, e.chance_efficiency)
    line("purity", e.purity, e.chance_purity)
    return out


def _breakdown(by: pd.DataFrame) -> Table:
    out = Table()
    for place, name in enumerate(by.columns):
        out.add_column(str(name), justify="left" if place == 0 else "right")
    for row in by.itertuples(index=False, name=None):
        out.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    return out


def report_command(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the report.")
    ],
    scan: Annotated[str | None, typer.Option(help="Of this scan's latest run.")] = None,
    run: Annotated[str | None, typer.Option(help="Of this run [the latest].")] = None,
) -> None:
    """Write figures and one HTML page of a run.

    Example: etchscope report plate7 --scan F1-front -o report
    """
    # Here, so that no other command waits for Matplotlib.
    from etchscope.report import content_of_run, write_report

    opened = Store.open(store)
    content = content_of_run(opened, _chosen_run(opened, scan, run))
    with progress_bar("drawing tiles", len(content.scan.included)) as bar:
        page = write_report(content, output, progress=bar.advance)
    typer.echo(page)


def _chosen_run(store: Store, scan: str | None, run: str | None) -> str:
    if scan is not None:
        store.scan(scan)
    runs = store.runs(scan)
    if run is not None:
        if run not in set(runs["run"]):
            where = "the store" if scan is None else f"scan {scan}"
            listed = ", ".join(runs["run"]) or "none"
            raise BadInput("--run", f"a finished run of {where}", f"{run!r}, there is {listed}")
        return run
    scans = sorted(set(runs["scan"]))
    if not scans:
        where = str(store.path) if scan is None else f"scan {scan}"
        raise BadInput(where, "a finished run", "none", hint="Start with `etchscope find`.")
    if len(scans) > 1:
        raise BadInput("--scan", f"one of {', '.join(scans)}", "none given")
    return str(runs["run"].iloc[-1])


COMMANDS: dict[str, Callable[..., None]] = {
    "evaluate": evaluate_command,
    "report": report_command,
}
"""Name on the command line → function, in the order of the help."""
