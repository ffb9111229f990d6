"""Particles through an aligned stack: collinear openings on several surfaces, of one etch ratio."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from etchscope.background.stack_kernels import extend_seeds, score_hypotheses
from etchscope.background.stack_openings import StackOpenings
from etchscope.foil.types import Floats, Ints
from etchscope.physics.cone import compute_opening
from etchscope.preselect.likelihood import find_pairs
from etchscope.preselect.track_model import LOG_RATIOS, Tracks, tabulate_tracks

__all__ = ["MOST_BEAM", "Hypotheses", "StackModel", "find_hypotheses"]

_STEPS = 121
"""Number of zenith angles for which openings are tabulated."""
_BARELY = 1.02
"""Least V cos θ of an opening; at 1 the opening vanishes."""
_SEED = -3.0
"""Log ratio, against a partner anywhere within reach, from which two openings are a seed."""
_LEAST_SCORE = -12.0
"""Score below which a hypothesis is dropped."""
_CELL_PX = 16.0
MOST_BEAM = 0.98
"""Greatest share of the particles in the beam."""
_NEAR, _FAR = 0.5, 1.3
"""Least and greatest distance of the two surfaces of a seed, in units of the smallest distance of
the two surfaces of a foil."""


@dataclass(frozen=True)
class StackModel:
    """What is assumed of the particles and of the search.

    Attributes
    ----------
    prior : (node,) probability of the values ``LOG_RATIOS`` of ln(V − 1).
    beam : (4,) share of the particles that arrive in a beam, the tangents of its zenith angle along
        x and y (y up), and their spread; the other particles come from everywhere.
    recall : (s,) probability that the search shows the opening of a particle on each surface.
    max_zenith_deg : largest zenith angle.
    per_px2 : density of particles.
    """

    prior: Floats
    beam: Floats
    recall: Floats
    max_zenith_deg: float = 60.0
    per_px2: float = 1e-6

    @classmethod
    def usual(cls, surfaces: int) -> "StackModel":
        """Return a model of particles of any kind from everywhere."""
        weight = np.exp(-0.5 * (LOG_RATIOS / 0.8) ** 2)
        beam = np.array([0.0, 0.0, 0.0, 1.0])
        return cls(weight / weight.sum(), beam, np.full(surfaces, 0.8))

    @property
    def isotropic(self) -> float:
        """Density of an isotropic flux at the normal, in the plane of tan θ."""
        return float(1 / (np.pi * np.sin(np.deg2rad(self.max_zenith_deg)) ** 2))

    @property
    def steepest(self) -> float:
        """Greatest tangent of the zenith angle that is looked for.

        Where all particles that the model was fitted to lie in the beam, it is five spreads from
        the middle of the beam.
        """
        greatest = float(np.tan(np.deg2rad(self.max_zenith_deg)))
        if self.beam[0] < MOST_BEAM:
            return greatest
        return min(greatest, float(np.hypot(*self.beam[1:3])) + 5 * max(float(self.beam[3]), 0.03))


@dataclass(frozen=True)
class Hypotheses:
    """Particles that may have crossed the stack, the best first; no opening is in two of them.

    Attributes
    ----------
    hits : (n, s) int64 rows of ``StackOpenings``, −1 without an opening.
    seen : (n, s) bool, whether each surface was searched there.
    score : (n,) natural logarithm of the joint likelihood ratio, one particle over unrelated
        openings.
    fit : (n, 7) see ``stack_kernels.score_hypotheses``.
    """

    hits: Ints
    seen: np.ndarray
    score: Floats
    fit: Floats

    def take(self, rows: Ints) -> "Hypotheses":
        """Return some of the hypotheses."""
        return Hypotheses(self.hits[rows], self.seen[rows], self.score[rows], self.fit[rows])


def find_hypotheses(openings: StackOpenings, model: StackModel) -> Hypotheses:
    """Return the particles that explain openings on several surfaces.

    Any two openings on two neighbouring surfaces, or on the same side of two neighbouring foils,
    that may be of one particle are a seed. The line through them collects an opening on each other
    surface. Of hypotheses that share an opening the best keeps it.

    Parameters
    ----------
    openings : of two or more surfaces in one frame.
    model : what is assumed of the particles.
    """
    tables = _tables(openings, model)
    least = 3 if len(openings.surfaces) > 2 else 2
    found = [np.empty((0, len(openings.surfaces)), np.int64)]
    grid = _grid(openings)
    log_odds = np.log(model.recall / (1 - model.recall))
    for a, b in _neighbours(openings):
        seeds = _seeds(openings, model, a, b)
        hits = extend_seeds(
            seeds,
            openings.table,
            openings.surface,
            grid,
            openings.depth_px,
            openings.bend_px,
            tables,
            model.prior,
            log_odds,
        )
        found.append(_once(hits[(hits >= 0).sum(1) >= least]))
    return _choose(openings, model, tables, _once(np.concatenate(found)), least)


def _tables(openings: StackOpenings, model: StackModel) -> tuple[Floats, Floats, float, Floats]:
    steps = (_STEPS - 1) / np.deg2rad(model.max_zenith_deg)
    unit, ellipticity, uneven = _unit_tables(model.max_zenith_deg)
    removed = np.log([s.removed_px for s in openings.surfaces])
    log_radius = unit + removed[:, None, None]
    return log_radius, np.repeat(ellipticity[None], len(removed), axis=0), float(steps), uneven


@lru_cache(maxsize=4)
def _unit_tables(max_zenith_deg: float) -> tuple[Floats, Floats, Floats]:
    """Return log radius over removed bulk and ellipticity, (node, zenith); and how V may differ."""
    zenith = np.deg2rad(np.linspace(0, max_zenith_deg, _STEPS))
    v, angle = (a.ravel() for a in np.meshgrid(1 + np.exp(LOG_RATIOS), zenith, indexing="ij"))
    one = compute_opening(v, np.pi / 2 - angle, np.ones(len(v)), np.full(len(v), np.inf))
    is_open = v * np.cos(angle) > _BARELY
    major, minor = (np.where(is_open, a, 1.0) for a in (one.major_um, one.minor_um))
    log_radius = np.where(is_open, 0.5 * np.log(major * minor) - np.log(2), -20.0)
    shape = len(LOG_RATIOS), _STEPS
    uneven = np.exp(-0.5 * ((LOG_RATIOS[:, None] - LOG_RATIOS) / 0.25) ** 2)
    uneven /= uneven.sum(1, keepdims=True)
    return log_radius.reshape(shape), (1 - minor / major).reshape(shape), uneven


def _neighbours(openings: StackOpenings) -> list[tuple[int, int]]:
    """Return the pairs of surfaces on which seeds are looked for."""
    depth = np.array([s.depth_px for s in openings.surfaces])
    foils = [s.foil for s in openings.surfaces]
    pairs = [(a, b) for b in range(len(foils)) for a in range(b)]
    thick = [depth[b] - depth[a] for a, b in pairs if foils[a] == foils[b]]
    least = min(thick, default=float(np.diff(depth).min()))
    near = [(a, b) for a, b in pairs if _NEAR * least <= depth[b] - depth[a] <= _FAR * least]
    return near or [(k, k + 1) for k in range(len(foils) - 1)]


def _seeds(openings: StackOpenings, model: StackModel, a: int, b: int) -> Ints:
    """Return rows of openings on two surfaces that may be of one particle, (n, 2)."""
    first, second = (np.flatnonzero(openings.surface == k) for k in (a, b))
    removed = openings.surfaces[a].removed_px
    apart = float(openings.depth_px[b] - openings.depth_px[a])
    reach = apart * model.steepest
    tracks: Tracks = tabulate_tracks(
        np.array([apart + 2 * 0.68 * removed]), removed, reach, model.max_zenith_deg
    )
    tracks = replace(tracks, beam=model.beam, prior=model.prior)
    anywhere = np.full(len(openings.surface), 1 / (np.pi * tracks.reach_px**2))
    i, j, _ = find_pairs(
        openings.shapes, first, second, tracks, openings.shape_density, anywhere, _SEED
    )
    return np.column_stack([i, j])


def _grid(openings: StackOpenings) -> tuple[Ints, Ints, Floats, Ints]:
    """Return the openings sorted by cells, see ``stack_kernels.extend_seeds``."""
    x, y = openings.table[:, 0], openings.table[:, 1]
    x0, y0 = (float(v.min()) if len(v) else 0.0 for v in (x, y))
    u, v = (((c - low) / _CELL_PX).astype(np.int64) for c, low in ((x, x0), (y, y0)))
    columns, rows = (int(c.max()) + 1 if len(c) else 1 for c in (u, v))
    cell = (openings.surface * rows + v) * columns + u
    order = np.argsort(cell, kind="stable")
    number = len(openings.surfaces) * rows * columns
    start = np.searchsorted(cell[order], np.arange(number + 1))
    worst = float(openings.table[:, 5].max()) if len(x) else 1.0
    return order, start, np.array([x0, y0, _CELL_PX, worst]), np.array([rows, columns])


def _once(hits: Ints) -> Ints:
    """Return the rows that differ."""
    mix = np.random.default_rng(0).integers(1, 2**62, hits.shape[1]) | 1
    with np.errstate(over="ignore"):
        key = ((hits + 2) * mix).sum(1)
    return hits[np.sort(np.unique(key, return_index=True)[1])]


def _score(
    openings: StackOpenings,
    model: StackModel,
    tables: tuple[Floats, Floats, float, Floats],
    hits: Ints,
) -> Hypotheses:
    """Return hypotheses with their score, in the order of ``hits``."""
    depth = openings.depth_px
    fit = score_hypotheses(
        hits,
        openings.table,
        depth,
        openings.bend_px,
        tables,
        model.prior,
        LOG_RATIOS,
        model.beam,
        model.isotropic,
    )
    score = fit[:, 0] + np.log(model.per_px2)
    seen = hits >= 0
    score += (seen * np.log(model.recall)).sum(1)
    for s in range(hits.shape[1]):
        rows = np.flatnonzero(hits[:, s] < 0)
        at = fit[rows, 1:3] + fit[rows, 3:5] * depth[s]
        rows = rows[openings.is_seen(s, at)]
        seen[rows, s] = True
        score[rows] += np.log(1 - model.recall[s])
    return Hypotheses(hits, seen, score, fit)


def _choose(
    openings: StackOpenings,
    model: StackModel,
    tables: tuple[Floats, Floats, float, Floats],
    hits: Ints,
    least: int,
) -> Hypotheses:
    """Return hypotheses that share no opening, the best first.

    A hypothesis that is the best at each of its openings is accepted. The others lose the openings
    of accepted ones, and compete again with what they have left.
    """
    used = np.zeros(len(openings.surface) + 1, bool)  # the last one stands for no opening
    now = _score(openings, model, tables, hits)
    accepted: list[Hypotheses] = []
    while len(now.score):
        now = now.take(np.flatnonzero(now.score > _LEAST_SCORE))
        order = np.argsort(-now.score, kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        best = np.full(len(used), len(order))
        np.minimum.at(best, now.hits, rank[:, None])
        is_best = ((best[now.hits] == rank[:, None]) | (now.hits < 0)).all(1)
        accepted.append(now.take(np.flatnonzero(is_best)))
        used[now.hits[is_best]] = True
        used[-1] = False
        lost = used[now.hits] & (now.hits >= 0)
        rest = now.take(np.flatnonzero(~is_best))
        lost = lost[~is_best]
        whole = rest.take(np.flatnonzero(~lost.any(1)))
        cut = np.where(lost, -1, rest.hits)[lost.any(1)]
        cut = _once(cut[(cut >= 0).sum(1) >= least])
        scored = _score(openings, model, tables, cut)
        now = Hypotheses(
            *(
                np.concatenate(v)
                for v in zip(vars(whole).values(), vars(scored).values(), strict=True)
            )
        )
    every = (
        Hypotheses(
            *(np.concatenate(v) for v in zip(*(vars(a).values() for a in accepted), strict=True))
        )
        if accepted
        else now
    )
    return every.take(np.argsort(-every.score, kind="stable"))
