"""The command `model export`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.model.options import Name
from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(
    store: StorePath,
    name: Name,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PATH", help="A new folder, or a file that ends in .onnx."
        ),
    ],
) -> None:
    """Write a model for another store (safetensors and a card), or as ONNX for other programs.

    Example: etchscope model export plate7 first -o first-model

    Example: etchscope model export plate7 first -o first.onnx
    """
    from etchscope.api import Store

    Store.open(store).export_model(name, output)
    typer.echo(output)
