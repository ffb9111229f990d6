"""The command `model export`."""

from pathlib import Path
from typing import Annotated

import typer

from etchscope.cli.model.options import Name
from etchscope.cli.options import StorePath
from etchscope.foil import BadInput

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
    from etchscope.store import Store

    opened = Store.open(store)
    if output.suffix.lower() == ".onnx":
        from etchscope.ensemble import Model, to_onnx

        content = to_onnx(Model.from_record(*opened.models.load(name)))
        if not output.absolute().parent.is_dir():
            raise BadInput(output, "an existing folder", f"no {output.parent}")
        output.write_bytes(content)
    else:
        opened.models.export(name, output)
    typer.echo(output)
