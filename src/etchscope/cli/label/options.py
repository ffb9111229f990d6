"""Options that several `label` commands have."""

from typing import Annotated, Literal

import typer

__all__ = ["All", "OfFoil", "OfSide", "OfWho"]

OfFoil = Annotated[str | None, typer.Option("--foil", help="Only labels of this foil.")]


OfSide = Annotated[
    Literal["front", "back"] | None, typer.Option("--side", help="Only labels of this side.")
]


OfWho = Annotated[str | None, typer.Option("--who", help="Only labels of this person.")]


All = Annotated[bool, typer.Option("--all", help="Every event, also replaced and withdrawn ones.")]
