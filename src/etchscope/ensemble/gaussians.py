"""How far a pit lies from all that was seen: a Gaussian a class in the space of features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from etchscope.foil.types import Floats

__all__ = ["Gaussians", "fit_gaussians"]


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
        """Return (n, k) distances from each class in standard deviations, per √f."""
        x = _tamed(features, self.middle, self.scale)
        apart = x[:, None, :] - self.means
        white = np.einsum("kfg,nkg->nkf", self.whitening, apart)
        return np.asarray(np.sqrt((white**2).mean(2)), np.float64)

    def nearest(self, features: Floats) -> Floats:
        """Return (n,) distances from the nearest class."""
        return np.asarray(self.distances(features).min(1), np.float64)


def _tamed(features: Floats, middle: Floats, scale: Floats) -> Floats:
    """Return features around 0 with their tails drawn in."""
    return np.asarray(np.arcsinh((features - middle) / scale), np.float64)


def fit_gaussians(features: Floats, said: NDArray[np.str_], classes: Sequence[str]) -> Gaussians:
    """Return the Gaussians of these classes; shrunk covariances (Ledoit & Wolf 2004).

    Parameters
    ----------
    features : (n, f).
    said : (n,) class of each; others than ``classes`` are left out.
    """
    used = np.isin(said, classes)
    low, middle, high = np.percentile(features[used], [16, 50, 84], axis=0)
    scale = np.maximum((high - low) / 2, 1e-6)
    means, whitening = [], []
    for name in classes:
        x = _tamed(features[said == name], middle, scale)
        fit = LedoitWolf().fit(x)
        means.append(fit.location_)
        covariance = fit.covariance_ + 1e-3 * np.eye(x.shape[1])
        whitening.append(np.linalg.inv(np.linalg.cholesky(covariance)))
    return Gaussians(middle, scale, np.stack(means), np.stack(whitening))
