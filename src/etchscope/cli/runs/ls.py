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
    from etchscope.api import Store

    table = Store.open(store).runs(scan)
    if as_json:
        typer.echo(json.dumps(table.to_dict(orient="records"), indent=1))
    elif len(table):
        typer.echo(table.to_string(index=False))
    else:
        typer.echo("no runs; start with `etchscope find`")
