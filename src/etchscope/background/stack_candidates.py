"""One ranked list of the particles through a stack, with the number of accidental ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import chi2

from etchscope.background.stack_model import fit_stack, purest_score, shift_foils
from etchscope.background.stack_openings import StackOpenings, StackSurface
from etchscope.background.stack_search import Hypotheses, StackModel, find_hypotheses
from etchscope.foil.types import Floats

__all__ = ["StackSearch", "search_stack"]

_SAMPLE = 2000
"""Number of openings with which the area is measured in which all surfaces lie upon each other."""


@dataclass(frozen=True)
class StackSearch:
    """Particles through a stack by falling score, and what shifted foils show.

    Attributes
    ----------
    openings : at the fitted places; ``found.hits`` are rows of them.
    model : the fitted model.
    found : the particles, the best first.
    by_chance : falling scores of what all shifts together show.
    shifts : number of shifts, each weighted by the share of the area in which all surfaces still
        lie upon each other.
    """

    openings: StackOpenings
    model: StackModel
    found: Hypotheses
    by_chance: Floats = field(repr=False)
    shifts: float

    def expected(self, score: Floats) -> tuple[Floats, Floats, Floats]:
        """Return how many accidental particles reach a score: value and 95 % interval, (n,) each.

        Parameters
        ----------
        score : (n,).
        """
        rising = self.by_chance[::-1]
        count = len(rising) - np.searchsorted(rising, score, side="left")
        low = np.zeros(len(count))
        low[count > 0] = chi2.ppf(0.025, 2 * count[count > 0]) / 2
        high = chi2.ppf(0.975, 2 * count + 2) / 2
        return count / self.shifts, low / self.shifts, np.asarray(high / self.shifts)

    def threshold(self, accidental: float) -> float:
        """Return the lowest score that at most a number of accidental particles reach on average.

        Parameters
        ----------
        accidental : their number on the whole stack.
        """
        count = int(accidental * self.shifts + 1e-9)
        if count >= len(self.by_chance):
            return -np.inf
        return float(np.nextafter(self.by_chance[count], np.inf))


def search_stack(
    surfaces: Sequence[StackSurface],
    *,
    shifts: int = 10,
    seed: int = 0,
    model: StackModel | None = None,
) -> StackSearch:
    """Return the particles that explain openings on several surfaces of a stack.

    A particle leaves openings on one straight line and has one charge over velocity. The score is
    the logarithm of the joint likelihood ratio, one particle over unrelated openings of the density
    and the shapes around each of them. An opening that is not there where its surface was searched
    counts against the particle.

    Accidental particles are counted after the foils were shifted against each other, without the
    openings of clear particles.

    Parameters
    ----------
    surfaces : two or more surfaces in one frame.
    shifts : how often the foils are shifted, 1 or more.
    seed : of the shifts.
    model : what is assumed of particles and search; fitted to the stack unless given.

    Raises
    ------
    BadInput : fewer than two surfaces, or one surface twice.
    """
    openings = StackOpenings.of(surfaces)
    if model is None:
        usual = StackModel.usual(len(openings.surfaces))
        openings, model = fit_stack(openings, usual, seed=seed)
    found = find_hypotheses(openings, model)
    rng = np.random.default_rng([seed, 1])
    first = find_hypotheses(shift_foils(openings, rng), model).score
    clear = found.hits[found.score >= purest_score(found.score, first)]
    used = np.unique(clear[clear >= 0])
    rest = openings.take(np.setdiff1d(np.arange(len(openings.surface)), used))
    whole, weight = _shared(openings), 0.0
    chance: list[Floats] = []
    for _ in range(shifts):
        shifted = shift_foils(rest, rng)
        chance.append(find_hypotheses(shifted, model).score)
        weight += _shared(shifted) / whole
    by_chance = np.sort(np.concatenate(chance))[::-1]
    return StackSearch(openings, model, found, by_chance, weight)


def _shared(openings: StackOpenings) -> float:
    """Return the share of the openings that lie where all surfaces were searched, above 0."""
    n = len(openings.surface)
    some = openings.table[np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64), :2]
    surfaces = range(len(openings.surfaces))
    seen = np.all([openings.is_seen(s, some) for s in surfaces], axis=0)
    return float((seen.sum() + 1) / (len(some) + 1))
