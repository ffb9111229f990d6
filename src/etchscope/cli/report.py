"""The command `report`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from etchscope.progress import progress_bar

__all__ = ["command"]


def command(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")],
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
    from etchscope.pages import gather_content, write_report
    from etchscope.run.results import choose_run
    from etchscope.store import Store

    opened = Store.open(store)
    content = gather_content(opened, choose_run(opened, scan=scan, run=run))
    with progress_bar("Drawing tiles", len(content.scan.included)) as bar:
        page = write_report(content, output, form=form, progress=bar.advance)
    typer.echo(page)
