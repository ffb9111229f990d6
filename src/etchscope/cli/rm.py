"""The command `rm`."""

from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.messages import confirm_removal
from etchscope.cli.options import OfFoil, OfScan, OfTile, StorePath, Where
from etchscope.cli.tiles import chosen_tiles

if TYPE_CHECKING:
    from etchscope.api.results import Removal

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

    The command first lists what it removes, and asks.

    Example: etchscope rm plate7 --scan F1-front

    Example: etchscope rm plate7 --where "foil = 'F1' and tile between 3 and 9" --yes
    """
    from etchscope.api import Store

    opened, tiles = Store.open(store), chosen_tiles(where, foil, scan, tile)
    _echo_removal(opened.dependants(**tiles))
    confirm_removal("rm", yes=yes)
    opened.remove(**tiles)


def _echo_removal(removal: "Removal") -> None:
    lines = [f"scan {name}, all tiles" for name in removal.scans]
    for scan, numbers in removal.tiles:
        lines.append(f"scan {scan}, {len(numbers)} tiles: {', '.join(map(str, numbers))}")
    for what in ("runs", "fits", "foils", "stacks"):
        lines += [f"{what[:-1]} {name}" for name in getattr(removal, what)]
    typer.echo("\n".join(["These will be removed:", *(f"  {line}" for line in lines)]))
    for foil, count in removal.labels_kept:
        typer.echo(f"These will be kept:\n  foil {foil}, {count} labels")
