"""The command `label export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from etchscope.cli.errors import name_options
from etchscope.cli.label.options import All, OfFoil, OfSide, OfWho
from etchscope.cli.options import StorePath
from etchscope.foil import BadInput

__all__ = ["command"]


def command(
    store: StorePath,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="TABLE", help="Table to write: .csv or .parquet."),
    ] = None,
    patches: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="NumPy file of the labels' patches to write, for training: .npz."
        ),
    ] = None,
    foil: OfFoil = None,
    side: OfSide = None,
    who: OfWho = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Only this class with its subclasses; may be repeated."),
    ] = None,
    every: All = False,
    size: Annotated[
        int | None, typer.Option(min=4, help="Pixels per side of a patch [28].")
    ] = None,
    lights: Annotated[
        Literal["any", "all"],
        typer.Option(help="Channels of the patches: any lights as planes, or all as they are."),
    ] = "any",
) -> None:
    """Write labels as a table, for each person and place the latest, or as patches, or both.

    The patches are those that `train` learns from: of each place one label counts, which is
    decidable and lies on an included tile.

    Example: etchscope label export plate7 -o labels.parquet

    Example: etchscope label export plate7 --patches patches.npz
    """
    from etchscope.api import Store

    if output is None and patches is None:
        raise BadInput("label export", "-o TABLE, --patches FILE, or both", "neither")
    if patches is not None and every:
        raise BadInput("--all", "no --patches beside it", str(patches))
    opened = Store.open(store)
    with name_options({"class": "--class", "foil and side": "label export"}):
        if output is not None:
            count = opened.export_labels(
                output, foil=foil, side=side, who=who, classes=classes, every=every
            )
            typer.echo(f"{output}: {count} labels")
        if patches is not None:
            count = opened.export_patches(
                patches,
                foil=foil,
                side=side,
                who=None if who is None else [who],
                classes=classes,
                size=size,
                planes=lights == "any",
                progress=True,
            )
            typer.echo(f"{patches}: {count} patches")
