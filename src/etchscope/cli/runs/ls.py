"""The command `runs ls`."""

import json
from typing import Annotated

import typer

from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(
    store: StorePath,
    scan: Annotated[str | None, typer.Option(help="Only runs of this scan.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """List the finished runs of a store, the latest last.

    Example: etchscope runs ls plate7
    """
    from etchscope.store import ScoreRecord, Store

    opened = Store.open(store)
    if scan is not None:
        opened.scans.get(scan)
    table = opened.runs.table(scan)
    records = [opened.runs.record(run) for run in table["run"]]
    table["stage"] = [record.stage for record in records]
    table["tiles"] = [len(record.tiles) for record in records]
    scored = [record if isinstance(record, ScoreRecord) else None for record in records]
    table["model"] = ["" if record is None else record.model.name for record in scored]
    table["search"] = ["" if record is None else record.search for record in scored]
    if as_json:
        typer.echo(json.dumps(table.to_dict(orient="records"), indent=1))
    elif len(table):
        typer.echo(table.to_string(index=False))
    else:
        typer.echo("no runs; start with `etchscope find`")
