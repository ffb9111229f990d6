"""The command `export`."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from etchscope.files.tables import write_table
from etchscope.foil import (
    BadInput,
    NotSearched,
)
from etchscope.store import Store

__all__ = ["command", "export_runs"]


def command(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Table: .csv, .parquet or .root.")
    ],
    scan: Annotated[str | None, typer.Option(help="Scan [all that were searched].")] = None,
    run: Annotated[str | None, typer.Option(help="Run [the latest of each scan].")] = None,
) -> None:
    """Write the pit table of a store's latest runs to a file.

    Example: etchscope export plate7 --scan F1-front -o pits.csv
    """
    opened = Store.open(store)
    if run is not None:
        of_scan = opened.runs.record(run)["scan"]
        if scan not in (None, of_scan):
            raise BadInput("--run", f"a run of scan {scan}", f"{run} of scan {of_scan}")
        runs = [run]
    else:
        names = opened.scans.names() if scan is None else [scan]
        for name in names:
            opened.scans.get(name)
        runs = [latest for name in names if (latest := opened.runs.latest(name)) is not None]
    if not runs:
        raise NotSearched(store, "a finished run", "none")
    export_runs(opened, runs, output)
    for name in runs:
        record = opened.runs.record(name)
        region = " in a region" if record.get("region_mm") else ""
        tiles = f"{len(record.get('tiles', []))} tiles{region}"
        typer.echo(f"{output}: {len(opened.runs.pits(name))} pits on {tiles}, {name}")


def export_runs(store: Store, runs: list[str], path: Path) -> None:
    """Write the pit tables of runs as one, with their records."""
    tables = [store.runs.pits(run) for run in runs]
    record = {"runs": [store.runs.record(run) for run in runs]}
    write_table(path, pd.concat(tables, ignore_index=True), record=record)
