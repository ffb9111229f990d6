"""The command `demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.sheet import SHEET, draw_sheet
from etchscope.progress import ProgressBars, progress_bar

if TYPE_CHECKING:
    from etchscope.run.demonstration import Demonstration

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
    from etchscope.pages import gather_content, write_report
    from etchscope.run.demonstration import demonstrate, draw_demo_foil
    from etchscope.run.results import select_candidates

    foil = draw_demo_foil(seed=seed, background=background)
    with ProgressBars() as progress:
        done = demonstrate(directory, foil, progress=progress)
        chosen = select_candidates(done.candidates)
        _tell(directory, done, len(foil.scan.tiles), len(chosen))
        content = gather_content(
            done.store,
            done.run,
            evaluation=done.evaluation,
            breakdowns=("setting", "class", "surface"),
            candidates=done.candidates,
        )
        page = draw_sheet(done.store, chosen.head(SHEET), directory / "candidates", [done.run])
        typer.echo(f"Look at the best: {page}")
        with progress_bar("Drawing the report", len(foil.scan.tiles)) as bar:
            page = write_report(content, directory / "report", progress=bar.advance)
    typer.echo(f"Open the report: {page}")


def _tell(directory: Path, done: "Demonstration", tiles: int, selected: int) -> None:
    """Print what a demonstration found."""
    from etchscope.run.demonstration import LEAST_PX, TOLERANCE_PX

    typer.echo(f"{directory / 'scan'}: a microscope's folder, {tiles} tiles of ten pictures")
    pits, truth, candidates = done.pits, done.truth, done.candidates
    typer.echo(f"{directory / 'pits.csv'}: {len(pits)} rows; truth.csv: {len(truth)} true openings")
    found = done.evaluation
    typer.echo(
        f"efficiency {found.efficiency}, purity {found.purity} within {TOLERANCE_PX:g} px, "
        f"openings from {LEAST_PX:g} px radius on"
    )
    signal = int(truth.loc[truth["class"] == "hip", "particle"].nunique())
    typer.echo(
        f"{directory / 'candidates.csv'}: {len(candidates)} candidates, {selected} selected; "
        f"the foil has {signal} particles of signal"
    )
