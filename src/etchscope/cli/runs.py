"""Commands on a store's runs: runs ls, rm."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from etchscope.foil import BadInput
from etchscope.store import Store

__all__ = ["app"]

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")]

app = typer.Typer(
    name="runs",
    help="Runs: list what was searched and scored, remove what is no longer needed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("ls")
def ls_command(
    store: StorePath,
    scan: Annotated[str | None, typer.Option(help="Only runs of this scan.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """List the finished runs of a store, the latest last.

    Example: etchscope runs ls plate7
    """
    opened = Store.open(store)
    if scan is not None:
        opened.scans.get(scan)
    table = opened.runs.table(scan)
    records = [opened.runs.record(run) for run in table["run"]]
    table["stage"] = [record.get("stage", "") for record in records]
    table["tiles"] = [len(record.get("tiles", [])) for record in records]
    table["model"] = [record.get("model", {}).get("name", "") for record in records]
    table["search"] = [record.get("search", "") for record in records]
    if as_json:
        typer.echo(json.dumps(table.to_dict(orient="records"), indent=1))
    elif len(table):
        typer.echo(table.to_string(index=False))
    else:
        typer.echo("no runs; start with `etchscope find`")


@app.command("rm")
def rm_command(
    store: StorePath,
    run: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names of the runs.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove finished runs: their pit tables and records. Scans, labels and models stay.

    A search cannot be removed while a scored run that was made from it stays.

    Example: etchscope runs rm plate7 find-F1-front-0a1b2c3d4e --yes
    """
    opened = Store.open(store)
    opened.runs.require_removable(run)
    for name in run:
        typer.echo(f"run {name}, {len(opened.runs.pits(name))} pits")
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("runs rm", "`--yes`, or a terminal to ask at", "neither")
        typer.confirm("Remove them?", abort=True, err=True)
    opened.runs.remove(run)
