"""Fit of a calibration on candidates whose truth is known."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from etchscope.ensemble.calibration import Calibration
from etchscope.ensemble.measures import MEASURES
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats

__all__ = ["fit_calibration"]

_LEAST = 30
"""Least number of candidates of signal, and of others, for a calibration."""
_MOST_BINS = 12
"""Greatest number of densities for which the abundance of signal is kept."""


def fit_calibration(
    measures: pd.DataFrame,
    is_signal: Bools,
    *,
    fitted_on: str,
    of: Iterable[str] = MEASURES,
    by_density: bool = True,
) -> Calibration:
    """Return the calibration of candidates whose truth is known, by logistic regression.

    A vote or a pair says less in a crowd: with ``by_density`` each weight changes linearly with the
    logarithm of the density.

    Parameters
    ----------
    measures : of n candidates, one row per place, see ``gather_measures``.
    is_signal : (n,) bool, true for at most one candidate of a particle.
    fitted_on : the candidates, in words.
    of : names of the measures that count.

    Raises
    ------
    BadInput : too few candidates of signal, or too few others.
    """
    true = int(is_signal.sum())
    for what, count in (("of signal", true), ("that are not", len(is_signal) - true)):
        if count < _LEAST:
            hint = "Simulate or search more tiles."
            raise BadInput("calibration", f"{_LEAST} candidates {what} or more", str(count), hint)
    names = list(of)
    own = measures[names].to_numpy(np.float64)
    log_density = measures[["log_density"]].to_numpy(np.float64)
    columns = np.hstack([own, own * log_density]) if by_density else own
    scaler, regression = StandardScaler(), LogisticRegression(C=1.0, max_iter=5000)
    make_pipeline(scaler, regression).fit(columns, is_signal)
    fitted = regression.coef_[0] / scaler.scale_
    constant = float(regression.intercept_[0] - fitted @ scaler.mean_)
    weights, slopes = (
        {name: round(v, 6) for name, v in zip(names, part.tolist(), strict=False)}
        for part in (fitted[: len(names)], fitted[len(names) :])
    )
    abundance = _abundance_by(log_density[:, 0], is_signal)
    return Calibration(weights, round(constant, 6), abundance, fitted_on, slopes=slopes)


def _abundance_by(log_density: Floats, is_signal: Bools) -> tuple[tuple[float, float], ...]:
    """Return pairs of log density and log odds of signal, from bins with equal numbers of signal.

    A curve of few parameters would be off by half a unit in a crowd, which is as much as all the
    signal there. The first and the last density are the extremes, by linear continuation.
    """
    bins = max(min(int(is_signal.sum()) // _LEAST, _MOST_BINS), 1)
    edges = np.unique(np.quantile(log_density[is_signal], np.linspace(0, 1, bins + 1)[1:-1]))
    own = np.unique(np.searchsorted(edges, log_density), return_inverse=True)[1]
    count, true = np.bincount(own), np.bincount(own, is_signal)
    at = np.bincount(own, log_density) / count
    odds = np.log(true + 0.5) - np.log(count - true + 0.5)
    if len(at) > 1:
        ends = np.array([log_density.min(), log_density.max()])
        slopes = np.diff(odds)[[0, -1]] / np.diff(at)[[0, -1]]
        beyond = odds[[0, -1]] + slopes * (ends - at[[0, -1]])
        at, odds = np.r_[ends[0], at, ends[1]], np.r_[beyond[0], odds, beyond[1]]
    return tuple(zip(at.round(4).tolist(), odds.round(4).tolist(), strict=True))
