"""The command that shows all of it on a foil that never existed."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from etchscope.cli.progress import progress_bar
from etchscope.evaluate import Evaluation, evaluate
from etchscope.files.tables import write_table
from etchscope.foil import BadInput
from etchscope.ingest import add
from etchscope.ingest.write import write_smartscope
from etchscope.run import find
from etchscope.simulate import isolated, once, preset, with_parameters
from etchscope.store import Store

__all__ = ["command"]

_TOLERANCE_PX = 6.0
_LEAST_PX = 3.0
_SHEET = 100
"""Candidates on the contact sheet."""


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for the demonstration, new or empty.")
    ],
    background: Annotated[
        float, typer.Option(min=0, max=20000, help="Background pits a tile, on average.")
    ] = 100.0,
    seed: Annotated[int, typer.Option(min=0, help="Which foil is drawn.")] = 7,
) -> None:
    """Draw a foil with known signal, scan it, rank its candidates and report how well it went.

    Example: etchscope demo demo
    """
    if directory.exists() and any(directory.iterdir()):
        raise BadInput(directory, "a new or empty folder", "files in it")
    (drawn,) = preset("experiment", seed=seed, columns=5, rows=4)
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
        find(store, name, progress=bar.advance)
    from etchscope.cli.run import registered_model
    from etchscope.cli.sheet import draw_sheet
    from etchscope.run.stages.score import ranked_candidates, score

    model = registered_model(store, None, [name], is_temporary=False)
    with progress_bar("Judging the pits", tiles) as bar:
        scored = score(store, name, model=model, progress=bar.advance)
    pits, candidates = store.runs.pits(scored.run), ranked_candidates(store, scored.run)
    truth = once(foil.truth(), foil.optics.image_size)
    alone = isolated(truth, foil.optics.pixel_size_um)
    truth["setting"] = np.where(alone, "isolated", "overlapped")
    write_table(directory / "pits.csv", pits)
    write_table(directory / "truth.csv", truth)
    write_table(directory / "candidates.csv", candidates)
    found = evaluated(truth, pits, foil.optics.pixel_size_um)
    typer.echo(f"{directory / 'pits.csv'}: {len(pits)} rows; truth.csv: {len(truth)} true openings")
    typer.echo(
        f"efficiency {found.efficiency}, purity {found.purity} within {_TOLERANCE_PX:g} px, "
        f"openings from {_LEAST_PX:g} px radius on"
    )
    chosen = candidates[candidates["selected"].fillna(value=False).astype(bool)]
    signal = int(truth.loc[truth["class"] == "hip", "particle"].nunique())
    typer.echo(
        f"{directory / 'candidates.csv'}: {len(candidates)} candidates, {len(chosen)} selected; "
        f"the foil has {signal} particles of signal"
    )
    page = draw_sheet(store, chosen.head(_SHEET), directory / "candidates", [scored.run])
    typer.echo(f"Look at the best: {page}")

    # Here, so that no other command waits for Matplotlib.
    from etchscope.pages import gather_content, write_report

    content = gather_content(
        store,
        scored.run,
        evaluation=found,
        breakdowns=("setting", "class", "surface"),
        candidates=candidates,
    )
    with progress_bar("Drawing the report", tiles) as bar:
        page = write_report(content, directory / "report", progress=bar.advance)
    typer.echo(f"Open the report: {page}")


def evaluated(truth: pd.DataFrame, pits: pd.DataFrame, pixel_size_um: float) -> Evaluation:
    """Return how the openings of a search compare with true ones that are large enough to count."""
    mm = _TOLERANCE_PX * pixel_size_um / 1000
    large = truth["radius_px"] >= _LEAST_PX
    openings = pits[pits["length_px"].isna() & (pits["radius_px"] >= _LEAST_PX)]
    return evaluate(
        truth[large].reset_index(drop=True),
        openings.reset_index(drop=True),
        rule="one-to-one",
        tolerance_mm=mm,
    )
