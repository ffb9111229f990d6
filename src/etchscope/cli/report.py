"""The command `report`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(
    store: StorePath,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the report.")
    ],
    scan: Annotated[str | None, typer.Option(help="Report the latest run of this scan.")] = None,
    run: Annotated[str | None, typer.Option(help="Report this run [the latest].")] = None,
    form: Annotated[
        Literal["png", "svg", "pdf"],
        typer.Option("--format", help="Format in which figures are written, besides PNG."),
    ] = "png",
) -> None:
    """Write figures and one HTML page of a run.

    Example: etchscope report plate7 --scan F1-front -o report
    """
    from etchscope.api import Store

    typer.echo(Store.open(store).report(scan, output, run=run, form=form, progress=True))
