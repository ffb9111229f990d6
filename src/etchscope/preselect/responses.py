"""Where something pit-like is: signed and sign-free response maps over a small range of radii.

A pit's first harmonic is a radial field on a disc, so the negative divergence of the field,
smoothed at pit scale, peaks on a top pit and dips on a bottom one: it is the Laplacian of Gaussian
of the height.
Backlit, halo and mean pictures show a disc or a ring; minus their Laplacian, smoothed likewise,
peaks on it, and keeps its sign where entry and exit gradients cancel.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from etchscope.foil.types import FloatImage, Floats, FloatStack, Ints
from etchscope.imaging.harmonics import divergence

__all__ = ["Kernels", "Radii", "cascade", "disc_kernels", "field_kernels", "laplacian"]

_SIGMA_PER_RADIUS = 0.6
"""Gaussian whose gradient is nearest to a cone's field of unit radius (maximum correlation)."""
_FINE = 2
"""Modelled radii a response scale: how finely an extracted pit's radius is modelled."""


@dataclass(frozen=True)
class Radii:
    """The range of pit radii that is looked for, in pixels, in steps of at most √2."""

    smallest_px: float = 3.0
    largest_px: float = 12.0

    @cached_property
    def scales(self) -> Floats:
        """Radii of the response scales, geometric."""
        steps = max(round(2 * np.log2(self.largest_px / self.smallest_px)), 1)
        return np.geomspace(self.smallest_px, self.largest_px, steps + 1)

    @cached_property
    def sigmas(self) -> Floats:
        """Gaussian of each response scale, pixels."""
        return self.scales * _SIGMA_PER_RADIUS

    @cached_property
    def modelled(self) -> Floats:
        """Radii of the modelled pits, ``_FINE`` a scale."""
        count = _FINE * (len(self.scales) - 1) + 1
        return np.geomspace(self.smallest_px, self.largest_px, count)


def laplacian(picture: FloatImage) -> FloatImage:
    """Return minus the Laplacian of a picture, (y, x) float32: positive on a bright blob.

    0 on the outermost pixels.
    """
    out = np.negative(cv2.Laplacian(picture, cv2.CV_32F, ksize=1), dtype=np.float32)
    out[[0, -1], :] = 0
    out[:, [0, -1]] = 0
    return out


def cascade(source: FloatImage, radii: Radii) -> FloatStack:
    """Return the source smoothed at every scale, times σ² so that scales compare.

    Parameters
    ----------
    source : (y, x) float32 divergence or Laplacian.

    Returns
    -------
    (scale, y, x) float32; each scale is smoothed from the one before it.
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
    """What an ideal pit of unit amplitude looks like in the responses.

    ``values``: (modelled radius, scale, 2·half + 1, 2·half + 1) float32, centred. ``peak``:
    (modelled radius, scale), the values at the centre. ``reach``: beyond so many pixels a kernel is
    negligible, (modelled radius, scale).
    """

    radii_px: Floats
    values: FloatStack
    half: int
    reach: Ints

    @cached_property
    def peak(self) -> Floats:
        """Response at the centre, (modelled radius, scale)."""
        return self.values[:, :, self.half, self.half].astype(np.float64)

    def peak_of(self, radius_px: Floats) -> Floats:
        """Return the centre's responses for pits of given radii, (n, scale)."""
        steps = np.log(np.asarray(radius_px)[:, None] / self.radii_px[None, :])
        return np.asarray(self.peak[np.abs(steps).argmin(axis=1)])


def _frame(radii: Radii) -> tuple[int, FloatImage]:
    half = int(np.ceil(radii.largest_px + 3 * radii.sigmas[-1]))
    axis = np.arange(-half, half + 1, dtype=np.float32)
    return half, np.asarray(np.hypot(*np.meshgrid(axis, axis)), np.float32)


def _reach(radii: Radii) -> Ints:
    return np.ceil(radii.modelled[:, None] + 2.5 * radii.sigmas[None, :]).astype(np.int64)


def _disc(distance: FloatImage, radius: float) -> FloatImage:
    """Return a disc with a rim one pixel soft, which is what the camera's blur leaves."""
    return np.asarray(np.clip(radius + 0.5 - distance, 0, 1), np.float32)


@lru_cache(maxsize=8)
def field_kernels(radii: Radii) -> Kernels:
    """Return the responses to cones: a radial field of length 1 inside the opening."""
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
    """Return the responses to discs of height 1."""
    half, distance = _frame(radii)
    values = [cascade(laplacian(_disc(distance, float(r))), radii) for r in radii.modelled]
    return Kernels(radii.modelled, np.stack(values), half, _reach(radii))
