"""The command `anomalies`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.errors import name_options
from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(
    store: StorePath,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for list and map.")
    ],
    scan: Annotated[str | None, typer.Option(help="Scan whose latest run to use.")] = None,
    run: Annotated[str | None, typer.Option(help="Run whose pits are known [the latest].")] = None,
    expected: Annotated[
        float,
        typer.Option(metavar="N", help="Accidental places per tile among those listed."),
    ] = 1.0,
) -> None:
    """List and map the places that neither the background nor a found pit explains.

    Example: etchscope anomalies plate7 --scan F1-front -o anomalies
    """
    from etchscope.api import Store

    opened = Store.open(store)
    with name_options({"expected": "--expected"}):
        search = opened.anomalies(scan, run=run, most_expected=expected, progress=True)
    typer.echo(opened.write_anomalies(output, search))
    if search.not_modelled:
        typer.echo(f"the ground of found pits is left out, since {search.not_modelled}")
    typer.echo(
        f"{len(search.places):,} places on {search.tiles:,} tiles, of which about "
        f"{expected * search.tiles:.3g} are accidental"
    )
