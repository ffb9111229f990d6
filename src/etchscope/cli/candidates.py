"""The command `candidates`."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from etchscope.cli.inputs import require_output
from etchscope.cli.options import (
    Json,
    StorePath,
)
from etchscope.cli.sheet import draw_sheet
from etchscope.files.tables import write_table
from etchscope.foil import NotScored
from etchscope.store import Store

__all__ = ["command"]


def command(
    store: StorePath,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Candidates, .csv, .parquet or .root."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Contact sheet: a page with cut-outs.")
    ] = None,
    scan: Annotated[str | None, typer.Option(help="Scan [all that were scored].")] = None,
    run: Annotated[str | None, typer.Option(help="Run [the latest of each scan].")] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="At most so many.")] = 100,
    every: Annotated[
        bool, typer.Option("--all", help="Also those below the working point or not valid.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the candidates of scored runs, the best first, with pictures if asked for.

    Example: etchscope candidates plate7 -o candidates.csv --sheet candidates
    """
    from etchscope.run.stages.score import ranked_candidates

    require_output(output)
    opened = Store.open(store)
    runs = [run] if run is not None else _scored_runs(opened, scan)
    tables = [ranked_candidates(opened, name) for name in runs]
    table = pd.concat(tables, ignore_index=True)
    if not every:
        table = table[table["selected"].fillna(value=False).astype(bool)]
    table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    total = len(table)
    table = table.head(count)
    if output is not None:
        write_table(output, table, record={"runs": [opened.runs.record(name) for name in runs]})
    if sheet is not None:
        page = draw_sheet(opened, table, sheet, runs)
        if not as_json:
            typer.echo(page)
    if as_json:
        typer.echo(table.to_json(orient="records", double_precision=10))
        return
    if len(table):
        told = [c for c in table.columns if c.startswith("p_")]
        shown = ["scan", "tile", "pit", "x_px", "y_px", "score", "anomaly", *told, "class", "valid"]
        shown = [c for c in shown if c in table and table[c].notna().any()]
        typer.echo(table[shown].round(3).to_string(index=False))
    few, more = (f" of {total:,}", "; --count shows more") if total > len(table) else ("", "")
    typer.echo(f"{len(table)}{few} candidates of {', '.join(runs)}{more}")


def _scored_runs(store: Store, scan: str | None) -> list[str]:
    out = []
    for name in store.scans.names() if scan is None else [store.scans.get(scan).name]:
        run = store.runs.latest(name, stage="score")
        if run is not None:
            out.append(run)
    if not out:
        raise NotScored(store.path, "a scored run", "none")
    return out
