"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Json",
    "MaskFile",
    "NoMask",
    "OfFoil",
    "OfScan",
    "OfTile",
    "Region",
    "StorePath",
    "Where",
]

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")]


Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


Where = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="Condition on the columns of `ls --tiles`."),
]


OfFoil = Annotated[str | None, typer.Option("--foil", help="Only tiles of this foil.")]


OfScan = Annotated[str | None, typer.Option("--scan", help="Only tiles of this scan.")]


OfTile = Annotated[int | None, typer.Option("--tile", help="Only tiles of this number.")]


Region = Annotated[
    Path | None, typer.Option(metavar="FILE", help="JSON polygon [[x, y], …] in foil mm.")
]


MaskFile = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="FILE",
        help="JSON polygons, in foil mm or without a scale in px, or a picture (white: search), "
        "of where to search; kept with the scan.",
    ),
]


NoMask = Annotated[
    bool, typer.Option("--no-mask", help="Forget the scan's mask and search all of it.")
]
