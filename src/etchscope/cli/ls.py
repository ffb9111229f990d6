"""The command `ls`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.messages import echo_json
from etchscope.cli.options import Json, OfFoil, OfScan, OfTile, StorePath, Where
from etchscope.cli.tiles import condition_of

if TYPE_CHECKING:
    import pandas as pd

    from etchscope.store import Store

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
    from etchscope.store import Store

    opened = Store.open(store)
    found = opened.scans.tiles(condition_of(where, foil, scan, tile))
    table = found if tiles else _scan_table(opened, found)
    if as_json:
        echo_json(json.loads(table.to_json(orient="records", double_precision=15)))
    elif len(table):
        typer.echo(table.to_string(index=False, na_rep="-"))
    else:
        typer.echo("no tiles")


def _scan_table(store: "Store", tiles: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for name, of_scan in tiles.groupby("scan", sort=False):
        scan = store.scans.get(str(name))
        rows.append(
            {
                "foil": scan.foil,
                "stack": of_scan["stack"].iloc[0],
                "side": scan.side,
                "scan": scan.name,
                "layout": scan.layout,
                "channels": len(scan.channels),
                "tiles": len(of_scan),
                "excluded": int(of_scan["excluded"].sum()),
                "left_out": len(store.scans.left_out(scan.name)),
                "runs": len(store.runs.table(scan.name)),
            }
        )
    return pd.DataFrame(rows)
