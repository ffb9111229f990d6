"""Limits on a counted number whose background is known exactly: Feldman–Cousins and CLs.

G. J. Feldman and R. D. Cousins, Phys. Rev. D 57 (1998) 3873, and A. L. Read, J. Phys. G 28 (2002)
2693. Background and efficiency with errors: ``background.construction``.
"""

import math

import numpy as np
from scipy.special import gammaln, logsumexp, pdtr, xlogy

from etchscope.foil.types import Floats

__all__ = ["cls_limit", "feldman_cousins_interval", "p_values"]

_SIGNALS, _REFINE = 1500, 40
_REACH = 6.0
_STEP = 0.01
_BACKGROUND_STEPS = np.arange(0.0, 1.2, _STEP)
_SIGNAL_STEPS = np.arange(0.0, 1.2, _STEP)
"""Where a larger background may give a larger upper limit; see ``feldman_cousins_interval``."""
_TIE = 1e-9


def feldman_cousins_interval(
    observed: int, background: float, confidence: float
) -> tuple[float, float]:
    """Return the interval of the mean number of signal events.

    As in the published tables, the upper limit is the largest one at this background or a larger
    one, so that it does not grow with the background (section IV B there). This matters where less
    is observed than expected; backgrounds up to 1.2 larger are tried in steps of 0.01.

    Parameters
    ----------
    observed : counted events.
    background : expected number of background events, known exactly.
    confidence : in (0, 1).

    Examples
    --------
    >>> [round(bound, 2) for bound in feldman_cousins_interval(0, 0.0, 0.9)]
    [0.0, 2.44]
    >>> [round(bound, 2) for bound in feldman_cousins_interval(4, 0.5, 0.9)]
    [1.17, 8.1]
    """
    error = 1 - confidence
    least = max(observed - background - 8 * np.sqrt(observed + 1.0), 0.0)
    top = max(observed - background, 0.0) + 8 * np.sqrt(observed + 1.0) - 4 * np.log(error)
    signals = np.linspace(least, top, _SIGNALS)
    kept = p_values(observed, background, signals) > error
    first, last = int(kept.argmax()), len(kept) - 1 - int(kept[::-1].argmax())

    def border(inside: float, outside: float, at: float = background) -> float:
        for _ in range(_REFINE):
            middle = (inside + outside) / 2
            if p_values(observed, at, np.array([middle]))[0] > error:
                inside = middle
            else:
                outside = middle
        return float(inside)

    low = border(signals[first], signals[first - 1]) if first else 0.0
    high = border(signals[last], signals[last + 1])
    if observed < background:
        beyond, found = high + _SIGNAL_STEPS, None
        for larger in background + _BACKGROUND_STEPS:
            is_kept = p_values(observed, larger, beyond) > error
            if is_kept.any():
                last = int(is_kept.size - 1 - is_kept[::-1].argmax())
                found, beyond = (float(beyond[last]), float(larger)), beyond[last + 1 :]
            if not beyond.size:
                break
        if found is not None:
            high = max(high, border(found[0], found[0] + _STEP, found[1]))
    return low, high


def p_values(observed: int, background: Floats | float, signals: Floats) -> Floats:
    """Return the p-value of each signal: the probability of counts that rank no higher.

    Counts are ranked by the likelihood of the signal over the largest one with a signal of at
    least 0 (eq. 4.1). A signal is inside the interval of confidence 1 − α where this exceeds α.

    Parameters
    ----------
    background, signals : mean numbers of 0 or more, of shapes that broadcast to that of the result.
    """
    known = np.asarray(background, np.float64)[..., None]
    means = np.asarray(signals, np.float64)[..., None] + known
    least, top = means.min(), means.max()
    low = max(0.0, np.floor(min(least - _REACH * np.sqrt(least), observed) - 5))
    high = np.ceil(max(top + _REACH * np.sqrt(top), observed) + 8)
    counts = np.arange(low, high + 1)
    ranks = _log_ratio(counts, means, known)
    own = _log_ratio(np.asarray(observed, np.float64), means, known)
    weights = np.exp(xlogy(counts, means) - means - gammaln(counts + 1))
    return np.asarray((weights * (ranks <= own + _TIE)).sum(-1))


def _log_ratio(counts: Floats, means: Floats, background: Floats) -> Floats:
    best = np.maximum(counts, background)
    return np.asarray(xlogy(counts, means) - means - xlogy(counts, best) + best)


def cls_limit(observed: int, background: float, confidence: float) -> float:
    """Return the CLs upper limit, at which P(≤ n with signal) is α times P(≤ n without).

    Parameters are those of ``feldman_cousins_interval``.

    Examples
    --------
    >>> round(cls_limit(0, 3.0, 0.95), 3)
    2.996
    """
    error = 1 - confidence
    target = np.log(error) + _log_at_most(observed, background)
    low, high = 0.0, observed + 10 * np.sqrt(observed + 1.0) - 2 * np.log(error)
    for _ in range(60):
        middle = (low + high) / 2
        if _log_at_most(observed, middle + background) > target:
            low = middle
        else:
            high = middle
    return float(high)


def _log_at_most(observed: int, mean: float) -> float:
    """Return ln P(≤ observed) of a Poisson mean, also where the probability itself underflows."""
    probability = float(pdtr(observed, mean))
    if probability > np.finfo(np.float64).tiny:
        return math.log(probability)
    counts = np.arange(observed + 1.0)
    return float(logsumexp(xlogy(counts, mean) - mean - gammaln(counts + 1)))
