"""What a stack itself shows of its particles, of its surfaces and of the search."""

from dataclasses import replace

import numpy as np

from etchscope.background.stack_openings import StackOpenings
from etchscope.background.stack_search import (
    MOST_BEAM,
    Hypotheses,
    StackModel,
    find_hypotheses,
)
from etchscope.foil.types import Floats, Ints
from etchscope.preselect.track_model import LOG_RATIOS

__all__ = ["fit_stack", "purest_score", "shift_foils"]

_ROUNDS = 3
_FEWEST = 10
"""Fewest particles from which a model is fitted."""
_IMPURE = 0.1
"""Share of accidental ones among the hypotheses to which the model is fitted."""
_MOST = 15_000
"""Most openings to which the model is fitted; they are taken from the middle of the stack."""
_SHIFT_PX = (40.0, 120.0)
"""Least and greatest shift of a foil against the others."""
_WIDER = (0.5, 4.0)
"""Limits of the factor by which the variances of places are larger than stated."""
_OFFSET_PX, _DEPTH_PX = 5.0, 15.0
"""Spread of the unknown offset of a surface, and of the unknown depth of a foil."""


def shift_foils(openings: StackOpenings, rng: np.random.Generator) -> StackOpenings:
    """Return the openings with each foil shifted by another vector, which ends all coincidences.

    The surfaces of a single foil are shifted against each other.

    Parameters
    ----------
    openings : of the surfaces of the stack.
    rng : draws the shifts.
    """
    foils = [s.foil for s in openings.surfaces]
    if len(set(foils)) == 1:
        foils = [s.side for s in openings.surfaces]
    _, of = np.unique(foils, return_inverse=True)
    angle = rng.uniform(0, 2 * np.pi, of.max() + 1)
    length = rng.uniform(*_SHIFT_PX, of.max() + 1) * (np.arange(of.max() + 1) > 0)
    by = np.column_stack([length * np.cos(angle), length * np.sin(angle)])
    return openings.shifted(by[of])


def purest_score(score: Floats, by_chance: Floats, impure: float = _IMPURE) -> float:
    """Return the lowest score from which at most a share of the hypotheses is accidental.

    Parameters
    ----------
    score : (n,) falling scores of hypotheses.
    by_chance : (m,) scores that shifted foils give.
    impure : the greatest share.
    """
    chance = np.sort(by_chance)
    above = len(chance) - np.searchsorted(chance, score, side="left")
    enough = np.flatnonzero(above <= impure * np.arange(1, len(score) + 1))
    return float(score[enough[-1]]) if len(enough) else np.inf


def fit_stack(
    openings: StackOpenings, model: StackModel, *, seed: int = 0
) -> tuple[StackOpenings, StackModel]:
    """Return the openings at their fitted places, and the model that fits the stack.

    The hypotheses of which at most a tenth is accidental show the offset of each surface, the
    depth of each foil, the recall of each surface, the beam and the etch ratios. The model stays as
    it is if there are fewer than ten.

    Parameters
    ----------
    openings : of the surfaces of the stack.
    model : what is assumed at the start.
    seed : of the shifts.
    """
    rng = np.random.default_rng(seed)
    for _ in range(_ROUNDS):
        some = openings.take(_middle(openings))
        found = find_hypotheses(some, model)
        by_chance = find_hypotheses(shift_foils(some, rng), model).score
        good = found.take(np.flatnonzero(found.score >= purest_score(found.score, by_chance)))
        if len(good.score) < _FEWEST:
            break
        model = _improve(model, good)
        openings = _settle(openings, some, good)
    return openings, model


def _middle(openings: StackOpenings) -> Ints:
    """Return the rows of at most ``_MOST`` openings around the middle of the stack."""
    n = len(openings.surface)
    if n <= _MOST:
        return np.arange(n)
    xy = openings.table[:, :2]
    apart = np.abs((xy - np.median(xy, axis=0)) / np.ptp(xy, axis=0)).max(1)
    return np.sort(np.argsort(apart, kind="stable")[:_MOST])


def _improve(model: StackModel, good: Hypotheses) -> StackModel:
    """Return the model with the etch ratios, the beam and the recall of good hypotheses."""
    over = good.fit[:, 6]
    spread = max(float(over.std()), 0.15)
    prior = np.exp(-0.5 * ((LOG_RATIOS - over.mean()) / spread) ** 2)
    has = good.hits >= 0
    others = has.sum(1, keepdims=True) - has
    tags = good.seen & (others >= min(3, has.shape[1] - 1))
    recall = ((has & tags).sum(0) + 8) / (tags.sum(0) + 10)
    beam = _fit_beam(good.fit[:, 3:5], good.fit[:, 5], model.isotropic)
    return replace(model, prior=prior / prior.sum(), recall=np.clip(recall, 0.1, 0.98), beam=beam)


