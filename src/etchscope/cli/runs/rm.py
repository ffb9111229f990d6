"""The command `runs rm`."""

from typing import Annotated

import typer

from etchscope.cli.messages import confirm_removal
from etchscope.cli.options import StorePath

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
    from etchscope.api import Store

    opened = Store.open(store)
    opened.require_removable(run)
    for name in run:
        typer.echo(f"run {name}, {len(opened.pits(run=name))} pits")
    confirm_removal("runs rm", yes=yes)
    opened.remove_runs(run)
