"""Limits that average over the errors of background and efficiency: Bayesian, and hybrid CLs.

The efficiency is log-normal around its measured value, the background a gamma distribution with the
stated mean and standard deviation. Averaged over it, the number of background events is negative
binomial, so that only the efficiency needs a quadrature. R. D. Cousins and V. L. Highland, Nucl.
Instrum. Methods A 320 (1992) 331, average in this way; such limits have no guaranteed coverage.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.optimize import brentq
from scipy.special import gammainc, gammaincc, gammaln, xlog1py, xlogy

from etchscope.background.counting import Counting
from etchscope.foil.types import Floats

__all__ = ["limit_bayes", "limit_hybrid_cls"]

_NODES = 48
_REACH = 12.0


def limit_bayes(counting: Counting, confidence: float) -> float:
    """Return the Bayesian upper limit of the seen particles, with a flat prior of the particles.

    Without errors it is the limit of O. Helene, Nucl. Instrum. Methods 212 (1983) 319, which equals
    CLs.

    Parameters
    ----------
    confidence : in (0, 1); the posterior probability below the limit.
    """
    signal, weights, ratio, shares = _mixture(counting)
    # The particles s are flat: the integral of a Poisson over them has the factor 1/ε.
    shares = shares / ratio / (shares / ratio).sum()

    def excess(seen: float) -> float:
        below = gammainc(signal[:, None] + 1, ratio * seen)
        return float(weights @ below @ shares) - confidence

    return _root_above(excess, counting)


def limit_hybrid_cls(counting: Counting, confidence: float) -> float:
    """Return the CLs upper limit of the seen particles, its probabilities averaged over the errors.

    Parameters are those of ``limit_bayes``.
    """
    signal, weights, ratio, shares = _mixture(counting)

    def excess(seen: float) -> float:
        upto = gammaincc(signal[:, None] + 1, ratio * seen)
        return 1 - confidence - float(weights @ upto @ shares)

    return _root_above(excess, counting)


def _mixture(counting: Counting) -> tuple[Floats, Floats, Floats, Floats]:
    """Return signal counts with their weights, and ε over the measured one with its weights.

    The weight of a signal count k is the probability of n − k background events, given that there
    are at most n.
    """
    observed, mean, error = counting.observed, counting.background, counting.background_error
    spread = math.sqrt(mean + error**2)
    most = min(observed, math.ceil(mean + _REACH * spread + _REACH))
    least = max(0, math.floor(min(most, mean) - _REACH * spread - _REACH))
    events = np.arange(least, most + 1, dtype=np.float64)
    if mean == 0:
        logs = np.where(events == 0, 0.0, -np.inf)
    elif counting.off_ratio is None:
        logs = xlogy(events, mean) - gammaln(events + 1)
    else:
        shape = max(counting.off_count, np.finfo(np.float64).tiny)  # whose gamma is finite
        rate = counting.off_ratio
        logs = gammaln(events + shape) - gammaln(events + 1) - xlog1py(events, rate)
    weights = np.exp(logs - logs.max())
    nodes, shares = hermegauss(_NODES if counting.width > 0 else 1)
    ratio = np.exp(counting.width * nodes)
    return observed - events, weights / weights.sum(), ratio, shares / shares.sum()


def _root_above(excess: Callable[[float], float], counting: Counting) -> float:
    """Return where a rising function of the seen particles passes 0."""
    top = counting.observed + 10.0
    while excess(top) < 0:
        top *= 2
    return float(brentq(excess, 0.0, top, xtol=1e-9, rtol=1e-12))
