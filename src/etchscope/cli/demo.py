"""The command `demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from etchscope.api import DemoPages

__all__ = ["command"]


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for the demonstration, new or empty.")
    ],
    background: Annotated[
        float, typer.Option(min=0, max=20000, help="Background pits per tile, on average.")
    ] = 100.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed, which decides which foil is drawn.")] = 7,
) -> None:
    """Draw a foil with known signal, scan it, rank its candidates and report how well it went.

    Example: etchscope demo demo
    """
    from etchscope.api import run_demo

    pages = run_demo(directory, background=background, seed=seed, progress=True)
    _echo_result(directory, pages)
    typer.echo(f"Look at the best: {pages.candidates}")
    typer.echo(f"Open the report: {pages.report}")


def _echo_result(directory: Path, pages: "DemoPages") -> None:
    """Print what a demonstration found."""
    done, tiles = pages.done, len(pages.store.tiles())
    typer.echo(f"{directory / 'scan'}: a microscope's folder, {tiles} tiles of ten pictures")
    pits, truth = f"{len(done.pits)} rows", f"{len(done.truth)} true openings"
    typer.echo(f"{directory / 'pits.csv'}: {pits}; truth.csv: {truth}")
    typer.echo(
        f"efficiency {done.evaluation.efficiency}, purity {done.evaluation.purity} within "
        f"{done.tolerance_px:g} px, openings from {done.least_px:g} px radius on"
    )
    signal = int(done.truth.loc[done.truth["class"] == "hip", "particle"].nunique())
    selected = len(pages.store.candidates(run=done.run))
    typer.echo(
        f"{directory / 'candidates.csv'}: {len(done.candidates)} candidates, {selected} selected; "
        f"the foil has {signal} particles of signal"
    )
