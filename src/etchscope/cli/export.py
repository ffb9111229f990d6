"""The command `export`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(
    store: StorePath,
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
    from etchscope.api import Store

    opened = Store.open(store)
    for name in opened.export(output, scan, run=run):
        record = opened.record(name)
        region = " in a region" if record.region_mm else ""
        tiles = f"{len(record.tiles)} tiles{region}"
        typer.echo(f"{output}: {len(opened.pits(run=name))} pits on {tiles}, {name}")
