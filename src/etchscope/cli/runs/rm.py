"""The command `runs rm`."""

import sys
from typing import Annotated

import typer

from etchscope.cli.options import StorePath
from etchscope.foil import BadInput

__all__ = ["command"]


def command(
    store: StorePath,
    run: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names of the runs.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove finished runs: their pit tables and records. Scans, labels and models stay.

    A search cannot be removed while a scored run that was made from it stays.

    Example: etchscope runs rm plate7 find-F1-front-0a1b2c3d4e --yes
    """
    from etchscope.store import Store

    opened = Store.open(store)
    opened.runs.require_removable(run)
    for name in run:
        typer.echo(f"run {name}, {len(opened.runs.pits(name))} pits")
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("runs rm", "`--yes`, or a terminal to ask at", "neither")
        typer.confirm("Remove them?", abort=True, err=True)
    opened.runs.remove(run)
