"""The command `stars`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.messages import echo_table
from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(
    store: StorePath,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for the tables and a picture [none]."
        ),
    ] = None,
    scan: Annotated[str | None, typer.Option(help="Scan whose latest run to search.")] = None,
    run: Annotated[str | None, typer.Option(help="Run whose pits to search [the latest].")] = None,
    purity: Annotated[
        float, typer.Option(help="Least expected share of selected stars that are no accident.")
    ] = 0.9,
    copies: Annotated[
        int, typer.Option(help="Scrambled copies in which accidental stars are counted.")
    ] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the copies.")] = 0,
) -> None:
    """Find stars among found pits: several tracks from one vertex.

    Example: etchscope stars plate7 --scan F1-front --output stars
    """
    from etchscope.api import Store

    opened = Store.open(store)
    search = opened.stars(scan, run=run, purity=purity, copies=copies, seed=seed)
    for by in ("kind", "prongs"):
        counts = search.count(by)
        if len(counts):
            echo_table(counts.round(2))
    if output is not None:
        typer.echo(opened.write_stars(output, search))
    typer.echo(f"{int(search.stars['selected'].sum()):,} stars of {len(search.stars):,} vertices")
