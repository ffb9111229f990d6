"""The performance of a search: efficiency for a signal against false candidates."""

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
"""Number of points of a curve whose interval is bootstrapped; others are interpolated."""


def roc_curve(score: Floats, target: Bools, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return the efficiency for ``target`` against the share of the others that pass too (ROC).

    Parameters
    ----------
    score : (n,) a case passes a threshold if its score is at least as high.
    target : (n,) bool, the cases that shall pass.
    confidence : of the Clopper–Pearson intervals.

    Returns
    -------
    One row per threshold, from the highest down: ``threshold, false_positive_rate, efficiency, low,
    high``.

    Raises
    ------
    BadInput : there is no case of the target, or no other case.
    """
    score, target = np.asarray(score, float), np.asarray(target, bool)
    if not target.any() or target.all():
        raise BadInput("ROC", "cases of the target and other cases", "one of the two only")
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

    A candidate belongs to the particle of the nearest opening, if that is closer than the
    tolerance. Of several candidates of one particle the first is true, and the others are false.

    Parameters
    ----------
    openings : (m, 2) places of all openings of particles, in one frame and unit.
    particle : (m,) number of the particle of each opening.
    candidates : (n, 2) places by falling score.
    tolerance : in the same unit.

    Returns
    -------
    ``is_true``, (n,) bool, and ``which``, (n,) int64, the number of the particle, −1 for a false
    candidate.
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
    """Places of the tiles of a search, and densities of pits in their parts.

    Parameters
    ----------
    place : (t, 2) middles of the tiles, in any unit.
    density : (t, k) in 1/mm², of k equal parts of each tile; nan where the scale is unknown.
    candidates, particles : (n,) and (m,) local density in 1/mm² at each; nan where the scale is
        unknown.
    """

    place: Floats
    density: Floats
    candidates: Floats
    particles: Floats


@dataclass(frozen=True)
class Search:
    """Ranked candidates of a foil whose signal is known.

    Parameters
    ----------
    score : (n,) scores of the candidates, falling.
    is_true : (n,) bool, whether the candidate is true.
    by_chance : (n,) share of the local shifts (``chance.local_shifts``) in which it is true.
    particles : number of signal particles.
    tiles, area_cm2 : searched area, in tiles and in cm²; the latter is nan where the scale is
        unknown.
    tile, particle_tile : (n,) and (particles,) tile of each candidate and particle, from 0 on.
    exposure : (t,) searched share of each tile; their sum is ``tiles``.
    ground : places and densities of the tiles; without it they lie in a row, of unknown density.

    Raises
    ------
    BadInput : the numbers of candidates, particles or tiles do not fit each other.
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
        """Return the number of candidates of a kind at or above the threshold, by tile, (t,)."""
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
        threshold : one for all candidates, or (n,) one for each.
        """
        passed = self.score >= threshold
        found = np.bincount(self.tile[passed], self.by_chance[passed], len(self.exposure))
        return proportion_over_tiles(found, self._particles_by_tile())

    def purity(self, threshold: float) -> Proportion:
        """Return the share of the candidates at or above the threshold that are true."""
        true, false = (self._by_tile(of, threshold) for of in (self.is_true, ~self.is_true))
        return proportion_over_tiles(true, true + false)

    def false(self, threshold: float) -> int:
        """Return the number of false candidates at or above the threshold."""
        return int((~self.is_true[self.score >= threshold]).sum())

    def false_per_tile(self, threshold: float) -> tuple[float, float, float]:
        """Return the false candidates per tile at or above the threshold: value, low and high."""
        return rate_over_tiles(self._by_tile(~self.is_true, threshold), self.exposure)

    def false_chi2_ndf(self, threshold: float | Floats) -> float:
        """Return χ²/ndf of the false candidates per tile, see ``overdispersion``.

        Parameters
        ----------
        threshold : one for all candidates, or (n,) one for each.
        """
        return overdispersion(self._by_tile(~self.is_true, threshold), self.exposure)

    def threshold_for(
        self, *, efficiency: float | None = None, false_per_tile: float | None = None
    ) -> float:
        """Return the threshold that meets a requirement on these very candidates.

        On another foil more false candidates pass it, see ``choose_thresholds``.

        Parameters
        ----------
        efficiency : gives the highest threshold that reaches it.
        false_per_tile : gives the lowest threshold that no more false candidates pass, halfway to
            the first one that is too many.

        Raises
        ------
        BadInput : none or both of them, a value out of range, or an efficiency that is never
            reached.
        """
        if (efficiency is None) == (false_per_tile is None):
            raise BadInput("working point", "an efficiency or false candidates per tile", "not one")
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
        # The middle of two neighbouring floats may be rounded to the lower one.
        halfway = (false[count] + above.min()) / 2 if len(above) else false[count] + 1e-6
        return float(max(halfway, np.nextafter(false[count], np.inf)))


def free_response(search: Search, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return the efficiency against false candidates per tile and per cm² (FROC).

    Parameters
    ----------
    search : ranked candidates of a foil whose signal is known.
    confidence : of the intervals, in (0, 1).

    Returns
    -------
    One row per number of false candidates that a threshold can give, rising, with the lowest such
    threshold: ``threshold, false, false_per_tile, false_per_tile_low, false_per_tile_high,
    false_per_cm2, efficiency, low, high, chance``. Intervals are over tiles as in
    ``tiles.ratio_over_tiles`` and never narrower than the exact ones; ``chance`` is the efficiency
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
    """Return ``intervals.poisson_interval`` of many counts, (n,) and (n,)."""
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
    """Return intervals over tiles of the first ``ends`` candidates of a kind over ``whole``.

    They come from a bootstrap over tiles and are never narrower than the exact ones.
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
