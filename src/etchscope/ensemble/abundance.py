"""The abundance of signal on a foil, from the scores of its candidates."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp

from etchscope.foil.types import Floats

__all__ = ["Abundance", "estimate_abundance"]

_Z = 1.96
"""Standard deviations to each side that contain 95 %."""
_SHARES = np.logspace(-6, -0.02, 240)
"""Shares of signal among the candidates, with a uniform prior on a logarithmic scale."""
_OFF = (-0.1, 0.0, 0.1)
"""Common errors of the scores of a foil, equally probable. In a crowd, where each candidate says
little, they are most of the uncertainty."""


@dataclass(frozen=True)
class Abundance:
    """The abundance of signal on a foil, relative to the foils of a calibration.

    Attributes
    ----------
    shift : (m,) possible shifts of the log odds of signal.
    weight : (m,) probability of each shift; they sum to 1.
    expected : (value, low, high), the number of candidates that are signal, with its 95 % interval.
    """

    shift: Floats
    weight: Floats
    expected: tuple[float, float, float]

    @classmethod
    def usual(cls, score: Floats, log_abundance: Floats) -> "Abundance":
        """Return the abundance of the foils of the calibration.

        Parameters
        ----------
        score, log_abundance : see ``estimate_abundance``.
        """
        expected = float(expit(score + log_abundance).sum())
        return cls(np.zeros(1), np.ones(1), (expected, expected, expected))

    def probability(self, log_odds: Floats) -> Floats:
        """Return the probability of signal, (n,); NaN stays NaN.

        Parameters
        ----------
        log_odds : (n,) log odds of signal on the foils of the calibration.
        """
        out = np.zeros(len(log_odds))
        for shift, weight in zip(self.shift, self.weight, strict=True):
            out += weight * expit(log_odds + shift)
        return out


def estimate_abundance(score: Floats, log_abundance: Floats, spread: float = 0.0) -> Abundance:
    """Return the abundance of signal that explains the candidates of a foil.

    It is the posterior of the share of signal in a mixture of signal and others. All shares from
    one in a million to 0.95 are equally probable before, on a logarithmic scale, and the scores may
    all be off by −0.1, 0 or 0.1. Without candidates the posterior is the prior.

    Parameters
    ----------
    score : (n,) logarithm of the likelihood ratio, of one candidate per place.
    log_abundance : (n,) log odds of signal by density on the foils of the calibration.
    spread : see ``Calibration``; it widens the interval.
    """
    n = len(score)
    usual = float(np.mean(log_abundance)) if n else 0.0
    shift = np.log(_SHARES) - np.log1p(-_SHARES) - usual
    weight = np.zeros((len(_OFF), len(shift)))
    for of_off, off in zip(weight, _OFF, strict=True):
        gain = np.expm1(np.clip(score - off, -50, 50))
        of_off[:] = [np.log1p(expit(log_abundance + by) * gain).sum() for by in shift]
        of_off[:] = np.exp(of_off - logsumexp(of_off)) / len(_OFF)
    among = np.array([expit(log_abundance + by).sum() for by in shift])
    reached = np.cumsum(weight.sum(0))
    low, high = (
        float(among[np.searchsorted(reached, q).clip(0, len(among) - 1)]) * np.exp(z * spread)
        for q, z in ((0.025, -_Z), (0.975, _Z))
    )
    possible = weight > 1e-9
    kept = weight[possible] / weight[possible].sum()
    value = float(weight.sum(0) @ among)
    at = shift - np.array(_OFF)[:, None]
    return Abundance(at[possible], kept, (value, float(low), float(min(high, n))))
