"""How good a search is: efficiency for a signal against false candidates."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.stats import beta, chi2

from etchscope.evaluation.intervals import Proportion
from etchscope.evaluation.tiles import (
    overdispersion,
    proportion_over_tiles,
    rate_over_tiles,
    ratio_over_tiles,
)
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats, Ints

__all__ = ["Ground", "Search", "free_response", "match_particles", "roc_curve"]

_ROWS = 200
"""Bootstrapped bounds of a curve; between them they are interpolated."""


def roc_curve(score: Floats, target: Bools, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return the efficiency for ``target`` against the share of the rest that passes with it.

    Returns
    -------
    One row a threshold (pass: score ≥ threshold), the strictest first: ``threshold,
    false_positive_rate, efficiency, low, high`` (Clopper–Pearson).

    Raises
    ------
    BadInput : none of the target or none of the rest.
    """
    score, target = np.asarray(score, float), np.asarray(target, bool)
    if not target.any() or target.all():
        raise BadInput("ROC", "some of the target and some of the rest", "one of them only")
    order = np.argsort(-score, kind="stable")
    ends = _last_of_equal(score[order])
    passed, false = (np.cumsum(hit[order].astype(np.int64))[ends] for hit in (target, ~target))
    low, high = _clopper(passed, int(target.sum()), confidence)
    return pd.DataFrame(
        {
            "threshold": score[order][ends],
            "false_positive_rate": false / (~target).sum(),
            "efficiency": passed / target.sum(),
            "low": low,
            "high": high,
        }
    )


def _last_of_equal(ranked: Floats) -> Ints:
    return np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], np.ones(min(len(ranked), 1), bool)])


def _clopper(passed: Ints, trials: int, confidence: float) -> tuple[Floats, Floats]:
    tail = (1 - confidence) / 2
    low, high = np.zeros(len(passed)), np.ones(len(passed))
    some, not_all = passed > 0, passed < trials
    low[some] = beta.ppf(tail, passed[some], trials - passed[some] + 1)
    high[not_all] = beta.ppf(1 - tail, passed[not_all] + 1, trials - passed[not_all])
    return low, high


def match_particles(
    openings: Floats, particle: Ints, candidates: Floats, tolerance: float
) -> tuple[Bools, Ints]:
    """Return which candidates are true, and the particle of each.

    A candidate is that particle's, one of whose openings is nearest and closer than the tolerance.
    Of several candidates of one particle the first is true, the others are false.

    Parameters
    ----------
    openings : (m, 2) places of all openings of particles, in one frame and unit.
    particle : (m,) number of the particle of each opening.
    candidates : (n, 2) places, the best first.
    tolerance : in the same unit.

    Returns
    -------
    ``is_true`` (n,), ``which`` (n,) the particle's number, −1 where it is false.
    """
    n = len(candidates)
    which = np.full(n, -1, np.int64)
    if n and len(openings):
        distance, nearest = cKDTree(openings).query(candidates)
        near = distance < tolerance
        which[near] = np.asarray(particle, np.int64)[nearest[near]]
    first = np.zeros(n, bool)
    first[np.unique(which, return_index=True)[1]] = True
    is_true = first & (which >= 0)
    return is_true, np.where(is_true, which, -1)


@dataclass(frozen=True)
class Ground:
    """Where the tiles of a search lie, and how dense pits are in their parts.

    ``place``: (t, 2) of the tiles' middles, in any unit. ``density``: (t, k) in 1/mm², of k equal
    parts of each tile. ``candidates``: (n,) and ``particles``: (m,) the local density in 1/mm² at
    each; all nan where the scale is unknown.
    """

    place: Floats
    density: Floats
    candidates: Floats
    particles: Floats


