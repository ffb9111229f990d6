"""How far pictures are from their usual values, all lights together.

Texture is the same pattern in all lights, whereas an opening or a fibre is not. So the lights are
combined to independent parts, by the covariance that the ground of the tile itself has, before
their deviations are added up.
"""

import cv2
import numpy as np

from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack
from etchscope.imaging.normalise import smooth_background

__all__ = ["add_deviations"]

_AROUND_PX = 48.0
"""Scale of what is usual around."""
_MOST_SIGMAS = 8.0
"""Greatest deviation of one part."""
_LEAST_GROUND, _MOST_GROUND = 500, 50_000
"""Pixels of empty ground that give the covariance of the lights."""
_LEAST_PART = 1e-3
"""Least variance of an independent part, in those of the greatest."""
_LEAST_WEIGHT = 1e-3


def add_deviations(
    pictures: FloatStack,
    noise: Floats,
    smooth_px: float,
    *,
    known: Bools,
    empty: Bools,
    error: FloatStack | None = None,
) -> FloatImage:
    """Return the mean square of the deviations of the independent parts, (y, x) float32.

    They are relative to what is usual around, so that the result is about 1 on empty ground; at
    most 25, so that no light decides alone.

    Parameters
    ----------
    pictures : (channel, y, x) contrasts, the bulk at 0.
    noise : (channel,) standard deviation of the noise from pixel to pixel.
    smooth_px : standard deviation of the Gaussian that the pictures are smoothed with.
    known : (y, x) what counts; elsewhere the result is 0.
    empty : (y, x) the ground that gives the covariance of the lights.
    error : (channel, y, x) further errors of the pictures; none unless given.
    """
    weight = known.astype(np.float32)
    near = np.maximum(cv2.GaussianBlur(weight, (0, 0), smooth_px), _LEAST_WEIGHT)
    smooth = np.stack([cv2.GaussianBlur(p * weight, (0, 0), smooth_px) / near for p in pictures])
    least = np.maximum(noise, 1e-6) / (2 * np.sqrt(np.pi) * smooth_px)
    whiten = _whitening(smooth, empty, least)
    parts = np.tensordot(whiten, smooth, axes=1)
    errors = np.zeros_like(parts)
    if error is not None:
        blurred = np.stack([cv2.GaussianBlur(e, (0, 0), smooth_px) for e in error])
        errors = np.tensordot(whiten**2, blurred**2, axes=1)
    out = np.zeros(weight.shape, np.float32)
    for part, square in zip(parts, errors, strict=True):
        usual = smooth_background(np.abs(part), _AROUND_PX) / np.float32(0.6745)
        usual = np.sqrt(np.maximum(usual, np.float32(0.5)) ** 2 + square)
        out += np.minimum(np.abs(part) / usual, np.float32(_MOST_SIGMAS)) ** 2
    return np.asarray(out * weight / np.float32(len(parts)), np.float32)


def _whitening(pictures: FloatStack, where: Bools, least: Floats) -> FloatStack:
    """Return the matrix that makes the lights independent on some ground, (part, channel).

    Values beyond three median absolute deviations count as that, so that dirt does not decide.
    """
    own = pictures[:, where if where.sum() > _LEAST_GROUND else np.ones_like(where)]
    own = own[:, :: max(own.shape[1] // _MOST_GROUND, 1)].astype(np.float64)
    scale = np.maximum(1.4826 * np.median(np.abs(own), axis=1), least)[:, None]
    limited = np.clip(own / scale, -3, 3)
    value, vector = np.linalg.eigh(limited @ limited.T / limited.shape[1])
    kept = np.maximum(value, _LEAST_PART * value.max())
    return np.asarray((vector / np.sqrt(kept)).T / scale[:, 0], np.float32)
