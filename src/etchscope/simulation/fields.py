"""Random fields: noise that is correlated over a length."""

import cv2
import numpy as np

from etchscope.foil.types import FloatImage

__all__ = ["draw_correlated_field", "draw_slow_field"]


def draw_correlated_field(
    rng: np.random.Generator, size: tuple[int, int], sigma_px: float
) -> FloatImage:
    """Return white noise blurred with a Gaussian and scaled to rms 1, (y, x) float32."""
    raw = rng.standard_normal(size, np.float32)
    if sigma_px > 0.3:
        raw = np.asarray(cv2.GaussianBlur(raw, (0, 0), sigma_px), np.float32)
    return raw / np.float32(max(float(raw.std()), 1e-9))


def _spline(n: int, step: float, start: float) -> FloatImage:
    """Return (n, nodes) weights of cubic B-splines on nodes ``step`` apart, of unit variance."""
    at = np.arange(n) / step + start + 1
    u = np.abs(at[:, None] - np.arange(int(at[-1]) + 3))
    weight = np.where(u < 1, 2 / 3 - u**2 + u**3 / 2, np.clip(2 - u, 0, None) ** 3 / 6)
    return np.asarray(weight / np.sqrt((weight**2).sum(axis=1, keepdims=True)), np.float32)


def draw_slow_field(
    rng: np.random.Generator, size: tuple[int, int], length_px: float
) -> FloatImage:
    """Return a smooth field of variance 1, (y, x) float32: splines on random nodes.

    ``length_px`` is the distance of the nodes. Unlike ``draw_correlated_field`` it takes no
    longer for a large length.
    """
    y, x = (_spline(n, length_px, float(rng.random())) for n in size)
    nodes = rng.standard_normal((y.shape[1], x.shape[1]), np.float32)
    return np.asarray(y @ nodes @ x.T, np.float32)
