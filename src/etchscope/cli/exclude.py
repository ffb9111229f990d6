"""The command `exclude`."""

from typing import Annotated

import typer

from etchscope.cli.options import OfFoil, OfScan, OfTile, StorePath, Where
from etchscope.cli.tiles import chosen_tiles, echo_tiles

__all__ = ["command"]


def command(
    store: StorePath,
    why: Annotated[str, typer.Option(help="The reason, which is kept with each tile.")],
    where: Where = None,
    foil: OfFoil = None,
    scan: OfScan = None,
    tile: OfTile = None,
) -> None:
    """Exclude tiles from all later steps; nothing is copied or deleted.

    Example: etchscope exclude plate7 --scan F1-front --tile 12 --why "a fibre"
    """
    from etchscope.api import Store

    excluded = Store.open(store).exclude(**chosen_tiles(where, foil, scan, tile), why=why)
    echo_tiles("excluded", excluded)
    typer.echo("Existing tables keep their rows; `etchscope find` makes new ones.")