@dataclass(frozen=True)
class Search:
    """Ranked candidates of a foil whose signal is known.

    ``score``: (n,) descending. ``is_true``: (n,). ``by_chance``: (n,) the share of the local
    shifts (``chance.local_shifts``) in which the shifted candidate is true. ``particles``: true
    ones there were. ``tiles``, ``area_cm2``: what was searched; the area is nan where the scale is
    unknown. ``tile``: (n,) of each candidate and ``particle_tile``: (particles,) of each particle,
    from 0 on. ``exposure``: (t,) how much of each tile was searched, together ``tiles``.
    ``ground``: where the tiles lie; without it in one row, of unknown density.

    Raises
    ------
    BadInput : another number of candidates, particles or tiles than are placed.
    """

    score: Floats
    is_true: Bools
    by_chance: Floats
    particles: int
    tiles: float
    area_cm2: float
    tile: Ints
    particle_tile: Ints
    exposure: Floats
    ground: Ground | None = None

    def __post_init__(self) -> None:
        n, places = len(self.score), np.concatenate([self.tile, self.particle_tile])
        lengths = [len(v) for v in (self.is_true, self.by_chance, self.tile)]
        if lengths != [n] * 3 or len(self.particle_tile) != self.particles:
            expected = f"{n} candidates, {self.particles} particles"
            raise BadInput("search: tile", expected, f"{lengths}, {len(self.particle_tile)}")
        if len(places) and not 0 <= places.min() <= places.max() < len(self.exposure):
            expected = f"numbers of {len(self.exposure)} tiles from 0 on"
            raise BadInput("search: tile", expected, f"{places.min()} to {places.max()}")
        if self.ground is not None:
            found = [len(v) for v in vars(self.ground).values()]
            if found != [len(self.exposure)] * 2 + [n, self.particles]:
                expected = f"{len(self.exposure)} tiles, {n} candidates, {self.particles} particles"
                raise BadInput("search: ground", expected, str(found))

    def _by_tile(self, of: Bools, threshold: float | Floats) -> Ints:
        """Return how many candidates at or above the threshold are of a kind, a tile."""
        return np.bincount(self.tile[of & (self.score >= threshold)], minlength=len(self.exposure))

    def _particles_by_tile(self) -> Ints:
        return np.bincount(self.particle_tile, minlength=len(self.exposure))

    def efficiency(self, threshold: float) -> Proportion:
        """Return the share of the particles with a candidate at or above the threshold."""
        found = self._by_tile(self.is_true, threshold)
        return proportion_over_tiles(found, self._particles_by_tile())

    def chance(self, threshold: float | Floats) -> Proportion:
        """Return the efficiency of the same candidates by local shifts.

        Parameters
        ----------
        threshold : of all, or (n,) of each.
        """
        passed = self.score >= threshold
        found = np.bincount(self.tile[passed], self.by_chance[passed], len(self.exposure))
        return proportion_over_tiles(found, self._particles_by_tile())

    def purity(self, threshold: float) -> Proportion:
        """Return the share of the candidates at or above the threshold that are true."""
        true, false = (self._by_tile(of, threshold) for of in (self.is_true, ~self.is_true))
        return proportion_over_tiles(true, true + false)

    def false(self, threshold: float) -> int:
        """Return how many false candidates there are at or above the threshold."""
        return int((~self.is_true[self.score >= threshold]).sum())

    def false_per_tile(self, threshold: float) -> tuple[float, float, float]:
        """Return the false candidates a tile at or above the threshold: value, low and high."""
        return rate_over_tiles(self._by_tile(~self.is_true, threshold), self.exposure)

    def false_chi2_ndf(self, threshold: float | Floats) -> float:
        """Return by how much false candidates gather in some tiles, see ``overdispersion``."""
        return overdispersion(self._by_tile(~self.is_true, threshold), self.exposure)

    def threshold_for(
        self, *, efficiency: float | None = None, false_per_tile: float | None = None
    ) -> float:
        """Return the threshold that does on these very candidates what is asked of it.

        On others more false ones pass than are allowed here, see ``thresholds_for``.

        Parameters
        ----------
        efficiency : the highest threshold that reaches it.
        false_per_tile : the lowest threshold with no more false candidates than that; halfway to
            the first false one that is one too many.

        Raises
        ------
        BadInput : none or both of them, out of range, or an efficiency that is never reached.
        """
        if (efficiency is None) == (false_per_tile is None):
            raise BadInput("working point", "an efficiency or false candidates a tile", "not one")
        if efficiency is not None:
            if not 0 < efficiency <= 1:
                raise BadInput("working point: efficiency", "above 0, at most 1", f"{efficiency:g}")
            needed = int(np.ceil(efficiency * self.particles - 1e-9))
            true = self.score[self.is_true]
            if len(true) < needed or needed == 0:
                best = f"{len(true)} of {self.particles} particles have a candidate at all"
                raise BadInput("working point: efficiency", f"{efficiency:g}, reached", best)
            return float(true[needed - 1])
        allowed = float(false_per_tile or 0) * self.tiles
        if not 0 <= allowed < np.inf:
            expected = "0 or more"
            raise BadInput("working point: false candidates", expected, repr(false_per_tile))
        false = self.score[~self.is_true]
        count = int(allowed + 1e-9)
        if count >= len(false):
            return float(self.score.min()) if len(self.score) else 0.0
        above = self.score[self.score > false[count]]
        # Halfway between neighbouring floats may be the lower one.
        halfway = (false[count] + above.min()) / 2 if len(above) else false[count] + 1e-6
        return float(max(halfway, np.nextafter(false[count], np.inf)))


