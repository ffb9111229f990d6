"""Distances of pits from the labels of a training: one Gaussian per class over the features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from etchscope.foil.types import Bools, Floats

__all__ = ["Gaussians", "fit_gaussians"]

_ENOUGH = 50
"""Number of rows without a missing feature that suffice for the Gaussian of a class."""


@dataclass(frozen=True)
class Gaussians:
    """Mean and covariance of each class, over transformed features.

    A feature v becomes arsinh((v − ``middle``) / ``scale``), which shortens its tails.

    Attributes
    ----------
    middle, scale : (f,) median, and half the distance of the 16 % and 84 % quantiles, per feature.
    means : (k, f) mean of each class.
    whitening : (k, f, f) inverse of the Cholesky factor of the covariance of each class.
    """

    middle: Floats
    scale: Floats
    means: Floats
    whitening: Floats

    def distances(self, features: Floats) -> Floats:
        """Return (n, k) distances from each class: the root mean square over whitened features.

        It is the Mahalanobis distance divided by √f. Missing features are left out: the distance is
        that from the marginal Gaussian of the others.

        Parameters
        ----------
        features : (n, f); NaN for a missing feature.
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
        """Return the distance from the nearest class, (n,).

        Parameters
        ----------
        features : (n, f); NaN for a missing feature.
        """
        return np.asarray(self.distances(features).min(1), np.float64)


def _tamed(features: Floats, middle: Floats, scale: Floats) -> Floats:
    """Return features that are centred on 0 and have shorter tails."""
    return np.asarray(np.arcsinh((features - middle) / scale), np.float64)


def _completed(features: Floats, label: NDArray[np.str_], classes: Sequence[str]) -> Floats:
    """Return features in which each class has enough rows without a missing feature."""
    out = features.copy()
    whole = ~np.isnan(features).any(1)
    for name in classes:
        mine = label == name
        if (mine & whole).sum() < min(_ENOUGH, int(mine.sum())):
            some = features[mine]
            known = ~np.isnan(some)
            total = np.where(known, some, 0).sum(0)
            out[mine] = np.where(known, some, total / np.maximum(known.sum(0), 1))
    return out


def fit_gaussians(features: Floats, label: NDArray[np.str_], classes: Sequence[str]) -> Gaussians:
    """Return the Gaussians of classes, with shrunk covariances (Ledoit & Wolf 2004).

    A class with enough rows without a missing feature uses only these; in another class a missing
    feature is replaced by the mean of the class. A feature that all rows miss is replaced by 0, so
    a pit that has it lies far from all classes.

    Parameters
    ----------
    features : (n, f); NaN for a missing feature.
    label : (n,) class of each row; rows of other classes than ``classes`` are left out.
    classes : the k classes.
    """
    used = np.isin(label, classes)
    features = np.where(np.isnan(features[used]).all(0), 0.0, features)
    features = _completed(features, label, classes)
    used &= ~np.isnan(features).any(1)
    low, middle, high = np.percentile(features[used], [16, 50, 84], axis=0)
    scale = np.maximum((high - low) / 2, 1e-6)
    means, whitening = [], []
    for name in classes:
        x = _tamed(features[used & (label == name)], middle, scale)
        fit = LedoitWolf().fit(x)
        means.append(fit.location_)
        covariance = fit.covariance_ + 1e-3 * np.eye(x.shape[1])
        whitening.append(np.linalg.inv(np.linalg.cholesky(covariance)))
    return Gaussians(middle, scale, np.stack(means), np.stack(whitening))
