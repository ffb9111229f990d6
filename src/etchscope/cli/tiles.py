"""Which tiles the options choose, and which tiles were excluded or included."""

from typing import TYPE_CHECKING, Any

import typer

from etchscope.foil import BadInput

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["chosen_tiles", "echo_tiles"]


def chosen_tiles(
    where: str | None, foil: str | None, scan: str | None, tile: int | None
) -> dict[str, Any]:
    """Return the options that choose tiles as arguments of ``api.Store``; at least one is needed.

    Raises
    ------
    BadInput : none of the options is given.
    """
    chosen = {"where": where, "foil": foil, "scan": scan, "tile": tile}
    if all(value is None for value in chosen.values()):
        raise BadInput("which tiles", "--where, --foil, --scan or --tile", "none of them")
    return chosen


def echo_tiles(what: str, tiles: "pd.DataFrame") -> None:
    """Print, for each scan, which of its tiles were excluded or included."""
    for scan, of_scan in tiles.groupby("scan", sort=False):
        numbers = ", ".join(map(str, of_scan["tile"]))
        typer.echo(f"{scan}: {what} {len(of_scan)} tiles: {numbers}")
