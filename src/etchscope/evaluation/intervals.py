"""Exact intervals of independent counts: of a binomial proportion and of a Poisson mean."""

from dataclasses import dataclass
from typing import Any

from scipy.stats import beta, chi2

from etchscope.foil import BadInput

__all__ = ["Proportion", "poisson_interval", "proportion"]


@dataclass(frozen=True)
class Proportion:
    """``successes`` of ``trials``, with its central interval at a confidence level.

    Without a trial ``value`` is NaN and the interval is [0, 1]. Counts need not be whole numbers,
    since those of chance are means.
    """

    successes: float
    trials: float
    value: float
    low: float
    high: float
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON: null instead of NaN."""
        value = self.value if self.trials else None
        return {
            "value": value,
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "successes": self.successes,
            "trials": self.trials,
        }

    def __str__(self) -> str:
        if not self.trials:
            return "undefined (0 of 0)"
        value, low, high = (f"{100 * v:.1f}" for v in (self.value, self.low, self.high))
        return f"{value} % [{low}, {high}]"


def proportion(successes: float, trials: float, *, confidence: float = 0.95) -> Proportion:
    """Return a proportion with its Clopper–Pearson ("exact") interval.

    The interval covers the truth with at least the stated probability whatever the proportion,
    at the price of some width (C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404; in beta
    quantiles: PDG, Review of Particle Physics, Statistics, eq. 40.80 of the 2022 edition). It
    assumes independent trials; ``proportion_over_tiles`` does not.

    Parameters
    ----------
    successes, trials : 0 ≤ successes ≤ trials.
    confidence : in (0, 1); 0.6827 is that of one standard deviation.

    Raises
    ------
    BadInput : counts out of order, or a confidence outside (0, 1).

    Examples
    --------
    >>> print(proportion(9, 10))
    90.0 % [55.5, 99.7]
    """
    if not 0 <= successes <= trials:
        raise BadInput("proportion", "0 <= successes <= trials", f"{successes} of {trials}")
    if not 0 < confidence < 1:
        raise BadInput("confidence", "a number between 0 and 1", f"{confidence}")
    tail = (1 - confidence) / 2
    misses = trials - successes
    low = float(beta.ppf(tail, successes, misses + 1)) if successes else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, misses)) if misses else 1.0
    value = successes / trials if trials else float("nan")
    return Proportion(successes, trials, value, low, high, confidence)


def poisson_interval(count: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval (Garwood 1936) of a Poisson mean from a count.

    Parameters
    ----------
    count : at least 0.
    confidence : in (0, 1).

    Examples
    --------
    >>> [round(v, 3) for v in poisson_interval(3)]
    [0.619, 8.767]
    """
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * count) / 2) if count else 0.0
    return low, float(chi2.ppf(1 - tail, 2 * count + 2) / 2)
