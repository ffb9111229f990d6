"""Thresholds by local density: chosen at a false rate, and measured where they were not chosen.

The k-th best false score of a foil is reached by k false candidates of the next foil, on average.
So a threshold that is just above the (k + 1)-th, which lets k pass on its own foil, lets k + 1 pass
on the next: at small numbers twice what was asked. Here the threshold for k expected is the k-th
false score itself, and between whole numbers it is interpolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etchscope.evaluation.intervals import poisson_interval, proportion
from etchscope.evaluation.search import Search
from etchscope.evaluation.tiles import expanded_interval, times_drawn
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats, Ints

__all__ = [
    "Asked",
    "Figure",
    "Measured",
    "density_edges",
    "efficiency_at_rate",
    "exchanged",
    "halves",
    "measured_elsewhere",
    "thresholds_for",
]

Figure = tuple[float, float, float]
"""Value, low and high at 95 %; nan where that is not known."""

_CLASSES = 6
"""Classes of density at most."""
_LEAST_FALSE = 2.5
"""False candidates that each class must mean in each half of the tiles, 5 in both."""
_SPLITS = 6
"""Times that the tiles are halved by place at most; 64 blocks."""
_SURE_SPLITS = 4
"""Times that they are halved even if blocks of fewer than four tiles come of it."""
_TAIL = 20
"""Best false scores that say how fast they thin out."""
_DRAWS = 1000
_SEED = 0
_LEVEL = 0.95


@dataclass(frozen=True)
class Asked:
    """What is asked of thresholds: an efficiency in (0, 1], or a rate of false candidates above 0.

    Raises
    ------
    BadInput : none or both of them, or out of range.
    """

    efficiency: float | None = None
    false_per_tile: float | None = None

    def __post_init__(self) -> None:
        if (self.efficiency is None) == (self.false_per_tile is None):
            raise BadInput("working point", "an efficiency or false candidates a tile", "not one")
        if self.efficiency is not None and not 0 < self.efficiency <= 1:
            found = f"{self.efficiency:g}"
            raise BadInput("working point: efficiency", "above 0, at most 1", found)
        if self.false_per_tile is not None and not 0 < self.false_per_tile < np.inf:
            found = repr(self.false_per_tile)
            hint = "What passes none of those seen lets some of the next foil's pass."
            raise BadInput("working point: false candidates", "above 0", found, hint)

    def __str__(self) -> str:
        if self.efficiency is not None:
            return f"efficiency {self.efficiency:g}"
        return f"{self.false_per_tile:g} false candidates a tile"


@dataclass(frozen=True)
class Measured:
    """What thresholds do: efficiency, false candidates a tile, purity."""

    efficiency: Figure
    false_per_tile: Figure
    purity: Figure


@dataclass(frozen=True)
class _Class:
    """One class of density: its candidates, the best first, and what there is of it on each tile.

    ``before``: (m,) true candidates with a score of at least each false one's. ``particles``,
    ``area``: (t,), the area in tiles. ``lowest``: score of any candidate.
    """

    false: Floats
    false_tile: Ints
    true: Floats
    true_tile: Ints
    before: Ints
    particles: Floats
    area: Floats
    lowest: float

    def threshold(self, weight: Floats, asked: Asked) -> float:
        """Return the threshold where each tile counts so many times, (t,)."""
        if asked.efficiency is not None:
            needed = asked.efficiency * (weight @ self.particles) - 1e-9
            place = int(np.searchsorted(np.cumsum(weight[self.true_tile]), needed))
            return float(self.true[place]) if place < len(self.true) else self.lowest
        allowed = self._allowed(weight, float(asked.false_per_tile or 0))
        ends, passed = self._curve(weight, allowed)
        if not len(ends) or allowed >= passed[-1]:
            return self.lowest
        if allowed < passed[0]:
            return self._beyond(weight, allowed / passed[0])
        return float(np.interp(allowed, passed, self.false[ends]))

    def found_at(self, weight: Floats, rate: float) -> float:
        """Return how many particles are found at a rate of false candidates."""
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
        """Return how many false candidates a rate means; a whole number is one in spite of 0.1."""
        return round(rate * float(weight @ self.area), 9)

    def _curve(self, weight: Floats, allowed: float) -> tuple[Ints, Floats]:
        """Return false candidates after which the score falls, and how many have passed there.

        Those far beyond what is allowed are left out, unless tiles that count more need them.
        """
        own = weight[self.false_tile[: 4 * int(allowed) + 1000]]
        if own.sum() <= allowed:
            own = weight[self.false_tile]
        some = np.flatnonzero(own > 0)
        falls = np.diff(self.false[some], append=-np.inf) < 0
        return some[falls], np.cumsum(own[some])[falls]

    def _beyond(self, weight: Floats, share: float) -> float:
        """Return the score above the best false one that a share of a false candidate passes.

        False scores, which are log odds, thin out as an exponential: by peaks over a threshold with
        shape 0 (Pickands, Annals of Statistics 3 (1975) 119) of the best ``_TAIL`` of them.
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
        """Return what passes a threshold: true, particles, false and area, (4,)."""
        true = weight[self.true_tile[: _passing(self.true, threshold)]].sum()
        false = weight[self.false_tile[: _passing(self.false, threshold)]].sum()
        return np.array([true, weight @ self.particles, false, weight @ self.area])


