"""The command `export`."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Table to write: .csv, .parquet or .root."
        ),
    ],
    scan: Annotated[
        str | None, typer.Option(help="Scan whose pits to write [all that were searched].")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Run whose pits to write [the latest of each scan].")
    ] = None,
) -> None:
    """Write the pit table of a store's latest runs to a file.

    Example: etchscope export plate7 --scan F1-front -o pits.csv
    """
    from etchscope.files.tables import write_table
    from etchscope.run.results import choose_runs, gather_pits, gather_records
    from etchscope.store import Store

    opened = Store.open(store)
    runs = choose_runs(opened, scan=scan, run=run)
    write_table(output, gather_pits(opened, runs), record=gather_records(opened, runs))
    for name in runs:
        record = opened.runs.record(name)
        region = " in a region" if record.region_mm else ""
        tiles = f"{len(record.tiles)} tiles{region}"
        typer.echo(f"{output}: {len(opened.runs.pits(name))} pits on {tiles}, {name}")
