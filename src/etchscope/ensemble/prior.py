"""Priors: probabilities at other shares of the classes, and the shares on a foil."""

from collections.abc import Mapping, Sequence

import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["apply_prior", "check_prior", "estimate_prior"]


def check_prior(prior: Mapping[str, float], classes: Sequence[str]) -> Floats:
    """Return the shares of the classes as (k,) float64 that sum to 1.

    Parameters
    ----------
    prior : class → share.
    classes : the k classes, in the order of the shares.

    Raises
    ------
    BadInput : the prior is of other classes, has a share that is not above 0, or does not sum to 1.
    """
    if set(prior) != set(classes):
        raise BadInput("prior", f"the shares of {', '.join(classes)}", ", ".join(prior))
    shares = np.array([float(prior[c]) for c in classes])
    if not (np.isfinite(shares).all() and (shares > 0).all()):
        raise BadInput("prior", "shares above 0", str(dict(prior)))
    if abs(shares.sum() - 1) > 1e-3:
        raise BadInput("prior", "shares that sum to 1", f"a sum of {shares.sum():g}")
    return np.asarray(shares / shares.sum(), np.float64)


def apply_prior(log_probabilities: Floats, shares: Floats) -> Floats:
    """Return (n, k) probabilities of the classes at a prior.

    Parameters
    ----------
    log_probabilities : (n, k) at equal shares.
    shares : (k,) shares of the classes, which sum to 1.
    """
    raw = log_probabilities + np.log(shares)
    out: Floats = np.exp(raw - np.logaddexp.reduce(raw, axis=1, keepdims=True))
    return out


def estimate_prior(log_probabilities: Floats, *, iterations: int = 200) -> Floats:
    """Return the shares of the classes under which the probabilities are most likely, (k,).

    They come from expectation maximisation (Saerens, Latinne & Decaestecker 2002). One imaginary
    pit of each class is added, so that no share becomes 0. Without pits the shares are equal.

    Parameters
    ----------
    log_probabilities : (n, k) at equal shares.
    iterations : greatest number of steps.
    """
    n, k = log_probabilities.shape
    shares = np.full(k, 1 / k)
    for _ in range(iterations):
        counts = apply_prior(log_probabilities, shares).sum(0) + 1
        new = counts / (n + k)
        if np.abs(new - shares).max() < 1e-7:
            return np.asarray(new, np.float64)
        shares = new
    return shares