def free_response(search: Search, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return the efficiency against false candidates a tile and a cm² (FROC).

    Returns
    -------
    One row a number of false candidates that a threshold reaches, the strictest first and with the
    lowest threshold of that number: ``threshold, false, false_per_tile, false_per_tile_low,
    false_per_tile_high, false_per_cm2, efficiency, low, high``, intervals over tiles as in
    ``tiles.ratio_over_tiles`` and never narrower than the exact ones; ``chance``: the efficiency
    of the same candidates by local shifts.
    """
    ends = np.r_[0, _last_of_equal(search.score) + 1]
    true = np.cumsum(np.r_[0, search.is_true.astype(np.int64)])[ends]
    last = np.flatnonzero(np.diff(ends - true, append=-1))
    ends, true = ends[last], true[last]
    false = ends - true
    by_chance = np.cumsum(np.r_[0.0, search.by_chance])[ends]
    particles = max(search.particles, 1)
    exact = _clopper(true, particles, confidence)
    there = np.bincount(search.particle_tile, minlength=len(search.exposure))
    low, high = _wider(exact, search, ends, search.is_true, there, confidence)
    garwood = _garwood(false, confidence)
    rates = (garwood[0] / search.tiles, garwood[1] / search.tiles)
    least, most = _wider(rates, search, ends, ~search.is_true, search.exposure, confidence)
    score = np.r_[np.inf, search.score]
    return pd.DataFrame(
        {
            "threshold": score[ends],
            "false": false,
            "false_per_tile": false / search.tiles,
            "false_per_tile_low": least,
            "false_per_tile_high": most,
            "false_per_cm2": false / search.area_cm2,
            "efficiency": true / particles,
            "low": low,
            "high": np.minimum(high, 1),
            "chance": by_chance / particles,
        }
    )


def _garwood(counts: Ints, confidence: float) -> tuple[Floats, Floats]:
    """Return ``intervals.poisson_interval`` of many counts."""
    tail, low = (1 - confidence) / 2, np.zeros(len(counts))
    some = counts > 0
    low[some] = chi2.ppf(tail, 2 * counts[some]) / 2
    return low, np.asarray(chi2.ppf(1 - tail, 2 * counts + 2) / 2)


def _wider(
    exact: tuple[Floats, Floats],
    search: Search,
    ends: Ints,
    of: Bools,
    whole: Floats | Ints,
    confidence: float,
) -> tuple[Floats, Floats]:
    """Return intervals of the first ``ends`` candidates of a kind over ``whole``, by tiles.

    They are as wide as the bootstrap over tiles makes them, and at least as the exact ones.
    """
    rows = np.unique(np.linspace(0, len(ends) - 1, min(len(ends), _ROWS)).astype(np.int64))
    counts = np.zeros((len(search.exposure), len(rows)))
    first = np.searchsorted(ends[rows], np.flatnonzero(of), side="right")
    within = first < len(rows)
    np.add.at(counts, (search.tile[of][within], first[within]), 1)
    bounds = ratio_over_tiles(counts.cumsum(axis=1), whole, confidence=confidence)
    every = np.arange(len(ends))
    low, high = (np.interp(every, rows, v) for v in bounds)
    return np.fmin(exact[0], low), np.fmax(exact[1], high)
