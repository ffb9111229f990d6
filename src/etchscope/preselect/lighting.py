"""The pictures in which the classical finder searches: gradient field and sign-free pictures."""

from dataclasses import dataclass

import cv2
import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack, RawStack
from etchscope.imaging.cleanup import remove_thin_features
from etchscope.imaging.harmonics import normalised_harmonics
from etchscope.imaging.lighting import Lighting
from etchscope.imaging.normalise import Normalisation

__all__ = ["Lighting", "Views", "combine_signs", "make_views"]

_DARKEST = 0.05
"""Light, relative to that of the bulk, below which the logarithm is cut off."""


@dataclass(frozen=True)
class Views:
    """The pictures of one tile in which the classical finder searches.

    Attributes
    ----------
    a, b : (y, x) float32 first harmonic for gradient_sign +1; None without lamps.
    signs : (k, y, x) float32 sign-free pictures, in which pits of both surfaces are bright: minus
        the logarithm of the backlit and of the mean directional light, and the logarithm of the
        halo light.
    limit : (y, x) bool, where any picture is at the camera's limit.
    """

    a: FloatImage | None
    b: FloatImage | None
    signs: FloatStack
    limit: Bools


def make_views(
    raw: RawStack, normalisation: Normalisation, lighting: Lighting, thin_px: int = 0
) -> Views:
    """Return the field and the sign-free pictures of one tile, normalised.

    Sign-free pictures are logarithms because the light that pits let through is multiplied where
    they overlap, and its logarithms add.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.
    normalisation, lighting : of the tile's scan.
    thin_px : width of the features that are removed from the backlit picture if they are narrower.

    Raises
    ------
    BadInput : the stack does not fit the normalisation.
    """
    if raw.shape[0] != normalisation.gain.shape[0]:
        raise BadInput("tile", f"{normalisation.gain.shape[0]} pictures", f"{raw.shape[0]}")
    a = b = None
    signs = []
    for c, sign in [(c, -1) for c in lighting.dark] + [(c, 1) for c in lighting.bright]:
        light = raw[c] * normalisation.inverse[c] + np.float32(1 - normalisation.offset[c])
        if sign < 0:
            light = remove_thin_features(light, thin_px, bright=False)
        signs.append(_log(light) if sign > 0 else -_log(light))
    if len(lighting.directional):
        mean, a, b = normalised_harmonics(
            raw, normalisation, lighting.directional, lighting.azimuths_deg
        )
        if lighting.gradient_sign < 0:
            a, b = -a, -b
        signs.append(-_log(1 + mean))
    limit = raw.max(axis=0) >= (normalisation.limit or np.inf)
    return Views(a, b, np.stack(signs), limit)


def _log(light: FloatImage) -> FloatImage:
    return np.asarray(cv2.log(np.maximum(light, np.float32(_DARKEST))), np.float32)


def combine_signs(signs: FloatStack, weights: Floats) -> FloatImage:
    """Return the weighted sum of the sign-free pictures, (y, x) float32, bright where a pit is.

    Parameters
    ----------
    signs : (k, y, x) float32 sign-free pictures.
    weights : (k,) weight of each.
    """
    # This is faster than tensordot, whose threads do not pay for so few pictures.
    out: FloatImage = signs[0] * np.float32(weights[0])
    for weight, sign in zip(weights[1:], signs[1:], strict=True):
        out += sign * np.float32(weight)
    return out
