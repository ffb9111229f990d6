"""The whole pipeline on a simulated foil with known signal, from pictures to candidates."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.evaluation import Evaluation, evaluate
from etchscope.files.tables import write_table
from etchscope.foil import BadInput
from etchscope.ingest import add_scan
from etchscope.ingest.write import write_smartscope
from etchscope.run.models import register_model
from etchscope.run.results import ranked_candidates
from etchscope.run.stages.finding import find
from etchscope.run.stages.scoring import score
from etchscope.simulation import (
    SimulatedScan,
    drop_overlap_copies,
    find_isolated,
    preset,
    with_parameters,
)
from etchscope.store import Store

__all__ = ["Demonstration", "demonstrate", "draw_demo_foil"]

_TOLERANCE_PX = 6.0
"""Largest distance of a found opening from its true one."""
_LEAST_PX = 3.0
"""Smallest radius of true openings that count."""


@dataclass(frozen=True)
class Demonstration:
    """What a demonstration found: the store, its scored ``run``, and tables.

    ``tolerance_px``: found openings closer than this to a true one match it in ``evaluation``.
    ``least_px``: smallest radius of the openings that are compared.
    """

    store: Store
    run: str
    pits: pd.DataFrame
    truth: pd.DataFrame
    candidates: pd.DataFrame
    evaluation: Evaluation
    tolerance_px: float = _TOLERANCE_PX
    least_px: float = _LEAST_PX


def draw_demo_foil(*, seed: int = 7, background: float = 100.0) -> SimulatedScan:
    """Return the foil of preset ``experiment`` that the demonstration photographs.

    Parameters
    ----------
    background : background pits per tile, on average.
    """
    (drawn,) = preset("experiment", seed=seed, columns=5, rows=4)
    return replace(with_parameters(drawn, {"fragments.per_tile": background}), foil="demo")


def demonstrate(
    directory: Path, foil: SimulatedScan, *, progress: Callable[[str, int, int], None]
) -> Demonstration:
    """Photograph a foil, search it, score what is found, and compare it with the truth.

    The folder gets ``scan``, ``store``, ``pits.csv``, ``truth.csv`` and ``candidates.csv``.

    Parameters
    ----------
    directory : new or empty.
    progress : called with the step's name, the number of tiles just done, and that of all tiles.

    Raises
    ------
    BadInput : a folder that holds files.
    MachineFailed : the disk is full.
    """
    if directory.exists() and any(directory.iterdir()):
        raise BadInput(directory, "a new or empty folder", "files in it")
    tiles = len(foil.scan.tiles)

    def step(what: str) -> Callable[[int], None]:
        return lambda count: progress(what, count, tiles)

    scan, record = directory / "scan", foil.foil_record
    photographed = step("Photographing a simulated foil")
    write_smartscope(scan, foil.scan, foil.read_tile, foil=record, progress=photographed)
    store = Store.create(directory / "store")
    name = add_scan(store, scan, progress=step("Adding it to a store")).scan
    find(store, name, progress=step("Searching it for pits"))
    model = register_model(store, None, [name])
    run = score(store, name, model=model, progress=step("Scoring the pits")).run
    pits, candidates = store.runs.pits(run), ranked_candidates(store, run)
    truth = drop_overlap_copies(foil.truth(), foil.optics.image_size)
    alone = find_isolated(truth, foil.optics.pixel_size_um)
    truth["setting"] = np.where(alone, "isolated", "overlapped")
    for stem, table in (("pits", pits), ("truth", truth), ("candidates", candidates)):
        write_table(directory / f"{stem}.csv", table)
    evaluation = _evaluated(truth, pits, foil.optics.pixel_size_um)
    return Demonstration(store, run, pits, truth, candidates, evaluation)


def _evaluated(truth: pd.DataFrame, pits: pd.DataFrame, pixel_size_um: float) -> Evaluation:
    """Return the evaluation of openings with a radius of at least ``_LEAST_PX``."""
    large = truth["radius_px"] >= _LEAST_PX
    openings = pits[pits["length_px"].isna() & (pits["radius_px"] >= _LEAST_PX)]
    return evaluate(
        truth[large].reset_index(drop=True),
        openings.reset_index(drop=True),
        rule="one-to-one",
        tolerance_mm=_TOLERANCE_PX * pixel_size_um / 1000,
    )
