"""The grid of binned pixels on which the responses of a tile are computed."""

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
    """The responses of tiles of ``image_size`` (height, width), computed in binned pixels.

    The methods take and return finds in pixels of the tile.
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
        """The signed responses to an ideal pit."""
        return field_kernels(self.radii)

    @property
    def disc_kernels(self) -> Kernels:
        """The sign-free responses to an ideal pit."""
        return disc_kernels(self.radii)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in binned pixels."""
        height, width = self.image_size
        return -(-height // self.settings.binning), -(-width // self.settings.binning)

    @cached_property
    def _step(self) -> tuple[float, float]:
        """Size of a binned pixel in pixels of the tile, (y, x).

        It is slightly less than the binning where the binning does not divide the size.
        """
        return self.image_size[0] / self.shape[0], self.image_size[1] / self.shape[1]

    def binned(self, picture: FloatImage) -> FloatImage:
        """Return a (y, x) picture of the tile, binned, float32."""
        if self.settings.binning == 1:
            return picture
        size = self.shape[::-1]
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)

    def touched(self, mask: Bools) -> Bools:
        """Return which binned pixels contain a true pixel of a mask, (y, x) bool."""
        return self.binned(mask.astype(np.float32)) > 0

    def slopes(self, view: Views) -> tuple[FloatImage, FloatImage] | None:
        """Return the first harmonic (A, B), each (y, x) float32, binned; None without lamps."""
        if view.a is None or view.b is None:
            return None
        return self.binned(view.a), self.binned(view.b)

    def field_maps(self, view: Views) -> FloatStack | None:
        """Return the signed responses, (scale, y, x) float32; None without lamps.

        They are positive on top pits and negative on bottom pits.
        """
        slopes = self.slopes(view)
        if slopes is None:
            return None
        # The slope is 0 beyond the picture, so that the flow over the edge has a sink there.
        # Without it, the noise of a response at the edge is several times that elsewhere.
        a, b = (cv2.copyMakeBorder(s, 2, 2, 2, 2, cv2.BORDER_CONSTANT) for s in slopes)
        flow = -divergence(np.asarray(a, np.float32), np.asarray(b, np.float32))
        return np.ascontiguousarray(cascade(flow, self.radii)[:, 2:-2, 2:-2])

    def presence_maps(self, view: Views, weights: Floats) -> FloatStack:
        """Return the sign-free responses, (scale, y, x) float32, positive on every pit.

        ``weights`` has the shape (k,), with one weight for each sign-free picture.
        """
        return cascade(laplacian(self.binned(combine_signs(view.signs, weights))), self.radii)

    def extract_signed(self, maps: FloatStack, noise: Floats, cuts: Cuts) -> Finds:
        """Return the pits in signed responses; ``maps`` changes.

        Parameters
        ----------
        maps : (scale, y, x) float32 signed responses.
        noise : (scale,) standard deviation of the bulk in each.
        cuts : the criteria for a peak; see ``extract``.
        """
        return self._full(extract(maps, noise, self.field_kernels, cuts, signed=True))

    def extract_unsigned(self, maps: FloatStack, noise: Floats, cuts: Cuts) -> Finds:
        """Return the pits in sign-free responses; ``maps`` changes.

        Parameters
        ----------
        maps : (scale, y, x) float32 sign-free responses.
        noise : (scale,) standard deviation of the bulk in each.
        cuts : the criteria for a peak; see ``extract``.
        """
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
        """Return the binned pixels (y, x) of finds, each (n,); those outside move to the border."""
        y = np.rint((finds.y_px + 0.5) / self._step[0] - 0.5).astype(np.int64)
        x = np.rint((finds.x_px + 0.5) / self._step[1] - 0.5).astype(np.int64)
        return y.clip(0, self.shape[0] - 1), x.clip(0, self.shape[1] - 1)

    def scratches(self, presence_maps: FloatStack, noise: Floats) -> Bools:
        """Return where long thin features lie, (y, x) bool in binned pixels.

        They are five times as long as the largest pit is wide, and exceed the threshold at the
        smallest scale.

        Parameters
        ----------
        presence_maps : (scale, y, x) float32 sign-free responses.
        noise : (scale,) standard deviation of the bulk in each.
        """
        length = 10 * self.radii.largest_px
        return find_long_scratches(
            presence_maps[0], self.settings.threshold * float(noise[0]), length
        )

    def field_peaks(self, finds: Finds) -> Floats:
        """Return the signed responses to ideal pits with the radii of the finds, (n, scale)."""
        return self.field_kernels.peak_of(finds.radius_px / self.settings.binning)

    def amplitudes(self, presence_maps: FloatStack, finds: Finds) -> Floats:
        """Return the sign-free amplitude of the ideal pit that fits each find at all scales, (n,).

        It is a least-squares fit over the scales.

        Parameters
        ----------
        presence_maps : (scale, y, x) float32 sign-free responses.
        finds : n finds.
        """
        y, x = self.at(finds)
        peak = self.disc_kernels.peak_of(finds.radius_px / self.settings.binning)
        return np.asarray((presence_maps[:, y, x].T * peak).sum(axis=1) / (peak**2).sum(axis=1))
