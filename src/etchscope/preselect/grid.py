"""The grid on which responses are computed: a tile's pictures, binned."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack, Ints
from etchscope.imaging.cleanup import find_long_scratches
from etchscope.imaging.harmonics import divergence
from etchscope.preselect.lighting import Views, combine_signs
from etchscope.preselect.peaks import Cuts, Finds, extract
from etchscope.preselect.responses import (
    Kernels,
    Radii,
    cascade,
    disc_kernels,
    field_kernels,
    laplacian,
)
from etchscope.preselect.settings import FindSettings

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """Response maps of tiles of ``image_size`` (height, width), in pixels binned as in settings.

    All finds that come from here or go in are in the tile's own pixels.
    """

    image_size: tuple[int, int]
    settings: FindSettings

    @cached_property
    def radii(self) -> Radii:
        """The radii of the responses, in binned pixels."""
        s = self.settings
        return Radii(s.smallest_radius_px / s.binning, s.largest_radius_px / s.binning)

    @property
    def field_kernels(self) -> Kernels:
        """What an ideal pit gives in the signed responses."""
        return field_kernels(self.radii)

    @property
    def disc_kernels(self) -> Kernels:
        """What an ideal pit gives in the sign-free responses."""
        return disc_kernels(self.radii)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in binned pixels."""
        height, width = self.image_size
        return -(-height // self.settings.binning), -(-width // self.settings.binning)

    @cached_property
    def _step(self) -> tuple[float, float]:
        """Tile pixels a binned pixel, (y, x): the binning, but for a rest at the far edge."""
        return self.image_size[0] / self.shape[0], self.image_size[1] / self.shape[1]

    def binned(self, picture: FloatImage) -> FloatImage:
        """Return a picture of the tile, binned."""
        if self.settings.binning == 1:
            return picture
        size = self.shape[::-1]
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)

    def touched(self, mask: Bools) -> Bools:
        """Return which binned pixels contain any of a mask, (y, x)."""
        return self.binned(mask.astype(np.float32)) > 0

    def slopes(self, view: Views) -> tuple[FloatImage, FloatImage] | None:
        """Return the first harmonic (A, B), binned; None without lamps."""
        if view.a is None or view.b is None:
            return None
        return self.binned(view.a), self.binned(view.b)

    def field_maps(self, view: Views) -> FloatStack | None:
        """Return the signed responses, (scale, y, x), positive on top pits; None without lamps."""
        slopes = self.slopes(view)
        if slopes is None:
            return None
        # Beyond the picture there is no slope: what flows out over its edge must end there, or a
        # response at the edge sees a flow without a sink, several times the noise elsewhere.
        a, b = (cv2.copyMakeBorder(s, 2, 2, 2, 2, cv2.BORDER_CONSTANT) for s in slopes)
        flow = -divergence(np.asarray(a, np.float32), np.asarray(b, np.float32))
        return np.ascontiguousarray(cascade(flow, self.radii)[:, 2:-2, 2:-2])

    def presence_maps(self, view: Views, weights: Floats) -> FloatStack:
        """Return the sign-free responses, (scale, y, x)."""
        return cascade(laplacian(self.binned(combine_signs(view.signs, weights))), self.radii)

    def extract_signed(self, maps: FloatStack, noise: Floats, cuts: Cuts) -> Finds:
        """Return the pits in signed responses, which are left without them."""
        return self._full(extract(maps, noise, self.field_kernels, cuts, signed=True))

    def extract_unsigned(self, maps: FloatStack, noise: Floats, cuts: Cuts) -> Finds:
        """Return the pits in sign-free responses, which are left without them."""
        return self._full(extract(maps, noise, self.disc_kernels, cuts, signed=False))

    def _full(self, finds: Finds) -> Finds:
        return Finds(
            (finds.x_px + 0.5) * self._step[1] - 0.5,
            (finds.y_px + 0.5) * self._step[0] - 0.5,
            finds.radius_px * self.settings.binning,
            finds.amplitude,
            finds.snr,
        )

    def at(self, finds: Finds) -> tuple[Ints, Ints]:
        """Return the binned (y, x) pixels of finds, those outside moved to the border."""
        y = np.rint((finds.y_px + 0.5) / self._step[0] - 0.5).astype(np.int64)
        x = np.rint((finds.x_px + 0.5) / self._step[1] - 0.5).astype(np.int64)
        return y.clip(0, self.shape[0] - 1), x.clip(0, self.shape[1] - 1)

    def scratches(self, presence_maps: FloatStack, noise: Floats) -> Bools:
        """Return where long thin features lie, (y, x) in binned pixels.

        Five times as long as the largest pit is wide, above the threshold at the smallest scale.
        """
        length = 10 * self.radii.largest_px
        return find_long_scratches(
            presence_maps[0], self.settings.threshold * float(noise[0]), length
        )

    def field_peaks(self, finds: Finds) -> Floats:
        """Return the signed responses of ideal pits of the finds' radii, (n, scale)."""
        return self.field_kernels.peak_of(finds.radius_px / self.settings.binning)

    def amplitudes(self, presence_maps: FloatStack, finds: Finds) -> Floats:
        """Return the sign-free amplitude of an ideal pit at each find, from all scales; (n,)."""
        y, x = self.at(finds)
        peak = self.disc_kernels.peak_of(finds.radius_px / self.settings.binning)
        return np.asarray((presence_maps[:, y, x].T * peak).sum(axis=1) / (peak**2).sum(axis=1))
