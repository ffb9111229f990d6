"""The command `include`."""

from etchscope.cli.options import OfFoil, OfScan, OfTile, StorePath, Where
from etchscope.cli.tiles import condition_of, required_condition, tell_marked

__all__ = ["command"]


def command(
    store: StorePath,
    where: Where = None,
    foil: OfFoil = None,
    scan: OfScan = None,
    tile: OfTile = None,
) -> None:
    """Take excluded tiles in again.

    Example: etchscope include plate7 --where "excluded_why = 'a fibre'"
    """
    from etchscope.store import Store

    condition = required_condition(condition_of(where, foil, scan, tile))
    tell_marked("included", Store.open(store).scans.include(condition), condition)
