"""The command `simulate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from etchscope.foil import BadInput
from etchscope.progress import progress_bar

if TYPE_CHECKING:
    from etchscope.foil import Side
    from etchscope.simulation import SimulatedScan
    from etchscope.store import Store

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
    from etchscope.run import simulate
    from etchscope.run.drawn import draw_foils

    given = dict(_parameter(text) for text in parameters or [])
    if background is not None:
        given["fragments.per_tile"] = background
    if signal is not None:
        given["hips.per_tile"] = signal
    scans = draw_foils(
        name,
        columns=columns,
        rows=rows,
        sides=_SIDES[sides],
        foils=foils,
        foil=foil,
        seed=seed,
        parameters=given,
        randomise=randomise,
    )
    opened = None if store is None else _opened(store)
    tiles = sum(len(scan.scan.tiles) for scan in scans)
    with progress_bar("Photographing simulated foils", tiles) as bar:
        truths = simulate(scans, directory, store=opened, workers=workers, progress=bar.advance)
    for scan, truth in zip(scans, truths, strict=True):
        where = directory / scan.scan.name if store is None else f"{store}: {scan.scan.name}"
        look = _look(scan, directory)
        typer.echo(f"{where}: {len(scan.scan.tiles)} tiles; truth in {truth}; look at {look}")


def _look(scan: "SimulatedScan", directory: Path) -> Path:
    """Write all pictures of the scan's middle tile and its truth as one; return the file."""
    # Here, so that no other command waits for Matplotlib.
    from etchscope.draw.channels import draw_channels
    from etchscope.draw.png import encode_figure
    from etchscope.pages.writing import write_picture

    tiles = scan.scan.tiles
    tile = tiles[len(tiles) // 2].number
    title, truth = f"{scan.scan.name}, tile {tile}", scan.truth([tile])
    drawn = draw_channels(scan.read_tile(tile), scan.optics.channels, title, truth)
    return write_picture(encode_figure(drawn), directory / f"{scan.scan.name}-look.png")


def _opened(path: Path) -> "Store":
    from etchscope.store import Store

    return Store.open(path) if (path / "catalogue.sqlite").is_file() else Store.create(path)
