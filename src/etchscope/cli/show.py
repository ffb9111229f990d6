"""The command `show`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.errors import name_options
from etchscope.cli.options import StorePath
from etchscope.foil import BadInput

__all__ = ["command"]

_OPTIONS = {
    "at": "--at",
    "size": "--size",
    "candidate": "--candidate",
    "place": "--tile and --at, or --candidate",
    "blur_um": "--blur-um",
}


def command(
    store: StorePath,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the pictures.")
    ],
    scan: Annotated[str | None, typer.Option(help="Scan to show.")] = None,
    tile: Annotated[int | None, typer.Option(metavar="N", help="Number of the tile.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="X,Y", help="Place in the tile in pixels, y down.")
    ] = None,
    candidate: Annotated[
        int | None,
        typer.Option(metavar="K", help="Show this candidate, 1 being the best, instead."),
    ] = None,
    size: Annotated[int, typer.Option(metavar="PX", help="Side of what is shown.")] = 96,
    blur_um: Annotated[
        float | None,
        typer.Option(metavar="UM", help="Blur of the pictures, to be taken back [none is]."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Run whose pits to draw [the latest].")] = None,
) -> None:
    """Show a place: raw and cleaned pictures, and animations over lamps and maps.

    Example: etchscope show plate7 --scan F1-front --tile 12 --at 310,205 -o place
    """
    from etchscope.api import Store

    opened = Store.open(store)
    with name_options(_OPTIONS):
        view = opened.show(
            scan,
            tile=tile,
            at=None if at is None else _place(at),
            candidate=candidate,
            size_px=size,
            blur_um=blur_um,
            run=run,
        )
    for path in opened.write_view(output, view):
        typer.echo(path)
    for what, why in view.not_shown.items():
        typer.echo(f"not shown: {what}, since {why}")


def _place(text: str) -> tuple[float, float]:
    """Return x and y of a place.

    Raises
    ------
    BadInput : these are not two numbers.
    """
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise BadInput("at", "two numbers with a comma between, as 310,205", repr(text)) from error
    return x, y
