"""Calibration: how often cases came true, against the probability that they were given."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.evaluation.intervals import proportion
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats, Ints

__all__ = ["CALIBRATION_COLUMNS", "calibration_table", "expected_calibration_error"]

CALIBRATION_COLUMNS = (
    "low_p",
    "high_p",
    "mean_p",
    "successes",
    "trials",
    "value",
    "low",
    "high",
)
"""Columns: least, greatest and mean probability of a bin; the number of cases that came true and of
all cases; the share that came true, with its 95 % Clopper–Pearson interval."""


def calibration_table(
    probability: NDArray[Any], outcome: NDArray[Any], bins: int = 10
) -> pd.DataFrame:
    """Return how often cases of a probability came true, in bins of equal numbers of cases.

    A bin is a range of ranks, not of probabilities, so all bins are about equally certain (K.
    Nguyen and B. O'Connor, EMNLP 2015, section 3.3). Equal probabilities share one bin, that of
    their middle rank. Bins without a case are left out, so there may be fewer than ``bins``.

    Parameters
    ----------
    probability : (n,) real, in [0, 1].
    outcome : (n,) bool, whether the case came true.
    bins : number of bins, at least 1.

    Returns
    -------
    A table with ``CALIBRATION_COLUMNS``, one row per bin in rising order.

    Raises
    ------
    BadInput : not two vectors of one length, a probability that is NaN or outside [0, 1], outcomes
        that are not bool, or no bin.

    Examples
    --------
    >>> p = np.array([0.1, 0.1, 0.3, 0.8, 0.9, 0.9])
    >>> came_true = np.array([False, False, True, False, True, True])
    >>> t = calibration_table(p, came_true, bins=2)
    >>> print(t[["low_p", "high_p", "successes", "trials"]])
       low_p  high_p  successes  trials
    0    0.1     0.3          1       3
    1    0.8     0.9          2       3
    """
    p, came_true = _checked(probability, outcome, bins)
    rank = np.argsort(p, kind="stable")
    p, came_true = p[rank], came_true[rank]
    number = _bin_of(p, bins)
    rows = []
    for bin_number in np.unique(number):
        own = number == bin_number
        found = proportion(int(came_true[own].sum()), int(own.sum()))
        low_p, high_p = float(p[own][0]), float(p[own][-1])
        # Rounding must not move the mean of equal probabilities away from them.
        mean_p = float(np.clip(p[own].mean(), low_p, high_p))
        counts = (found.successes, found.trials, found.value, found.low, found.high)
        rows.append((low_p, high_p, mean_p, *counts))
    types = {"successes": "int64", "trials": "int64"}
    table = pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS))
    return table.astype({c: types.get(c, "float64") for c in CALIBRATION_COLUMNS})


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Return the mean distance of share and probability over the bins, weighted by their cases.

    0 is perfect (C. Guo et al., ICML 2017, eq. 3). Chance alone makes it positive, by about
    √(p(1 − p)/trials) per bin, so figures of samples of different sizes cannot be compared.

    Parameters
    ----------
    table : see ``calibration_table``; without a row the error is NaN.

    Examples
    --------
    >>> sure = calibration_table(np.full(10, 0.9), np.arange(10) < 7)
    >>> round(expected_calibration_error(sure), 3)
    0.2
    """
    trials = table["trials"].to_numpy(float)
    if not trials.sum():
        return float("nan")
    distance = np.abs(table["mean_p"].to_numpy(float) - table["value"].to_numpy(float))
    return float((trials * distance).sum() / trials.sum())


def _checked(probability: NDArray[Any], outcome: NDArray[Any], bins: int) -> tuple[Floats, Bools]:
    p, came_true = np.asarray(probability, np.float64), np.asarray(outcome)
    if bins < 1:
        raise BadInput("bins", "1 or more", f"{bins}")
    if p.ndim != 1 or p.shape != came_true.shape:
        found = f"shapes {p.shape} and {came_true.shape}"
        raise BadInput("probability and outcome", "two vectors of one length", found)
    if came_true.dtype != np.bool_:
        raise BadInput("outcome", "bool", f"{came_true.dtype}", hint="Compare with the class.")
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        found = f"{int(wrong.sum())} outside, the first {p[wrong][0]}"
        raise BadInput("probability", "numbers in [0, 1]", found)
    return p, came_true


def _bin_of(ordered: Floats, bins: int) -> Ints:
    """Return the bin of each ordered value, by the middle rank of the values equal to it."""
    _, of, count = np.unique(ordered, return_inverse=True, return_counts=True)
    # Twice the middle rank is a whole number, so rounding does not split equal masses.
    twice_middle = 2 * np.cumsum(count) - count
    number: Ints = (bins * twice_middle // (2 * max(len(ordered), 1))).astype(np.int64)
    return number[of]