def _passing(score: Floats, threshold: float) -> int:
    """Return how many of ranked scores are at or above a threshold."""
    return len(score) - int(np.searchsorted(score[::-1], threshold))


def class_of(density: Floats, edges: Sequence[float]) -> Ints:
    """Return the class of each density, from 0 on; one at an edge is of the denser class."""
    return np.asarray(np.searchsorted(np.asarray(edges, np.float64), density, side="right"))


def _classes(search: Search, edges: Sequence[float], only: Bools) -> list[_Class]:
    """Return the classes of a search on some tiles, (t,), with ``only`` of them."""
    count = len(edges) + 1
    n, exposure = len(search.score), np.where(only, search.exposure, 0.0)
    of_candidates, of_particles = np.zeros(n, np.int64), np.zeros(search.particles, np.int64)
    area = np.zeros((len(only), count))
    area[:, 0] = exposure
    if count > 1 and search.ground is not None:
        of_candidates = class_of(search.ground.candidates, edges)
        of_particles = class_of(search.ground.particles, edges)
        area = exposure[:, None] * _shares(search.ground.density, edges)
    here, there = only[search.tile], only[search.particle_tile]
    out = []
    for k in range(count):
        of = here & (of_candidates == k)
        true, false = of & search.is_true, of & ~search.is_true
        counts = np.bincount(search.particle_tile[there & (of_particles == k)], minlength=len(only))
        out.append(
            _Class(
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
    """Return the share of each tile that is of each class, (t, classes)."""
    of = class_of(density, edges)
    return np.stack([(of == k).mean(axis=1) for k in range(len(edges) + 1)], axis=1)


def _searched(search: Search) -> Bools:
    """Return which tiles there are: looked at, or with anything on them."""
    return np.asarray(
        (search.exposure > 0)
        | (np.bincount(search.tile, minlength=len(search.exposure)) > 0)
        | (np.bincount(search.particle_tile, minlength=len(search.exposure)) > 0)
    )


def halves(place: Floats) -> Bools:
    """Return which tiles are of the second half, (t,); a half is every second block of the foil.

    The tiles are halved by place along their longer side over and over, into 16 to 64 blocks of
    neighbours as on a chessboard: what neighbours share does not straddle the halves, and a
    gradient over the foil is in both.

    Parameters
    ----------
    place : (t, 2) in any unit.

    Examples
    --------
    >>> row = np.column_stack([np.arange(32), np.zeros(32)])
    >>> "".join(str(int(h)) for h in halves(row))
    '00111100110000111100001100111100'
    """
    second = np.zeros(len(place), bool)
    blocks = [np.arange(len(place))]
    for level in range(_SPLITS):
        parts = []
        for block in blocks:
            if len(block) < (2 if level < _SURE_SPLITS else 8):
                parts.append(block)
                continue
            longer = int(np.argmax(np.ptp(place[block], axis=0)))
            ordered = block[np.lexsort((place[block, 1 - longer], place[block, longer]))]
            first, rest = np.array_split(ordered, 2)
            second[rest] ^= True
            parts += [first, rest]
        blocks = parts
    return second


def _two_halves(search: Search) -> tuple[Bools, Bools]:
    own = _searched(search)
    place: Floats = np.column_stack([np.arange(len(own), dtype=np.float64), np.zeros(len(own))])
    if search.ground is not None:
        place = search.ground.place
    second = np.zeros(len(own), bool)
    second[own] = halves(place[own])
    return own & ~second, own & second


def density_edges(search: Search, false_per_tile: float) -> tuple[float, ...]:
    """Return the densities in 1/mm² that part a search into classes, rising; none if it is one.

    They part the candidates into six classes of equal number; then the class with the least area is
    joined to its smaller neighbour until the rate means five false candidates in each, half of
    them in each half of the tiles.
    """
    ground = search.ground
    if ground is None or np.isnan([*ground.candidates, *ground.density.flat]).any():
        return ()
    if not len(ground.candidates):
        return ()
    quantiles = np.quantile(ground.candidates, np.arange(1, _CLASSES) / _CLASSES)
    edges = [v for v in np.unique(quantiles).tolist() if v > 0]
    parts = [np.where(half, search.exposure, 0.0) for half in _two_halves(search)]
    while edges:
        shares = _shares(ground.density, edges)
        area = np.min([part @ shares for part in parts], axis=0)
        least = int(area.argmin())
        if false_per_tile * area[least] >= _LEAST_FALSE:
            break
        upper = least == 0 or (least < len(edges) and area[least + 1] < area[least - 1])
        del edges[least if upper else least - 1]
    return tuple(edges)


def thresholds_for(search: Search, asked: Asked, edges: Sequence[float] = ()) -> tuple[float, ...]:
    """Return the threshold of each class of density that is expected to do what is asked.

    A candidate passes at or above it. Each class has the rate that is asked, by its own area: that
    of the parts of tiles whose density is the class's. The k-th false score is what k false
    candidates are expected to reach on another foil, see the module; between two it is
    interpolated, and above the best one it goes on as their scores thin out.

    Raises
    ------
    BadInput : an efficiency that is never reached.
    """
    if asked.efficiency is not None:
        search.threshold_for(efficiency=asked.efficiency)  # refuses what is never reached
    own = _searched(search)
    weight = np.ones(len(own))
    return tuple(c.threshold(weight, asked) for c in _classes(search, edges, own))


def efficiency_at_rate(
    search: Search, false_per_tile: float, edges: Sequence[float] = (), *, draws: int = _DRAWS
) -> Figure:
    """Return the efficiency at exactly a rate of false candidates, in each class of density.

    It is interpolated between the false candidates that are next to the allowed number, which need
    not be whole. The curve bends, so that it is low by about a tenth of its error on average. The
    interval is that of a bootstrap over tiles, in which the thresholds are chosen anew, and at
    least the exact one of independent particles.
    """
    asked, own = Asked(false_per_tile=false_per_tile), _searched(search)
    classes = _classes(search, edges, own)
    if not search.particles:
        return np.nan, np.nan, np.nan

    def efficiency(weight: Floats) -> float:
        found = sum(c.found_at(weight, float(asked.false_per_tile or 0)) for c in classes)
        there = sum(float(weight @ c.particles) for c in classes)
        return found / there if there else np.nan

    value = efficiency(np.ones(len(own)))
    rng = np.random.default_rng(_SEED)
    drawn = np.array([efficiency(w) for w in _weights(rng, own, draws)])
    (low,), (high,) = expanded_interval(drawn[:, None], int(own.sum()), confidence=_LEVEL)
    exact = proportion(round(value * search.particles), search.particles, confidence=_LEVEL)
    _, low, high = _widened((value, exact.low, exact.high), low, high)
    return value, min(low, value), max(high, value)


def exchanged(
    search: Search, asked: Asked, edges: Sequence[float] = (), *, draws: int = _DRAWS
) -> tuple[Measured, tuple[Measured, ...]]:
    """Return what thresholds do on the tiles that they were not chosen on: in all, and each class.

    Thresholds chosen on one half of the tiles are measured on the other and the other way round,
    see ``halves``; both counts are added. Intervals are those of a bootstrap over tiles in which
    the thresholds are chosen anew, and at least the exact ones of independent counts. Of one tile
    all is nan.
    """
    first, second = _two_halves(search)
    if not (first.any() and second.any()):
        nothing = Measured(*[(np.nan, np.nan, np.nan)] * 3)
        return nothing, (nothing,) * (len(edges) + 1)
    samples = [(_classes(search, edges, own), own) for own in (first, second)]
    return _measured(samples, [(0, 1), (1, 0)], asked, draws)


def measured_elsewhere(
    search: Search,
    other: Search,
    asked: Asked,
    edges: Sequence[float] = (),
    *,
    draws: int = _DRAWS,
) -> tuple[Measured, tuple[Measured, ...]]:
    """Return what thresholds chosen on one search do on another: in all, and in each class.

    As ``exchanged``, with all tiles of each.
    """
    samples = [(_classes(s, edges, own), own) for s in (search, other) for own in (_searched(s),)]
    return _measured(samples, [(0, 1)], asked, draws)


def _measured(
    samples: Sequence[tuple[list[_Class], Bools]],
    rounds: Sequence[tuple[int, int]],
    asked: Asked,
    draws: int,
) -> tuple[Measured, tuple[Measured, ...]]:
    """Return figures of rounds of (chosen on, measured on), added up."""

    def counted(weights: Sequence[Floats]) -> Floats:
        told = np.zeros((len(samples[0][0]), 4))
        for chosen, judged in rounds:
            pairs = zip(samples[chosen][0], samples[judged][0], strict=True)
            for k, (one, other) in enumerate(pairs):
                threshold = one.threshold(weights[chosen], asked)
                told[k] += other.counted(weights[judged], threshold)
        return np.vstack([told.sum(axis=0), told])

    rng = np.random.default_rng(_SEED)
    seen = counted([own.astype(np.float64) for _, own in samples])
    weights = zip(*(_weights(rng, own, draws) for _, own in samples), strict=True)
    drawn = np.array([counted(some) for some in weights])
    tiles = sum(int(samples[judged][1].sum()) for _, judged in rounds)
    figures = [_figures(seen[k], drawn[:, k], tiles) for k in range(len(seen))]
    return figures[0], tuple(figures[1:])


def _figures(seen: Floats, drawn: Floats, tiles: int) -> Measured:
    """Return figures of what was counted, (4,), and of the draws' counts, (draws, 4)."""
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
    """Return how many times each tile is drawn, (draws, t), of those there are."""
    out = np.zeros((draws, len(own)))
    out[:, own] = times_drawn(rng, int(own.sum()), draws)
    return out
