"""The command that shows all of it on a foil that never existed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from etchscope.cli.progress import progress_bar
from etchscope.evaluate import evaluate
from etchscope.foil import BadInput
from etchscope.ingest import add
from etchscope.ingest.write import write_smartscope
from etchscope.run import find
from etchscope.simulate import isolated, once, preset, with_parameters
from etchscope.store import Store
from etchscope.store.tables import write_table

__all__ = ["COMMANDS"]

_TOLERANCE_PX = 6.0


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for the demonstration, new or empty.")
    ],
    background: Annotated[
        float, typer.Option(min=0, max=20000, help="Background pits a tile, on average.")
    ] = 100.0,
    seed: Annotated[int, typer.Option(min=0, help="Which foil is drawn.")] = 7,
) -> None:
    """Draw a foil with known pits, scan it, find its pits and report how well that went.

    Example: etchscope demo demo
    """
    if directory.exists() and any(directory.iterdir()):
        raise BadInput(directory, "a new or empty folder", "files in it")
    (drawn,) = preset("reference", seed=seed, columns=5, rows=4)
    foil = replace(with_parameters(drawn, {"fragments.per_tile": background}), foil="demo")
    tiles = len(foil.scan.tiles)
    with progress_bar("Photographing a simulated foil", tiles) as bar:
        write_smartscope(
            directory / "scan",
            foil.scan,
            foil.read_tile,
            foil=foil.foil_record,
            progress=bar.advance,
        )
    typer.echo(f"{directory / 'scan'}: a microscope's folder, {tiles} tiles of ten pictures")
    store = Store.create(directory / "store")
    with progress_bar("Adding it to a store", tiles) as bar:
        name = add(store, directory / "scan", progress=bar.advance).scan
    with progress_bar("Searching it for pits", tiles) as bar:
        done = find(store, name, progress=bar.advance)
    pits = store.read_pits(done.run)
    pixel_um = foil.optics.pixel_size_um
    truth = once(foil.truth(), foil.optics.image_size)
    truth["setting"] = np.where(isolated(truth, pixel_um), "isolated", "overlapped")
    mm = _TOLERANCE_PX * pixel_um / 1000
    score = evaluate(truth, pits, rule="one-to-one", tolerance_mm=mm)
    write_table(directory / "pits.csv", pits)
    write_table(directory / "truth.csv", truth)
    typer.echo(f"{directory / 'pits.csv'}: {len(pits)} pits; truth.csv: {len(truth)} true openings")
    typer.echo(f"efficiency {score.efficiency}, purity {score.purity} within {_TOLERANCE_PX:g} px")

    # Here, so that no other command waits for Matplotlib.
    from etchscope.report import content_of_run, write_report

    breakdowns = ("setting", "class", "surface")
    content = content_of_run(store, done.run, evaluation=score, breakdowns=breakdowns)
    with progress_bar("Drawing the report", tiles) as bar:
        page = write_report(content, directory / "report", progress=bar.advance)
    typer.echo(f"Open the report: {page}")


COMMANDS: dict[str, Callable[..., None]] = {"demo": demo}
