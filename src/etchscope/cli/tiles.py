"""Which tiles are meant, and what became of them."""

from typing import TYPE_CHECKING

import typer

from etchscope.foil import BadInput

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["condition_of", "required_condition", "tell_marked"]


def condition_of(
    where: str | None, foil: str | None, scan: str | None, tile: int | None
) -> str | None:
    """Return the SQL condition of the options that choose tiles; None without any."""
    parts = [f"({where})"] if where is not None else []
    for column, value in (("foil", foil), ("scan", scan)):
        if value is not None:
            quoted = value.replace("'", "''")
            parts.append(f"{column} = '{quoted}'")
    if tile is not None:
        parts.append(f"tile = {tile}")
    return " and ".join(parts) or None


def required_condition(condition: str | None) -> str:
    """Refuse a command on tiles that names none."""
    if condition is None:
        raise BadInput("which tiles", "--where, --foil, --scan or --tile", "none of them")
    return condition


def tell_marked(what: str, found: "pd.DataFrame", condition: str) -> None:
    """Print the tiles that were excluded or included."""
    if not len(found):
        raise BadInput(condition, "tiles that match", "none", hint="See `ls --tiles`.")
    for scan, tiles in found.groupby("scan", sort=False):
        numbers = ", ".join(map(str, tiles["tile"]))
        typer.echo(f"{scan}: {what} {len(tiles)} tiles: {numbers}")
