"""Probabilities at one prior turned into those at another, and the prior of a foil itself."""

from collections.abc import Mapping, Sequence

import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["at_prior", "checked_prior", "estimated_prior"]


def checked_prior(prior: Mapping[str, float], classes: Sequence[str]) -> Floats:
    """Return the classes' shares, (k,), that sum to 1.

    Raises
    ------
    BadInput : other classes, a share that is not above 0, or a sum that is not 1.
    """
    if set(prior) != set(classes):
        raise BadInput("prior", f"the shares of {', '.join(classes)}", ", ".join(prior))
    shares = np.array([float(prior[c]) for c in classes])
    if not (np.isfinite(shares).all() and (shares > 0).all()):
        raise BadInput("prior", "shares above 0", str(dict(prior)))
    if abs(shares.sum() - 1) > 1e-3:
        raise BadInput("prior", "shares that sum to 1", f"a sum of {shares.sum():g}")
    return np.asarray(shares / shares.sum(), np.float64)


def at_prior(log_probabilities: Floats, shares: Floats) -> Floats:
    """Return (n, k) probabilities at other shares of the classes.

    Parameters
    ----------
    log_probabilities : (n, k) at equal shares.
    shares : (k,) sum to 1.
    """
    raw = log_probabilities + np.log(shares)
    out: Floats = np.exp(raw - np.logaddexp.reduce(raw, axis=1, keepdims=True))
    return out


def estimated_prior(log_probabilities: Floats, *, iterations: int = 200) -> Floats:
    """Return the shares of the classes that explain the probabilities best, (k,).

    Expectation maximisation (Saerens, Latinne & Decaestecker 2002), one imaginary pit of each class
    added so that no share becomes 0. Equal shares where there are no pits.

    Parameters
    ----------
    log_probabilities : (n, k) at equal shares.
    """
    n, k = log_probabilities.shape
    shares = np.full(k, 1 / k)
    for _ in range(iterations):
        told = at_prior(log_probabilities, shares).sum(0) + 1
        new = told / (n + k)
        if np.abs(new - shares).max() < 1e-7:
            return np.asarray(new, np.float64)
        shares = new
    return shares
