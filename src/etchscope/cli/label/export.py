"""The command `label export`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.label.options import All, OfFoil, OfSide, OfWho
from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(
    store: StorePath,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="TABLE", help="Table to write: .csv or .parquet."),
    ],
    foil: OfFoil = None,
    side: OfSide = None,
    who: OfWho = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Only this class with its subclasses; may be repeated."),
    ] = None,
    every: All = False,
) -> None:
    """Write labels as a table: for each person and place the latest.

    Example: etchscope label export plate7 -o labels.parquet
    """
    from etchscope.files import write_labels
    from etchscope.store import Store

    opened = Store.open(store)
    for name in classes or []:
        opened.labels.taxonomy().require("--class", name)
    found = opened.labels.table(foil=foil, side=side, who=who, classes=classes, latest=not every)
    write_labels(output, found)
    typer.echo(f"{output}: {len(found)} labels")
