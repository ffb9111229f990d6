"""Normalisation of pictures, fitted once for a scan and stored with its digest.

For each channel, normalised = grey / (gain · average) − offset, so that the bulk is 0, and a
contrast of 0.1 means ten per cent of the light of the bulk for every lamp.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

import cv2
import numba
import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.types import FloatImage, Floats, FloatStack, RawStack
from etchscope.imaging.lights import clipping_level

__all__ = ["Normalisation", "Recipe", "fit_normalisation", "smooth_background"]

_DARK = 4.0
"""Least grey level of the average picture, for 8 bits; a darker bulk counts as that."""


@dataclass(frozen=True)
class Recipe:
    """How a normalisation is fitted. A model is valid for one recipe only.

    Attributes
    ----------
    method : "average" divides by the median picture of the scan's tiles, which removes vignetting
        and dust on the camera. "level" divides by one grey level per channel; it is for cut-outs
        from different places on the camera, such as a montage of pits.
    tiles : largest number of tiles, evenly spread over the scan.
    smooth_below : number of tiles below which the median picture is smoothed, because it still
        shows single pits.
    smooth_px : scale of that smoothing in pixels.
    version : version of the method.
    """

    method: Literal["average", "level"] = "average"
    tiles: int = 32
    smooth_below: int = 16
    smooth_px: float = 64.0
    version: int = 1

    @cached_property
    def digest(self) -> str:
        """SHA-256 (16 hexadecimal digits) of the recipe as sorted JSON."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Normalisation:
    """The normalisation of one scan.

    Attributes
    ----------
    recipe : how it was fitted.
    average : (channel, y, x) float32 average light, with the mean 1 for each channel;
        (channel, 1, 1) for the "level" method.
    gain : (channel,) float64 grey level of the bulk.
    offset : (channel,) float64 value of the bulk after the division, about 1.
    limit : grey level at which the camera saturates; 0 where it is unknown.
    """

    recipe: Recipe
    average: FloatStack
    gain: Floats
    offset: Floats
    limit: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 (16 hexadecimal digits) of recipe and constants, the identity of the fit."""
        sha = hashlib.sha256(f"{self.recipe.digest} {self.limit}".encode())
        for array in (self.average, self.gain, self.offset):
            sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()[:16]

    def require(self, recipe: str) -> None:
        """Refuse another recipe than that with a digest.

        Parameters
        ----------
        recipe : the digest of the expected recipe.

        Raises
        ------
        BadInput : this normalisation has another recipe.
        """
        if recipe != self.recipe.digest:
            raise BadInput(
                "normalisation",
                f"recipe {recipe}",
                f"recipe {self.recipe.digest} ({self.recipe})",
                hint="Normalise the scan with the expected recipe.",
            )

    @cached_property
    def inverse(self) -> FloatStack:
        """(channel, y, x) float32 factor that turns grey levels into normalised + offset."""
        return np.asarray(1 / (self.average * self.gain[:, None, None]), np.float32)

    def require_fit(self, stack: RawStack) -> None:
        """Refuse pictures of a tile to which this normalisation cannot be applied.

        Parameters
        ----------
        stack : (channel, y, x) grey levels.

        Raises
        ------
        BadInput : the stack has another number of channels or another size.
        """
        shape = self.average.shape
        if (
            stack.ndim != 3
            or len(stack) != len(self.average)
            or (shape[1:] != (1, 1) and stack.shape[1:] != shape[1:])
        ):
            raise BadInput("tile", f"pictures of shape {shape}", f"{stack.shape}")

    def apply(self, stack: RawStack) -> FloatStack:
        """Return the normalised pictures of one tile, (channel, y, x) float32, with the bulk at 0.

        Parameters
        ----------
        stack : (channel, y, x) grey levels.

        Raises
        ------
        BadInput : the stack has another number of channels or another size.
        """
        self.require_fit(stack)
        normalised = stack * self.inverse - self.offset[:, None, None]
        return np.asarray(normalised, np.float32)


def smooth_background(picture: FloatImage, scale_px: float) -> FloatImage:
    """Return the slowly varying background of a picture, (y, x) float32.

    It is a median over ``scale_px`` of the picture reduced eight times, interpolated back.

    Parameters
    ----------
    picture : (y, x) float32.
    scale_px : scale in pixels; pits and other features smaller than about half of it do not show.
    """
    rows, columns = picture.shape
    small = cv2.resize(
        np.asarray(picture, np.float32),
        (max(columns // 8, 1), max(rows // 8, 1)),
        interpolation=cv2.INTER_AREA,
    )
    low, high = float(small.min()), float(small.max())
    step = (high - low) / 255 or 1.0
    # The median of OpenCV over more than 5 pixels needs 8 bits; the blur removes the steps.
    coded = np.rint((small - low) / step).astype(np.uint8)
    size = 2 * round(scale_px / 16) + 1
    median = cv2.medianBlur(coded, size).astype(np.float32) * step + low
    smooth = cv2.GaussianBlur(median, (0, 0), size / 4)
    return np.asarray(
        cv2.resize(smooth, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32
    )


@numba.njit(nogil=True, cache=True)
def _lower_median(pictures: RawStack, bits: int) -> RawStack:
    """Return the lower median over the first axis, (y, x), of at most 255 unsigned pictures.

    The grey level is found by bisection, one row at a time. Each step is one comparison for each
    picture, which vectorises, whereas sorting the values of each pixel does not.
    """
    number, rows, columns = pictures.shape
    out = np.empty((rows, columns), pictures.dtype)
    level = np.empty(columns, pictures.dtype)
    count = np.empty(columns, np.uint8)
    half = (number + 1) // 2
    for y in range(rows):
        level[:] = 0
        for bit in range(bits - 1, -1, -1):
            step = 1 << bit
            # The largest level below which fewer than half of the values lie.
            count[:] = 0
            for k in range(number):
                row = pictures[k, y]
                for x in range(columns):
                    count[x] += np.uint8(row[x] < level[x] + step)
            for x in range(columns):
                if count[x] < half:
                    level[x] += step
        out[y] = level
    return out


def _average(pictures: RawStack) -> FloatImage:
    if pictures.dtype.kind != "u":
        middle = (len(pictures) - 1) // 2
        return np.asarray(np.partition(pictures, middle, axis=0)[middle], np.float32)
    return _lower_median(pictures, 8 * pictures.dtype.itemsize).astype(np.float32)


def fit_normalisation(stacks: Iterable[RawStack], recipe: Recipe) -> Normalisation:
    """Return the normalisation that is fitted to the pictures of some tiles.

    Parameters
    ----------
    stacks : (channel, y, x) pictures of the tiles, all of one shape: uint8, uint16, or float of any
        unit.
    recipe : how it is fitted.

    Raises
    ------
    BadInput : there is no tile, or the tiles have different shapes.
    """
    tiles = list(stacks)
    if not tiles:
        raise BadInput("normalisation", "at least one tile", "none")
    if len({t.shape for t in tiles}) > 1:
        raise BadInput("normalisation", "tiles of one shape", f"{sorted({t.shape for t in tiles})}")
    is_coded = tiles[0].dtype.kind == "u"
    dark = _DARK if is_coded else _DARK / 255 * max(float(t.max()) for t in tiles) or 1.0
    channels = tiles[0].shape[0]
    gain, offset, averages = np.empty(channels), np.empty(channels), []
    for c in range(channels):
        pictures = np.stack([t[c] for t in tiles])
        if recipe.method == "level":
            average = np.full((1, 1), np.median(pictures), np.float32)
        else:
            average = _average(pictures)
            if len(tiles) < recipe.smooth_below:
                average = smooth_background(average, recipe.smooth_px)
        average = np.maximum(average, np.float32(dark))
        gain[c] = float(average.mean(dtype=np.float64))
        averages.append(average / np.float32(gain[c]))
        # Several tiles, since the first may be unusual. Every pixel, so that a turned or mirrored
        # scan has the same offset.
        offset[c] = float(np.median(pictures[:: max(len(tiles) // 8, 1)] / average))
    limit = clipping_level(tiles)
    return Normalisation(recipe, np.stack(averages).astype(np.float32), gain, offset, limit)
