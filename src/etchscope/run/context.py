"""What an ensemble learns of partners and surroundings: the candidates of random foils."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from sklearn.ensemble import GradientBoostingClassifier

from etchscope.ensemble import Model, beside_partner, measure_context, partner_rows
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.imaging import Recipe, fit_normalisation, light_planes
from etchscope.learn import Lights, Patches, cut_planes, plane_scale
from etchscope.preselect import find_pits
from etchscope.preselect.judge import Trees
from etchscope.preselect.learned import Finder
from etchscope.run.finder import grown_trees
from etchscope.run.lessons import LIGHTING, Lesson, Lessons

__all__ = ["Scored", "fitted_context", "scored"]

_SIGNAL_PX = 6.0
"""A find nearer than this to an opening of signal is that particle's."""
_SOME = 160
"""Finds of no signal that are judged of one foil; one stands for several in a crowd."""
_TREES = {"n_estimators": 200, "max_depth": 5, "learning_rate": 0.06, "subsample": 0.5}
_SMALLEST_LEAF = 60


@dataclass(frozen=True)
class Scored:
    """The finds of a foil that are no marks, and what the experts say of their pictures.

    ``pits``: rows of a pit table; ``told``: of ``Model.judge``; ``around``: of
    ``measure_context``; ``partner``: (n,) row of each one's partner, −1 without; ``particle``: (n,)
    the true particle near each, −1 without one; ``weight``: (n,) how many finds each stands for,
    0 for one that is there as a partner only.
    """

    pits: pd.DataFrame
    told: pd.DataFrame
    around: Floats
    partner: Ints
    particle: Ints
    weight: Floats

    @property
    def is_candidate(self) -> Bools:
        """Return which rows stand for a candidate: not the exit pit of a pair, (n,)."""
        is_exit = (self.pits["surface"] == "bottom").to_numpy(bool) & (self.partner >= 0)
        return np.asarray(~is_exit)


def scored(
    lesson: Lesson, finder: Finder, model: Model, *, some: int | None = None, seed: int = 0
) -> Scored | None:
    """Return the finds of a foil as a run would judge them; None where there are none.

    Parameters
    ----------
    some : so many finds that are not near signal, on average, and all that are, with their
        partners; all unless given.
    """
    azimuths = LIGHTING.azimuths_deg
    pits = find_pits(
        lesson.raw,
        azimuths_deg=azimuths,
        pixel_size_um=lesson.pixel_size_um,
        thickness_um=lesson.thickness_um,
        finder=finder,
    )
    pits = pits[pits["length_px"].isna()].reset_index(drop=True)
    if not len(pits):
        return None
    at = pits[["x_px", "y_px"]].to_numpy(np.float64)
    around = measure_context(pits, at, lesson.pixel_size_um)
    particle, partner = _particles(lesson, at), partner_rows(pits)
    share = 1.0 if some is None else min(some / len(pits), 1.0)
    chosen = (particle >= 0) | (np.random.default_rng(seed).random(len(pits)) < share)
    weight = np.where(particle >= 0, 1.0, 1 / share) * chosen
    kept = chosen.copy()
    kept[partner[chosen & (partner >= 0)]] = True
    rows = np.flatnonzero(kept)
    number = np.full(len(pits) + 1, -1)
    number[rows] = np.arange(len(rows))
    scale = plane_scale(pits["radius_px"].to_numpy(np.float64))
    normalisation = fit_normalisation([lesson.raw], Recipe())
    size = (lesson.raw.shape[1], lesson.raw.shape[2])
    x, y = (at[rows, k].clip(0, n - 1) for k, n in ((0, size[1]), (1, size[0])))
    planes = light_planes(lesson.raw, normalisation, LIGHTING, scale)
    pixels = cut_planes(planes, size, x, y, model.size)
    patches = Patches(pixels, Lights.of_planes(), np.zeros(len(rows), np.int64), rows)
    return Scored(
        pits.iloc[rows].reset_index(drop=True),
        model.judge(patches),
        around[rows],
        number[partner[rows]],
        particle[rows],
        weight[rows],
    )


def _particles(lesson: Lesson, at: Floats) -> Ints:
    """Return the particle of signal near each place, (n,), −1 without one."""
    hips = np.flatnonzero(lesson.kind == "hip")
    out = np.full(len(at), -1)
    if len(hips):
        openings = np.column_stack([lesson.x_px[hips], lesson.y_px[hips]])
        apart, nearest = cKDTree(openings).query(at)
        near = apart < _SIGNAL_PX
        out[near] = lesson.particle[hips[nearest[near]]]
    return out


def fitted_context(
    model: Model,
    lessons: Lessons,
    finder: Finder,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Trees:
    """Return the context of a model, from foils that its experts have not learnt from.

    Boosted trees on candidates, signal and all else of equal weight.

    Parameters
    ----------
    model : whose experts speak by the mean of all folds, as in use.
    progress : called with 1 after each foil.
    """
    features, is_signal, weights = [], [], []
    for place in range(len(lessons)):
        one = scored(lessons[place], finder, model, some=_SOME, seed=seed + place)
        progress(1)
        if one is None:
            continue
        said = one.told[model.said_columns].to_numpy(np.float64)
        rows = one.is_candidate & (one.weight > 0)
        features.append(beside_partner(said, one.around, one.partner)[rows])
        is_signal.append(one.particle[rows] >= 0)
        weights.append(one.weight[rows])
    x, target, weight = (np.concatenate(v) for v in (features, is_signal, weights))
    is_hip = target.astype(bool)
    for side in (is_hip, ~is_hip):
        weight[side] /= weight[side].sum()
    grown = GradientBoostingClassifier(
        init="zero",
        min_samples_leaf=min(_SMALLEST_LEAF, max(len(x) // 20, 1)),
        max_features=0.5,
        random_state=seed,
        **_TREES,
    ).fit(x, is_hip, np.asarray(weight, np.float64) * (len(x) / 2))
    return grown_trees(grown)
