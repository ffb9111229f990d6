"""The command `model rm`."""

import typer

from etchscope.cli.model.options import Name
from etchscope.cli.options import StorePath

__all__ = ["command"]


def command(store: StorePath, name: Name) -> None:
    """Remove a model from a store; what was scored with it stays.

    Example: etchscope model rm plate7 first
    """
    from etchscope.api import Store

    Store.open(store).remove_model(name)
    typer.echo(f"{name} removed")
