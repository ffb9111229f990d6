"""Classes of local density: the candidates of each, ranked, and the thresholds on their scores.

On average, k false candidates of the next foil reach the k-th best false score of this foil. A
threshold just above the (k + 1)-th score lets k candidates pass on this foil but k + 1 on the next:
at small numbers twice the required rate. Here the threshold for k expected candidates is therefore
the k-th false score itself, and between whole numbers it is interpolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etchscope.evaluation.halves import split_search
from etchscope.evaluation.requirement import Requirement
from etchscope.evaluation.search import Search
from etchscope.foil.types import Bools, Floats, Ints

__all__ = ["DensityClass", "density_edges", "find_class", "list_classes"]

_CLASSES = 6
"""Greatest number of classes."""
_LEAST_FALSE = 2.5
"""Least number of false candidates expected in each class and half of the tiles."""
_TAIL = 20
"""Number of best false scores from which the tail of their distribution is estimated."""


@dataclass(frozen=True)
class DensityClass:
    """One class of density: its candidates by falling score, its particles and its area.

    Parameters
    ----------
    false, true : (m,), (n,) scores of the false and of the true candidates, falling.
    false_tile, true_tile : (m,), (n,) tile of each of them, from 0 on.
    before : (m,) number of true candidates with a score of at least that of each false one.
    particles : (t,) number of particles on each tile.
    area : (t,) searched area of the class on each tile, in tiles.
    lowest : least score of all its candidates.
    """

    false: Floats
    false_tile: Ints
    true: Floats
    true_tile: Ints
    before: Ints
    particles: Floats
    area: Floats
    lowest: float

    def threshold(self, weight: Floats, required: Requirement) -> float:
        """Return the threshold that meets a requirement.

        Parameters
        ----------
        weight : (t,) number of times that each tile counts.
        required : an efficiency, or a rate of false candidates.
        """
        if required.efficiency is not None:
            needed = required.efficiency * (weight @ self.particles) - 1e-9
            place = int(np.searchsorted(np.cumsum(weight[self.true_tile]), needed))
            return float(self.true[place]) if place < len(self.true) else self.lowest
        allowed = self._allowed(weight, float(required.false_per_tile or 0))
        ends, passed = self._curve(weight, allowed)
        if not len(ends) or allowed >= passed[-1]:
            return self.lowest
        if allowed < passed[0]:
            return self._beyond(weight, allowed / passed[0])
        return float(np.interp(allowed, passed, self.false[ends]))

    def found_at(self, weight: Floats, rate: float) -> float:
        """Return the number of particles that are found at a rate of false candidates.

        Parameters
        ----------
        weight : (t,) weight of each tile.
        rate : false candidates per tile.
        """
        allowed = self._allowed(weight, rate)
        found = np.r_[0.0, np.cumsum(weight[self.true_tile])]
        ends, passed = self._curve(weight, allowed)
        if not len(ends) or allowed >= passed[-1]:
            return float(found[-1])
        if allowed < passed[0]:
            beyond = self._beyond(weight, allowed / passed[0])
            return float(found[_passing(self.true, beyond)])
        return float(np.interp(allowed, passed, found[self.before[ends]]))

    def _allowed(self, weight: Floats, rate: float) -> float:
        """Return the number of false candidates at a rate, rounded: 10 tiles at 0.1 have 1."""
        return round(rate * float(weight @ self.area), 9)

    def _curve(self, weight: Floats, allowed: float) -> tuple[Ints, Floats]:
        """Return the last false candidates of each score, and how many have passed up to them.

        Candidates far beyond the allowed number are left out, unless tiles of larger weight need
        them.
        """
        own = weight[self.false_tile[: 4 * int(allowed) + 1000]]
        if own.sum() <= allowed:
            own = weight[self.false_tile]
        some = np.flatnonzero(own > 0)
        falls = np.diff(self.false[some], append=-np.inf) < 0
        return some[falls], np.cumsum(own[some])[falls]

    def _beyond(self, weight: Floats, share: float) -> float:
        """Return the score above the best false one that ``share`` < 1 false candidates reach.

        The tail of false scores, which are log odds, is taken as exponential: peaks over a
        threshold with shape 0 (Pickands, Annals of Statistics 3 (1975) 119), fitted to the best
        ``_TAIL`` scores.
        """
        if share <= 0:
            return np.inf
        own = weight[self.false_tile]
        some = np.flatnonzero(own > 0)[: _TAIL + 1]
        best, last = some[:-1], some[-1]
        mean = 0.0
        if len(best):
            mean = float(np.average(self.false[best] - self.false[last], weights=own[best]))
        least = float(np.nextafter(self.false[some[0]], np.inf))
        return max(float(self.false[some[0]]) - mean * float(np.log(share)), least)

    def counted(self, weight: Floats, threshold: float) -> Floats:
        """Return (4,) numbers: true candidates that pass, particles, false candidates, tiles.

        Parameters
        ----------
        weight : (t,) weight of each tile.
        threshold : on the score.
        """
        true = weight[self.true_tile[: _passing(self.true, threshold)]].sum()
        false = weight[self.false_tile[: _passing(self.false, threshold)]].sum()
        return np.array([true, weight @ self.particles, false, weight @ self.area])


def _passing(score: Floats, threshold: float) -> int:
    """Return how many of falling scores are at or above a threshold."""
    return len(score) - int(np.searchsorted(score[::-1], threshold))


def find_class(density: Floats, edges: Sequence[float]) -> Ints:
    """Return the class of each density, (n,) int64 from 0 on.

    A density at an edge belongs to the denser class.

    Parameters
    ----------
    density : (n,) in 1/mm².
    edges : rising densities in 1/mm² between the classes.
    """
    return np.asarray(np.searchsorted(np.asarray(edges, np.float64), density, side="right"))


def list_classes(search: Search, edges: Sequence[float], only: Bools) -> list[DensityClass]:
    """Return the classes of density of a search, restricted to some tiles.

    Parameters
    ----------
    search : ranked candidates of a foil whose signal is known.
    edges : see ``find_class``.
    only : (t,) bool, the tiles that count.
    """
    count = len(edges) + 1
    n, exposure = len(search.score), np.where(only, search.exposure, 0.0)
    of_candidates, of_particles = np.zeros(n, np.int64), np.zeros(search.particles, np.int64)
    area = np.zeros((len(only), count))
    area[:, 0] = exposure
    if count > 1 and search.ground is not None:
        of_candidates = find_class(search.ground.candidates, edges)
        of_particles = find_class(search.ground.particles, edges)
        area = exposure[:, None] * _shares(search.ground.density, edges)
    here, there = only[search.tile], only[search.particle_tile]
    out = []
    for k in range(count):
        of = here & (of_candidates == k)
        true, false = of & search.is_true, of & ~search.is_true
        counts = np.bincount(search.particle_tile[there & (of_particles == k)], minlength=len(only))
        out.append(
            DensityClass(
                search.score[false],
                search.tile[false],
                search.score[true],
                search.tile[true],
                np.searchsorted(-search.score[true], -search.score[false], side="right"),
                counts.astype(np.float64),
                area[:, k],
                float(search.score[of].min()) if of.any() else 0.0,
            )
        )
    return out


def _shares(density: Floats, edges: Sequence[float]) -> Floats:
    """Return the share of each tile that belongs to each class, (t, classes)."""
    of = find_class(density, edges)
    return np.stack([(of == k).mean(axis=1) for k in range(len(edges) + 1)], axis=1)


def density_edges(search: Search, false_per_tile: float) -> tuple[float, ...]:
    """Return the rising densities in 1/mm² that separate a search into classes; none for one class.

    They separate the candidates into six classes of equal number. Then the class with the least
    area is joined to its smaller neighbour until five false candidates are expected in each class,
    half of them in each half of the tiles.

    Parameters
    ----------
    false_per_tile : the required rate of false candidates.
    """
    ground = search.ground
    if ground is None or np.isnan([*ground.candidates, *ground.density.flat]).any():
        return ()
    if not len(ground.candidates):
        return ()
    quantiles = np.quantile(ground.candidates, np.arange(1, _CLASSES) / _CLASSES)
    edges = [v for v in np.unique(quantiles).tolist() if v > 0]
    parts = [np.where(half, search.exposure, 0.0) for half in split_search(search)]
    while edges:
        shares = _shares(ground.density, edges)
        area = np.min([part @ shares for part in parts], axis=0)
        least = int(area.argmin())
        if false_per_tile * area[least] >= _LEAST_FALSE:
            break
        upper = least == 0 or (least < len(edges) and area[least + 1] < area[least - 1])
        del edges[least if upper else least - 1]
    return tuple(edges)
