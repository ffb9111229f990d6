"""Calibration and working point of experts, from random foils that they were not trained on."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from etchscope.candidates import candidate_table
from etchscope.ensemble import (
    Calibration,
    Model,
    WorkingPoint,
    estimate_abundance,
    fit_calibration,
    gather_measures,
    measure_working_point,
)
from etchscope.evaluation import Ground, Requirement
from etchscope.evaluation import Search as Ranked
from etchscope.foil import BadInput
from etchscope.foil.types import Floats
from etchscope.preselect.finder import Finder
from etchscope.run.finder_classifiers import Progress, silent
from etchscope.run.lesson_finds import score_finds
from etchscope.run.lessons import Lesson, Lessons
from etchscope.simulation.populations import REFERENCE_TILE_MM2

__all__ = ["decided_on"]

log = logging.getLogger(__name__)

_CONFIDENCE = 0.95
_SPREADS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
"""Tried in order until 95 % of the random foils hold signal within their interval."""


def decided_on(
    model: Model,
    lessons: Lessons,
    finder: Finder,
    *,
    false_per_tile: float,
    densest: float,
    progress: Progress = silent,
) -> Model:
    """Return the model with a calibration and a working point from random foils.

    A candidate is the best of the finds within 7 px of each other, or a pair. A candidate that is
    no signal is false. The efficiency counts all particles whose entry pit lies in the picture. A
    picture counts as a tile with the mean density of its finds.

    Parameters
    ----------
    lessons : foils that the model was not trained on.
    finder : what finds the openings.
    false_per_tile : false candidates per tile at the working point.
    densest : openings per tile up to which foils count for the working point.
    progress : called with "Scoring finds", 1, and the number of foils.
    """
    each = [lessons[place] for place in range(len(lessons))]
    finds = []
    for lesson in each:
        finds.append(score_finds(lesson, finder, model))
        progress("Scoring finds", 1, len(each))
    try:
        model = replace(model, calibration=_calibrated_on(finds))
    except BadInput as error:  # few foils are for a trial only
        log.warning("the model stays without a calibration: %s", error)
    tiles = np.array([lesson.area_mm2 / REFERENCE_TILE_MM2 for lesson in each])
    is_sparse = [len(o.x_px) <= densest * n for o, n in zip(each, tiles, strict=True)]
    sparse = np.flatnonzero(is_sparse).tolist()
    scored = [
        finds[k].assign(
            score=model.calibration.score(gather_measures(finds[k], finds[k]["experts"].to_numpy()))
        )
        for k in sparse
    ]
    return model.at(_point_on([each[k] for k in sparse], scored, tiles[sparse], false_per_tile))


def _calibrated_on(finds: Sequence[pd.DataFrame]) -> Calibration:
    """Return the calibration that is fitted to the finds of random foils.

    Size and contrast are left out, because their relation to signal holds for one kind of foil
    only, and so is the dependence on density, which does not show across all kinds. Foils differ so
    much that the expected signal of one foil has an additional spread.
    """
    measures, is_signal = [], []
    for found in finds:
        numbered = found.assign(row=np.arange(len(found)))
        candidates = candidate_table(numbered, pixel_size_um=None)
        particle = candidates["particle"]
        candidates = candidates[(particle < 0) | ~particle.duplicated()]  # the best of each
        of_finds = gather_measures(found, found["experts"].to_numpy(np.float64))
        measures.append(of_finds.iloc[candidates["row"]])
        is_signal.append((candidates["particle"] >= 0).to_numpy())
    every = np.concatenate(is_signal)
    fitted = fit_calibration(
        pd.concat(measures, ignore_index=True),
        every,
        fitted_on=f"{len(every)} candidates, {every.sum()} of them signal, of {len(measures)} "
        "random foils not learnt from",
        of=("experts", "experts_apart", "pair", "log_density"),
        by_density=False,
    )
    for spread in _SPREADS:
        inside = []
        for own, true in zip(measures, is_signal, strict=True):
            of_foil = estimate_abundance(fitted.score(own), fitted.log_abundance(own), spread)
            _, low, high = of_foil.expected
            inside.append(low - 0.5 <= true.sum() <= high + 0.5)
        if np.mean(inside) >= _CONFIDENCE:
            break
    return replace(fitted, spread=spread)


def _point_on(
    lessons: Sequence[Lesson], finds: Sequence[pd.DataFrame], tiles: Floats, false_per_tile: float
) -> WorkingPoint:
    """Return the working point at ``false_per_tile`` false candidates per tile, by density.

    Parameters
    ----------
    finds : scored finds of each foil.
    tiles : (n,) area of each foil in tiles.
    """
    false, best, density = [], [], []
    for lesson, found in zip(lessons, finds, strict=True):
        entries = (lesson.kind == "hip") & lesson.is_top & (lesson.partner >= 0)
        candidates = candidate_table(found, pixel_size_um=None)
        is_false = candidates["particle"] < 0
        false.append(candidates.loc[is_false, "score"].to_numpy(np.float64))
        of_particles = candidates[~is_false].groupby("particle")["score"].max()
        sought = of_particles.reindex(np.unique(lesson.particle[entries])).fillna(-np.inf)
        best.append(sought.to_numpy(np.float64))
        density.append(float(found["density_per_mm2"].median()) if len(found) else 0.0)
    ranked = _ranked(false, best, np.array(density), tiles)
    asked = Requirement(false_per_tile=false_per_tile)
    return measure_working_point(
        ranked,
        asked,
        chosen_by=f"{asked} of random foils",
        measured_on=f"{len(lessons)} random foils not learnt from, {tiles.sum():.1f} tiles of "
        f"{REFERENCE_TILE_MM2:.2f} mm² with {ranked.particles} pairs, chosen on one half of them "
        "and measured on the other",
    )


def _ranked(
    false: Sequence[Floats], best: Sequence[Floats], density: Floats, tiles: Floats
) -> Ranked:
    """Return the search of all pictures, from false scores and the best score of each particle.

    Parameters
    ----------
    density : (t,) in 1/mm².
    tiles : (t,) area of each picture in tiles.
    """
    numbers = np.arange(len(tiles))
    particle_tile = np.repeat(numbers, [len(b) for b in best])
    true = np.concatenate([*best, np.empty(0)])
    found = np.isfinite(true)
    score = np.concatenate([*false, true[found]])
    tile = np.r_[np.repeat(numbers, [len(f) for f in false]), particle_tile[found]]
    order = np.argsort(-score, kind="stable")
    is_true = np.arange(len(score)) >= len(score) - int(found.sum())
    row = np.column_stack([numbers, np.zeros(len(numbers))]).astype(np.float64)
    return Ranked(
        score[order],
        is_true[order],
        np.zeros(len(score)),
        len(true),
        float(tiles.sum()),
        float(tiles.sum()) * REFERENCE_TILE_MM2 / 100,
        tile[order],
        particle_tile,
        tiles,
        Ground(row, density[:, None], density[tile[order]], density[particle_tile]),
    )
