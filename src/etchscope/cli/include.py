"""The command `include`."""

from etchscope.cli.options import OfFoil, OfScan, OfTile, StorePath, Where
from etchscope.cli.tiles import chosen_tiles, echo_tiles

__all__ = ["command"]


def command(
    store: StorePath,
    where: Where = None,
    foil: OfFoil = None,
    scan: OfScan = None,
    tile: OfTile = None,
) -> None:
    """Include tiles that were excluded.

    Example: etchscope include plate7 --where "excluded_why = 'a fibre'"
    """
    from etchscope.api import Store

    echo_tiles("included", Store.open(store).include(**chosen_tiles(where, foil, scan, tile)))
