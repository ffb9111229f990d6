"""Options that several `model` commands have."""

from typing import Annotated

import typer

__all__ = ["Name"]

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the model.")]
