"""The command `candidates`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.messages import echo_table
from etchscope.cli.options import Json, StorePath

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["command"]


def command(
    store: StorePath,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Table of candidates to write: .csv, .parquet or .root.",
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for a page with cut-outs of the candidates."),
    ] = None,
    scan: Annotated[
        str | None, typer.Option(help="Scan whose candidates to list [all that were scored].")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Run whose candidates to list [the latest of each scan].")
    ] = None,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="Largest number of candidates to list.")
    ] = 100,
    every: Annotated[
        bool,
        typer.Option("--all", help="List also candidates below the working point or not valid."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the candidates of scored runs, sorted by score, with pictures on request.

    Example: etchscope candidates plate7 -o candidates.csv --sheet candidates
    """
    from etchscope.api import Store
    from etchscope.api.given import require_table_file

    require_table_file(output)
    opened = Store.open(store)
    runs = opened.chosen_runs(scan, run=run, scored=True)
    table = opened.candidates(run=runs, every=every)
    total, table = len(table), table.head(count)
    if output is not None:
        opened.export_candidates(output, run=runs, table=table)
    if sheet is not None:
        page = opened.sheet(sheet, run=runs, table=table, count=count, progress=True)
        if not as_json:
            typer.echo(page)
    if as_json:
        typer.echo(table.to_json(orient="records", double_precision=10))
        return
    if len(table):
        echo_table(table[_shown_columns(table)].round(3))
    few, more = (f" of {total:,}", "; --count shows more") if total > len(table) else ("", "")
    typer.echo(f"{len(table)}{few} candidates of {', '.join(runs)}{more}")


def _shown_columns(candidates: "pd.DataFrame") -> list[str]:
    """Return the columns that are printed: those with a value in any row."""
    probabilities = [c for c in candidates.columns if c.startswith("p_")]
    shown = ["scan", "tile", "pit", "x_px", "y_px", "score", "anomaly"]
    shown += [*probabilities, "class", "valid"]
    return [c for c in shown if c in candidates and candidates[c].notna().any()]
