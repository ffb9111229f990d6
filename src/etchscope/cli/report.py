"""The command `report`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.progress import progress_bar
from etchscope.foil import BadInput, NotSearched
from etchscope.store import Store

__all__ = ["command"]


def command(
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
    from etchscope.pages import gather_content, write_report

    opened = Store.open(store)
    content = gather_content(opened, _chosen_run(opened, scan, run))
    with progress_bar("drawing tiles", len(content.scan.included)) as bar:
        page = write_report(content, output, progress=bar.advance)
    typer.echo(page)


def _chosen_run(store: Store, scan: str | None, run: str | None) -> str:
    if scan is not None:
        store.scans.get(scan)
    runs = store.runs.table(scan)
    if run is not None:
        if run not in set(runs["run"]):
            where = "the store" if scan is None else f"scan {scan}"
            listed = ", ".join(runs["run"]) or "none"
            raise BadInput("--run", f"a finished run of {where}", f"{run!r}, there is {listed}")
        return run
    scans = sorted(set(runs["scan"]))
    if not scans:
        where = str(store.path) if scan is None else f"scan {scan}"
        raise NotSearched(where, "a finished run", "none")
    if len(scans) > 1:
        raise BadInput("--scan", f"one of {', '.join(scans)}", "none given")
    return str(runs["run"].iloc[-1])
