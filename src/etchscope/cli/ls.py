"""The command `ls`."""

import json
from typing import Annotated

import typer

from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, OfFoil, OfScan, OfTile, StorePath, Where

__all__ = ["command"]


def command(
    store: StorePath,
    where: Where = None,
    foil: OfFoil = None,
    scan: OfScan = None,
    tile: OfTile = None,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="One line per tile instead of one per scan.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the scans of a store, or their tiles.

    Example: etchscope ls plate7

    Example: etchscope ls plate7 --tiles --where "foil = 'F1' and not excluded"
    """
    from etchscope.api import Store

    opened = Store.open(store)
    list_rows = opened.tiles if tiles else opened.scans
    table = list_rows(where, foil=foil, scan=scan, tile=tile)
    if as_json:
        echo_json(json.loads(table.to_json(orient="records", double_precision=15)))
    elif len(table):
        typer.echo(table.to_string(index=False, na_rep="-"))
    else:
        typer.echo("no tiles")