def _fit_beam(slopes: Floats, error: Floats, isotropic: float) -> Floats:
    """Return share, slopes and spread of a beam, (4,), by expectation maximisation.

    Parameters
    ----------
    slopes, error : (n, 2) tangents of the zenith angle, and (n,) their error.
    isotropic : density of an isotropic flux at the normal, in the plane of tan θ.
    """
    middle, share = np.median(slopes, axis=0), 0.5
    spread = float(np.clip(np.median(np.hypot(*(slopes - middle).T)), 0.01, 1.0))
    flux = isotropic / (1 + (slopes**2).sum(1)) ** 2
    for _ in range(30):
        spread2 = spread**2 + error**2
        apart2 = ((slopes - middle) ** 2).sum(1)
        narrow = share * np.exp(-0.5 * apart2 / spread2) / (2 * np.pi * spread2)
        p = narrow / (narrow + (1 - share) * flux)
        share = float(np.clip(p.mean(), 0.01, MOST_BEAM))
        middle = (p[:, None] * slopes).sum(0) / max(p.sum(), 1e-9)
        found2 = (p * (apart2 / 2 - error**2)).sum() / max(p.sum(), 1e-9)
        spread = float(np.sqrt(max(found2, 1e-4)))
    return np.array([share, *middle, spread])


def _settle(openings: StackOpenings, some: StackOpenings, good: Hypotheses) -> StackOpenings:
    """Return the openings with the offsets of surfaces and the depths of foils that fit best.

    These are unknowns of a linear least-squares problem together with the line of each particle,
    which is eliminated. The errors of all places are brought to the scale of what is left.
    """
    surfaces = len(some.surfaces)
    foils = list(dict.fromkeys(s.foil for s in some.surfaces))
    of = np.array([foils.index(s.foil) for s in some.surfaces])
    z = some.depth_px
    has = good.hits >= 0
    place = np.where(has[:, :, None], some.table[good.hits][:, :, :2], 0.0)
    line = good.fit[:, None, 1:3] + good.fit[:, None, 3:5] * z[:, None]
    apart = np.where(has[:, :, None], place - line, 0.0)
    weight = np.where(has, 1 / some.table[good.hits][:, :, 5], 0.0)
    # An outlier of four standard deviations or more is of no weight.
    weight[(apart**2).sum(2) * weight > 16] = 0.0
    basis = np.stack([np.ones(weight.shape), np.broadcast_to(z, weight.shape)], axis=2)
    normal = np.einsum("nsi,ns,nsj->nij", basis, weight, basis) + 1e-9 * np.eye(2)
    fitted = np.einsum("nsi,ns->nsi", basis, weight)
    kept = weight[:, :, None] * np.eye(surfaces) - np.einsum(
        "nsi,nij,ntj->nst", fitted, np.linalg.inv(normal), fitted
    )
    design = np.zeros((len(weight), surfaces, 2, 2 * surfaces + len(foils)))
    for axis in range(2):
        design[:, np.arange(surfaces), axis, axis * surfaces + np.arange(surfaces)] = 1.0
        design[:, np.arange(surfaces), axis, 2 * surfaces + of] = good.fit[:, 3 + axis, None]
    curve = np.einsum("nsap,nst,ntaq->pq", design, kept, design, optimize=True)
    pull = np.einsum("nsap,nst,nta->p", design, kept, apart, optimize=True)
    limits = np.r_[np.full(2 * surfaces, _OFFSET_PX), 1e-6, np.full(len(foils) - 1, _DEPTH_PX)]
    step = np.linalg.solve(curve + np.diag(limits**-2.0), pull)
    offset = step[: 2 * surfaces].reshape(2, surfaces).T
    deeper = step[2 * surfaces :][of]
    moved = tuple(
        replace(s, depth_px=s.depth_px + d)
        for s, d in zip(openings.surfaces, deeper.tolist(), strict=True)
    )
    left = apart - (design @ step)
    squares = (np.einsum("nsa,nst,nta->n", left, kept, left)).sum()
    degrees = 2 * np.maximum((weight > 0).sum(1) - 2, 0).sum()
    wider = np.clip((squares + 20) / (degrees + 20), *_WIDER)
    table = openings.table.copy()
    table[:, 5] *= wider
    return replace(openings, table=table, surfaces=moved).shifted(-offset)
