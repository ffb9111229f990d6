"""The command `rm`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.options import OfFoil, OfScan, OfTile, StorePath, Where
from etchscope.cli.tiles import condition_of, required_condition
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from etchscope.store import Removal

__all__ = ["command"]


def command(
    store: StorePath,
    where: Where = None,
    foil: OfFoil = None,
    scan: OfScan = None,
    tile: OfTile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
) -> None:
    """Remove tiles, or whole scans, with all runs and fits that came from them.

    The command first says what it removes, and asks.

    Example: etchscope rm plate7 --scan F1-front

    Example: etchscope rm plate7 --where "foil = 'F1' and tile between 3 and 9" --yes
    """
    from etchscope.store import Store

    opened = Store.open(store)
    condition = required_condition(condition_of(where, foil, scan, tile))
    _tell_removal(opened.scans.dependants(condition))
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("rm", "`--yes`, or a terminal to ask at", "neither")
        typer.confirm("Remove them?", abort=True, err=True)
    opened.scans.remove(condition)


def _tell_removal(removal: "Removal") -> None:
    lines = [f"scan {name}, all tiles" for name in removal.scans]
    for scan, numbers in removal.tiles:
        lines.append(f"scan {scan}, {len(numbers)} tiles: {', '.join(map(str, numbers))}")
    for what in ("runs", "fits", "foils", "stacks"):
        lines += [f"{what[:-1]} {name}" for name in getattr(removal, what)]
    if not lines:
        raise BadInput("rm", "tiles that match", "none")
    typer.echo("\n".join(["This goes:", *(f"  {line}" for line in lines)]))
    for foil, count in removal.labels_kept:
        typer.echo(f"This stays:\n  foil {foil}, {count} labels")
