"""What thresholds reach where they were not chosen: efficiency, false candidates and purity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etchscope.evaluation.density_classes import DensityClass, list_classes
from etchscope.evaluation.halves import searched_tiles, split_search
from etchscope.evaluation.intervals import poisson_interval, proportion
from etchscope.evaluation.requirement import Requirement
from etchscope.evaluation.search import Search
from etchscope.evaluation.tiles import draw_tiles, expanded_interval
from etchscope.foil.types import Bools, Floats

__all__ = ["Figure", "Measured", "efficiency_at_rate", "measure_by_halves", "measure_on_other"]

Figure = tuple[float, float, float]
"""Value, and low and high end of its 95 % interval; nan where it is unknown."""
_DRAWS = 1000
_SEED = 0
_LEVEL = 0.95


@dataclass(frozen=True)
class Measured:
    """Figures that thresholds reach: efficiency, false candidates per tile, purity."""

    efficiency: Figure
    false_per_tile: Figure
    purity: Figure


def efficiency_at_rate(
    search: Search, false_per_tile: float, edges: Sequence[float] = (), *, draws: int = _DRAWS
) -> Figure:
    """Return the efficiency at exactly a rate of false candidates, in each class of density.

    It is interpolated between the false candidates next to the allowed number, which need not be
    whole. Because the curve bends, the value is low by about a tenth of its error on average. The
    interval is that of a bootstrap over tiles, in which the thresholds are chosen anew, and at
    least the exact one of independent particles.

    Parameters
    ----------
    search : ranked candidates of a foil whose signal is known.
    false_per_tile : the rate, above 0.
    edges : densities in 1/mm² between the classes, see ``density_edges``.
    draws : of the bootstrap.

    Returns
    -------
    Value, low and high; nan without a particle.

    Raises
    ------
    BadInput : the rate is not above 0.
    """
    required, own = Requirement(false_per_tile=false_per_tile), searched_tiles(search)
    classes = list_classes(search, edges, own)
    if not search.particles:
        return np.nan, np.nan, np.nan

    def efficiency(weight: Floats) -> float:
        found = sum(c.found_at(weight, float(required.false_per_tile or 0)) for c in classes)
        there = sum(float(weight @ c.particles) for c in classes)
        return found / there if there else np.nan

    value = efficiency(np.ones(len(own)))
    rng = np.random.default_rng(_SEED)
    drawn = np.array([efficiency(w) for w in _weights(rng, own, draws)])
    (low,), (high,) = expanded_interval(drawn[:, None], int(own.sum()), confidence=_LEVEL)
    exact = proportion(round(value * search.particles), search.particles, confidence=_LEVEL)
    _, low, high = _widened((value, exact.low, exact.high), low, high)
    return value, min(low, value), max(high, value)


def measure_by_halves(
    search: Search, required: Requirement, edges: Sequence[float] = (), *, draws: int = _DRAWS
) -> tuple[Measured, tuple[Measured, ...]]:
    """Return what thresholds reach on tiles where they were not chosen: in all, and by class.

    Thresholds chosen on one half of the tiles are measured on the other half and vice versa, see
    ``split_halves``; both counts are added. Intervals are those of a bootstrap over tiles in which
    the thresholds are chosen anew, and at least the exact ones of independent counts. All is nan
    for a search of one tile.

    Parameters
    ----------
    required : what the thresholds are chosen for.
    edges : densities in 1/mm² between the classes, see ``density_edges``.
    draws : of the bootstrap.
    """
    first, second = split_search(search)
    if not (first.any() and second.any()):
        nothing = Measured(*[(np.nan, np.nan, np.nan)] * 3)
        return nothing, (nothing,) * (len(edges) + 1)
    samples = [(list_classes(search, edges, own), own) for own in (first, second)]
    return _measured(samples, [(0, 1), (1, 0)], required, draws)


def measure_on_other(
    search: Search,
    other: Search,
    required: Requirement,
    edges: Sequence[float] = (),
    *,
    draws: int = _DRAWS,
) -> tuple[Measured, tuple[Measured, ...]]:
    """Return what thresholds chosen on one search reach on another one: in all, and by class.

    Parameters and intervals are those of ``measure_by_halves``, with all tiles of each search.

    Parameters
    ----------
    search : on which thresholds are chosen.
    other : on which they are measured.
    required, edges, draws : see ``measure_by_halves``.
    """
    samples = [
        (list_classes(s, edges, own), own) for s in (search, other) for own in (searched_tiles(s),)
    ]
    return _measured(samples, [(0, 1)], required, draws)


def _measured(
    samples: Sequence[tuple[list[DensityClass], Bools]],
    rounds: Sequence[tuple[int, int]],
    required: Requirement,
    draws: int,
) -> tuple[Measured, tuple[Measured, ...]]:
    """Return the figures of rounds, whose counts are added.

    Parameters
    ----------
    samples : classes and tiles, (t,) bool, of each sample.
    rounds : pairs of samples: thresholds are chosen on the first and measured on the second.
    """

    def counted(weights: Sequence[Floats]) -> Floats:
        counts = np.zeros((len(samples[0][0]), 4))
        for chosen, measured in rounds:
            pairs = zip(samples[chosen][0], samples[measured][0], strict=True)
            for k, (one, other) in enumerate(pairs):
                threshold = one.threshold(weights[chosen], required)
                counts[k] += other.counted(weights[measured], threshold)
        return np.vstack([counts.sum(axis=0), counts])

    rng = np.random.default_rng(_SEED)
    seen = counted([own.astype(np.float64) for _, own in samples])
    weights = zip(*(_weights(rng, own, draws) for _, own in samples), strict=True)
    drawn = np.array([counted(some) for some in weights])
    tiles = sum(int(samples[measured][1].sum()) for _, measured in rounds)
    figures = [_figures(seen[k], drawn[:, k], tiles) for k in range(len(seen))]
    return figures[0], tuple(figures[1:])


def _figures(seen: Floats, drawn: Floats, tiles: int) -> Measured:
    """Return the figures of counts, (4,), with intervals from those of the draws, (draws, 4)."""
    true, particles, false, area = seen.tolist()
    p, q = (proportion(int(true), int(n), confidence=_LEVEL) for n in (particles, true + false))
    least, most = poisson_interval(int(false), confidence=_LEVEL)
    exact_rate = (false / area, least / area, most / area) if area else (np.nan,) * 3
    with np.errstate(divide="ignore", invalid="ignore"):
        above, below = drawn[:, [0, 2, 0]], drawn[:, [1, 3, 0]]
        below[:, 2] += drawn[:, 2]
        ratios = above / below
    exact = (p.value, p.low, p.high), exact_rate, (q.value, q.low, q.high)
    bounds = expanded_interval(ratios, tiles, confidence=_LEVEL)
    return Measured(*(_widened(e, *b) for e, *b in zip(exact, *bounds, strict=True)))


def _widened(exact: Figure, low: float, high: float) -> Figure:
    return exact[0], float(np.fmin(exact[1], low)), float(np.fmax(exact[2], high))


def _weights(rng: np.random.Generator, own: Bools, draws: int) -> Floats:
    """Return how many times each tile is drawn, (draws, t); other tiles than ``own`` never are."""
    out = np.zeros((draws, len(own)))
    out[:, own] = draw_tiles(rng, int(own.sum()), draws)
    return out
