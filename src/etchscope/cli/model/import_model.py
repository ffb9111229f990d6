"""The command `model import`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(
    store: StorePath,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR", help="Folder of an exported model [the experts of the package]."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model in the store [that of the folder].")
    ] = None,
) -> None:
    """Import a model into a store, or the experts that come with the package.

    Example: etchscope model import plate8 first-model --name first

    Example: etchscope model import plate8 --name mine
    """
    from etchscope.api import Store

    typer.echo(Store.open(store).import_model(folder, name=name))
