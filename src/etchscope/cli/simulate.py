"""The command `simulate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from etchscope.cli.errors import name_options
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from etchscope.foil import Side

__all__ = ["command"]

_PRESETS = ("reference", "label-mix", "pb-stack", "experiment", "tasl")
"""Those of ``etchscope.simulation``, which the help need not import; a test compares them."""
_SIDES: "dict[str, tuple[Side, ...]]" = {
    "front": ("front",),
    "back": ("back",),
    "both": ("front", "back"),
}


def _parameter(text: str) -> tuple[str, Any]:
    """Return the name and value of ``group.parameter=value``; the value is JSON or a word."""
    name, is_given, value = text.partition("=")
    if not is_given:
        raise BadInput("--set", "group.parameter=value", repr(text))
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
    except (ValueError, RecursionError) as error:  # thousands of digits or of brackets
        raise BadInput(f"--set {name}", "a number, a list or a word", repr(value)) from error


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for scans, truths and parameters.")
    ],
    name: Annotated[
        str, typer.Option("--preset", help=f"What to draw: {', '.join(_PRESETS)}.")
    ] = "reference",
    columns: Annotated[int, typer.Option(min=1, max=1000, help="Number of columns of tiles.")] = 5,
    rows: Annotated[int, typer.Option(min=1, max=1000, help="Number of rows of tiles.")] = 4,
    sides: Annotated[
        Literal["front", "back", "both"], typer.Option(help="Sides of the foil to photograph.")
    ] = "front",
    background: Annotated[
        float | None, typer.Option(help="Single background pits per tile [the preset's].")
    ] = None,
    signal: Annotated[
        float | None, typer.Option(help="Through-going particles per tile [the preset's].")
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Set any other parameter; may be repeated."
        ),
    ] = None,
    randomise: Annotated[
        bool, typer.Option("--randomise", help="Draw foil, optics and populations at random.")
    ] = False,
    foils: Annotated[
        int, typer.Option(min=1, max=10000, help="Number of foils; each has the next seed.")
    ] = 1,
    foil: Annotated[str | None, typer.Option(help="Name of the foil [the preset's].")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed, which decides which foil is drawn.")] = 1,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE", help="Add the pictures to this store, which is made if absent."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of threads [one per core].")
    ] = None,
) -> None:
    """Draw foils with known pits and photograph them as the microscope would.

    DIR gets, for each scan, a scan directory, the true openings as a pit table, the marks that
    are no pits, a picture to look at, and a list of all parameters: what --set can change.

    Example: etchscope simulate twin --background 300 --sides both --set optics.blur_um=8
    """
    from etchscope import api

    with name_options({"name of the foil": "--foil"}):
        scans = api.simulate(
            name,
            columns=columns,
            rows=rows,
            sides=_SIDES[sides],
            background=background,
            signal=signal,
            parameters=dict(_parameter(text) for text in parameters or []),
            randomise=randomise,
            foils=foils,
            foil=foil,
            seed=seed,
        )
    opened = None if store is None else api.open_store(store, create=True)
    written = api.photograph(scans, directory, store=opened, workers=workers, progress=True)
    for one in written:
        scan = one.scan.scan
        where = one.pictures or f"{store}: {scan.name}"
        tiles = len(scan.tiles)
        typer.echo(f"{where}: {tiles} tiles; truth in {one.truth}; look at {one.look}")
