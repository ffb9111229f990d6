"""How far a pit lies from all that was seen: a Gaussian a class in the space of features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from etchscope.foil.types import Bools, Floats

__all__ = ["Gaussians", "fit_gaussians"]

_ENOUGH = 50
"""Rows of a class that its Gaussian can be found of."""


@dataclass(frozen=True)
class Gaussians:
    """Of each class the mean and the inverse Cholesky factor of its covariance.

    ``middle``, ``scale``: (f,) by which features are scaled before their logarithm is taken;
    ``means``: (k, f); ``whitening``: (k, f, f).
    """

    middle: Floats
    scale: Floats
    means: Floats
    whitening: Floats

    def distances(self, features: Floats) -> Floats:
        """Return (n, k) distances from each class in standard deviations, per √f.

        Features that are nan are left out: the distance is that of the others' own Gaussian.
        """
        x = _tamed(features, self.middle, self.scale)
        out = np.empty((len(x), len(self.means)))
        patterns, of_row = np.unique(~np.isnan(x), axis=0, return_inverse=True)
        for pattern, there in enumerate(patterns):
            rows = np.flatnonzero(of_row.ravel() == pattern)
            apart = x[rows][:, there][:, None, :] - self.means[:, there]
            white = np.einsum("kfg,nkg->nkf", self._whitening_of(there), apart)
            out[rows] = np.sqrt((white**2).mean(2))
        return out

    def _whitening_of(self, there: Bools) -> Floats:
        """Return the inverse Cholesky factors of the covariances of some features."""
        if there.all():
            return self.whitening
        root = np.linalg.inv(self.whitening)[:, there]
        some = np.linalg.cholesky(root @ root.transpose(0, 2, 1))
        return np.asarray(np.linalg.inv(some), np.float64)

    def nearest(self, features: Floats) -> Floats:
        """Return (n,) distances from the nearest class."""
        return np.asarray(self.distances(features).min(1), np.float64)


def _tamed(features: Floats, middle: Floats, scale: Floats) -> Floats:
    """Return features around 0 with their tails drawn in."""
    return np.asarray(np.arcsinh((features - middle) / scale), np.float64)


def _completed(features: Floats, said: NDArray[np.str_], classes: Sequence[str]) -> Floats:
    """Return features in which each class has rows enough that lack nothing."""
    out = features.copy()
    whole = ~np.isnan(features).any(1)
    for name in classes:
        mine = said == name
        if (mine & whole).sum() < min(_ENOUGH, int(mine.sum())):
            some = features[mine]
            known = ~np.isnan(some)
            total = np.where(known, some, 0).sum(0)
            out[mine] = np.where(known, some, total / np.maximum(known.sum(0), 1))
    return out


def fit_gaussians(features: Floats, said: NDArray[np.str_], classes: Sequence[str]) -> Gaussians:
    """Return the Gaussians of these classes; shrunk covariances (Ledoit & Wolf 2004).

    Of a class with enough rows that lack no feature only these count; of another, what a row lacks
    is the class's mean. A feature that no row has is 0: where it appears it is far from all.

    Parameters
    ----------
    features : (n, f); nan for what a row lacks.
    said : (n,) class of each; others than ``classes`` are left out.
    """
    used = np.isin(said, classes)
    features = np.where(np.isnan(features[used]).all(0), 0.0, features)
    features = _completed(features, said, classes)
    used &= ~np.isnan(features).any(1)
    low, middle, high = np.percentile(features[used], [16, 50, 84], axis=0)
    scale = np.maximum((high - low) / 2, 1e-6)
    means, whitening = [], []
    for name in classes:
        x = _tamed(features[used & (said == name)], middle, scale)
        fit = LedoitWolf().fit(x)
        means.append(fit.location_)
        covariance = fit.covariance_ + 1e-3 * np.eye(x.shape[1])
        whitening.append(np.linalg.inv(np.linalg.cholesky(covariance)))
    return Gaussians(middle, scale, np.stack(means), np.stack(whitening))
