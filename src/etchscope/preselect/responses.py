"""Response maps, which peak on pits: signed and sign-free ones, for a small range of radii.

The first harmonic of a pit is a radial field on a disc, so the negative divergence of the field,
smoothed at the scale of the pit, has a maximum on a top pit and a minimum on a bottom pit. It is
the Laplacian of Gaussian of the height. Backlit, halo and mean pictures show a disc or a ring.
Minus their Laplacian, smoothed in the same way, has a maximum there, also where the gradients of an
entry and an exit pit cancel.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from etchscope.foil.types import FloatImage, Floats, FloatStack, Ints
from etchscope.imaging.harmonics import divergence

__all__ = ["Kernels", "Radii", "cascade", "disc_kernels", "field_kernels", "laplacian"]

_SIGMA_PER_RADIUS = 0.6
"""Standard deviation of the Gaussian whose gradient has the greatest correlation with the field of
a cone of radius 1."""
_FINE = 2
"""Number of modelled radii per response scale."""


@dataclass(frozen=True)
class Radii:
    """The range of the radii of pits to be found, in pixels."""

    smallest_px: float = 3.0
    largest_px: float = 12.0

    @cached_property
    def scales(self) -> Floats:
        """Radii of the response scales in pixels, (scale,), in geometric steps of about √2."""
        steps = max(round(2 * np.log2(self.largest_px / self.smallest_px)), 1)
        return np.geomspace(self.smallest_px, self.largest_px, steps + 1)

    @cached_property
    def sigmas(self) -> Floats:
        """Standard deviation of the Gaussian of each response scale in pixels, (scale,)."""
        return self.scales * _SIGMA_PER_RADIUS

    @cached_property
    def modelled(self) -> Floats:
        """Radii of the modelled pits in pixels, (modelled radius,), ``_FINE`` per scale."""
        count = _FINE * (len(self.scales) - 1) + 1
        return np.geomspace(self.smallest_px, self.largest_px, count)


def laplacian(picture: FloatImage) -> FloatImage:
    """Return minus the Laplacian of a (y, x) float32 picture, (y, x) float32.

    It is positive on a bright blob, and 0 on the outermost pixels.
    """
    out = np.negative(cv2.Laplacian(picture, cv2.CV_32F, ksize=1), dtype=np.float32)
    out[[0, -1], :] = 0
    out[:, [0, -1]] = 0
    return out


def cascade(source: FloatImage, radii: Radii) -> FloatStack:
    """Return a source smoothed at every scale, times σ², so that scales are comparable.

    Parameters
    ----------
    source : (y, x) float32 divergence or Laplacian.
    radii : the radii of the scales.

    Returns
    -------
    (scale, y, x) float32; each scale is computed from the one before it.
    """
    out = np.empty((len(radii.sigmas), *source.shape), np.float32)
    smooth, before = source, 0.0
    for i, sigma in enumerate(radii.sigmas):
        step = float(np.sqrt(sigma**2 - before**2))
        size = 2 * int(np.ceil(3 * step)) + 1
        blurred = cv2.GaussianBlur(smooth, (size, size), step, borderType=cv2.BORDER_CONSTANT)
        smooth = np.asarray(blurred, np.float32)
        np.multiply(smooth, np.float32(sigma**2), out=out[i])
        before = sigma
    return out


@dataclass(frozen=True)
class Kernels:
    """The responses to ideal pits of amplitude 1.

    Attributes
    ----------
    radii_px : (modelled radius,) radii of the pits.
    values : (modelled radius, scale, 2·half + 1, 2·half + 1) float32 responses around the centre.
    half : greatest distance from the centre along an axis in pixels.
    reach : (modelled radius, scale) int64 distance in pixels beyond which a kernel is negligible.
    """

    radii_px: Floats
    values: FloatStack
    half: int
    reach: Ints

    @cached_property
    def peak(self) -> Floats:
        """Response at the centre, (modelled radius, scale) float64."""
        return self.values[:, :, self.half, self.half].astype(np.float64)

    def peak_of(self, radius_px: Floats) -> Floats:
        """Return the responses at the centre to pits with the radii ``radius_px``, (n, scale)."""
        steps = np.log(np.asarray(radius_px)[:, None] / self.radii_px[None, :])
        return np.asarray(self.peak[np.abs(steps).argmin(axis=1)])


def _frame(radii: Radii) -> tuple[int, FloatImage]:
    half = int(np.ceil(radii.largest_px + 3 * radii.sigmas[-1]))
    axis = np.arange(-half, half + 1, dtype=np.float32)
    return half, np.asarray(np.hypot(*np.meshgrid(axis, axis)), np.float32)


def _reach(radii: Radii) -> Ints:
    return np.ceil(radii.modelled[:, None] + 2.5 * radii.sigmas[None, :]).astype(np.int64)


def _disc(distance: FloatImage, radius: float) -> FloatImage:
    """Return a disc whose rim is one pixel wide, as blurred by the camera."""
    return np.asarray(np.clip(radius + 0.5 - distance, 0, 1), np.float32)


@lru_cache(maxsize=8)
def field_kernels(radii: Radii) -> Kernels:
    """Return the signed responses to cones, whose field is radial with length 1 in the opening.

    ``radii`` is the range of radii in pixels of the responses.
    """
    half, distance = _frame(radii)
    axis = np.arange(-half, half + 1, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    unit = np.maximum(distance, 1e-6)
    values = []
    for radius in radii.modelled:
        disc = cv2.GaussianBlur(_disc(distance, float(radius)), (0, 0), 0.8)
        field = divergence(
            np.asarray(x / unit * disc, np.float32), np.asarray(-y / unit * disc, np.float32)
        )
        values.append(cascade(field, radii))
    return Kernels(radii.modelled, np.stack(values), half, _reach(radii))


@lru_cache(maxsize=8)
def disc_kernels(radii: Radii) -> Kernels:
    """Return the sign-free responses to discs of height 1.

    ``radii`` is the range of radii in pixels of the responses.
    """
    half, distance = _frame(radii)
    values = [cascade(laplacian(_disc(distance, float(r))), radii) for r in radii.modelled]
    return Kernels(radii.modelled, np.stack(values), half, _reach(radii))
