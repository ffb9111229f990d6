"""A counted number with expected background and efficiency, and its likelihood ratio.

The model has one number that is sought, the particles ``s``, and two that are measured beside it:

- the observed count is Poisson with mean ε·s + b;
- the background b was measured by a count m in an off-region that is τ times as large as the
  search, Poisson with mean τ·b. A statement b̂ ± σ_b is the off-region of m = (b̂/σ_b)² and
  τ = b̂/σ_b², which has this value and this error (W. A. Rolke, A. M. López and J. Conrad,
  Nucl. Instrum. Methods A 551 (2005) 493, section 2). If the error is larger than b̂, less than one
  was seen there, and τ = 1/σ_b;
- the efficiency was measured with a relative error: ln ε̂ is normal around ln ε with the width
  σ = sqrt(ln(1 + (σ_ε/ε̂)²)), which never becomes negative.

Since ε and s enter as their product only, every limit is a number of *seen* particles, ε̂·s, divided
by the stated efficiency ε̂. All functions here work with seen particles.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlogy

from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["Counting", "Lattice", "fit_background", "log_likelihood_ratio", "make_lattice"]

MOST_OBSERVED = 100_000
"""Largest count, and largest expected background and its error."""
_REACH = 5.0
"""Standard deviations by which blocks of counts go beyond the means; 10^-6 lies outside."""


@dataclass(frozen=True)
class Counting:
    """What was counted, and what is known of background and efficiency.

    Parameters
    ----------
    observed : counted candidates, 0 to 100,000.
    background : expected number of false candidates, 0 to 100,000.
    background_error : its standard deviation, at most 100,000; 0 if it is known exactly. With an
        expected background of 0 and an error above 0, nothing was seen in an off-region of 1/error
        times the search.
    efficiency_error : *relative* standard deviation of the efficiency, 0 if it is known exactly.

    Raises
    ------
    BadInput : a number that is negative, too large or NaN, or a count that is not whole.
    """

    observed: int
    background: float = 0.0
    background_error: float = 0.0
    efficiency_error: float = 0.0

    def __post_init__(self) -> None:
        whole = float(self.observed)
        if not (0 <= whole <= MOST_OBSERVED and whole == int(whole)):
            expected = f"a whole number from 0 to {MOST_OBSERVED:,}"
            raise BadInput("observed", expected, f"{self.observed}")
        for name in ("background", "background_error", "efficiency_error"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadInput(name.replace("_", " "), "a number of 0 or more", f"{value}")
            if name != "efficiency_error" and value > MOST_OBSERVED:
                expected = f"a number from 0 to {MOST_OBSERVED:,}"
                raise BadInput(name.replace("_", " "), expected, f"{value:g}")

    @property
    def width(self) -> float:
        """Standard deviation σ of the logarithm of the measured efficiency."""
        return math.sqrt(math.log1p(self.efficiency_error**2))

    @property
    def off_ratio(self) -> float | None:
        """Size τ of the off-region over that of the search; None if b is known exactly.

        An error below a millionth of b counts as none: no count is known so well.
        """
        if self.background_error <= 1e-6 * self.background:
            return None
        return max(self.background / self.background_error, 1.0) / self.background_error

    @property
    def off_count(self) -> float:
        """Count m of the off-region, not always a whole number; 0 if b is known exactly."""
        return 0.0 if self.off_ratio is None else self.background * self.off_ratio

    @property
    def has_errors(self) -> bool:
        """Whether background or efficiency is not known exactly."""
        return self.off_ratio is not None or self.width > 0

    def without_errors(self) -> "Counting":
        """Return the same count with background and efficiency known exactly."""
        return Counting(self.observed, self.background)


@dataclass(frozen=True)
class Lattice:
    """Blocks of neighbouring counts, each with the count ``value`` that stands for it.

    Parameters
    ----------
    value : (blocks,) middle of each block, ascending; for small counts, the counts themselves.
    size : (blocks,) counts of each block.
    """

    value: Floats
    size: Floats

    def weights(self, means: Floats) -> Floats:
        """Return the probability of each block under Poisson means, (*means.shape, blocks)."""
        mean = np.asarray(means, np.float64)[..., None]
        logs = xlogy(self.value, mean) - mean - gammaln(self.value + 1)
        return np.asarray(self.size * np.exp(logs))


def make_lattice(least_mean: float, largest_mean: float, *, block: float = 0.2) -> Lattice:
    """Return blocks that resolve all counts that Poisson means in a range may give.

    Parameters
    ----------
    block : standard deviations that a block is wide, at most.
    """
    low = max(0, math.floor(least_mean - _REACH * math.sqrt(least_mean) - _REACH))
    high = math.ceil(largest_mean + _REACH * math.sqrt(largest_mean) + _REACH)
    first = [low]
    while first[-1] <= high:
        first.append(first[-1] + max(1, int(block * math.sqrt(first[-1]))))
    edges = np.array(first, np.float64)
    return Lattice((edges[:-1] + edges[1:] - 1) / 2, np.diff(edges))


def fit_background(
    count: Floats, seen: Floats, off_count: Floats, off_ratio: float | None, background: float
) -> Floats:
    """Return the background that fits best if the seen particles are given.

    It is the root of n/(μ + b) − 1 + m/b − τ = 0.

    Parameters
    ----------
    count, seen, off_count : n, μ and m; arrays that broadcast.
    off_ratio : τ, or None if b is ``background`` exactly.
    """
    if off_ratio is None:
        return np.broadcast_to(np.float64(background), np.broadcast(count, seen, off_count).shape)
    half = ((1 + off_ratio) * seen - count - off_count) / 2
    root = np.sqrt(half**2 + (1 + off_ratio) * off_count * seen)
    # Of the two forms of the root, the one without a difference of nearly equal numbers.
    other = off_count * seen / np.where(half > 0, half + root, 1.0)
    return np.asarray(np.where(half > 0, other, (root - half) / (1 + off_ratio)))


def log_likelihood_ratio(
    count: Floats, seen: Floats, off_count: Floats, off_ratio: float | None, background: float
) -> Floats:
    """Return −2 ln of the likelihood over the largest one with at least 0 seen particles.

    The efficiency is exact here. For a known background this is the ordering of G. J. Feldman and
    R. D. Cousins, Phys. Rev. D 57 (1998) 3873, eq. 4.1; parameters are those of ``fit_background``.
    """

    def log_likelihood(mean: Floats, fitted: Floats) -> Floats:
        off = 0.0 if off_ratio is None else off_ratio * fitted
        return np.asarray(xlogy(count, mean) - mean + xlogy(off_count, off) - off)

    here = fit_background(count, seen, off_count, off_ratio, background)
    free = background if off_ratio is None else off_count / off_ratio
    is_above = count >= free
    if off_ratio is None:
        alone = np.full_like(np.asarray(count, np.float64), background)
    else:
        alone = (count + off_count) / (1 + off_ratio)
    best = np.where(
        is_above,
        log_likelihood(np.asarray(count, np.float64), np.asarray(free)),
        log_likelihood(alone, alone),
    )
    return np.asarray(np.maximum(2 * (best - log_likelihood(seen + here, here)), 0.0))
