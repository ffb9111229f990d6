"""Normalisation as data with an identity: fitted once a scan, frozen, applied lazily.

normalised = grey / (gain · average) − offset, per channel, so that the bulk is 0 and a contrast of
0.1 means ten per cent of the bulk's light, whatever the lamp.
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

__all__ = ["Normalisation", "Recipe", "fit_normalisation", "smooth_background"]

_DARK = 4.0
"""8-bit grey levels below which the bulk counts as dark; the gain never falls under it."""


@dataclass(frozen=True)
class Recipe:
    """How a normalisation is found; a model is valid for one recipe only.

    ``method``: "average" takes the median picture of the scan's own tiles, which removes
    vignetting and dust on the camera alike; "level" takes one grey level a channel, for cut-outs
    that share no place on the camera, such as a montage centred on its pits.
    ``tiles``: at most so many tiles, evenly spread over the scan. ``smooth_below``: with fewer
    tiles than that the median still shows single pits, so it is smoothed over ``smooth_px``.
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
    """The constants found for one scan.

    Attributes
    ----------
    average : (channel, y, x) float32, mean 1 a channel; (channel, 1, 1) for the "level" method.
    gain : (channel,) grey levels of the bulk.
    offset : (channel,) what the bulk is after division, about 1.
    limit : grey level at which the camera saturates; 0 where unknown.
    """

    recipe: Recipe
    average: FloatStack
    gain: Floats
    offset: Floats
    limit: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 (16 hexadecimal digits) of recipe and constants: the fit's identity."""
        sha = hashlib.sha256(f"{self.recipe.digest} {self.limit}".encode())
        for array in (self.average, self.gain, self.offset):
            sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()[:16]

    def require(self, recipe: str) -> None:
        """Refuse to go on with pictures of another recipe than that of a digest.

        Raises
        ------
        BadInput : this normalisation was made by another recipe.
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
        """Refuse pictures of a tile that this normalisation cannot be applied to.

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
        """Return the normalised (channel, y, x) float32 pictures of one tile, bulk at 0.

        Raises
        ------
        BadInput : the stack has another number of channels or another size.
        """
        self.require_fit(stack)
        normalised = stack * self.inverse - self.offset[:, None, None]
        return np.asarray(normalised, np.float32)


def smooth_background(picture: FloatImage, scale_px: float) -> FloatImage:
    """Return the slowly varying background of a picture, blind to pits smaller than its scale.

    A median over ``scale_px`` on an eight-fold reduced picture, interpolated back.

    Parameters
    ----------
    picture : (y, x) float32.
    scale_px : features smaller than about half of it are ignored.
    """
    rows, columns = picture.shape
    small = cv2.resize(
        np.asarray(picture, np.float32),
        (max(columns // 8, 1), max(rows // 8, 1)),
        interpolation=cv2.INTER_AREA,
    )
    low, high = float(small.min()), float(small.max())
    step = (high - low) / 255 or 1.0
    # OpenCV's median over more than 5 pixels takes 8 bits only; the steps are blurred away.
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

    Bisection on the grey level, a row at a time: every step is one comparison a picture, which
    vectorises, where sorting every pixel's values does not.
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
    """Return the normalisation found on the pictures of some tiles.

    Parameters
    ----------
    stacks : (channel, y, x) pictures of the sampled tiles, all of one shape: uint8, uint16, or
        float of any unit.
    recipe : how.

    Raises
    ------
    BadInput : no tile, or tiles of different shapes.
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
        # Several tiles, since the first may be odd; every pixel, so that no direction is preferred.
        offset[c] = float(np.median(pictures[:: max(len(tiles) // 8, 1)] / average))
    limit = int(np.iinfo(tiles[0].dtype).max) if is_coded else 0
    return Normalisation(recipe, np.stack(averages).astype(np.float32), gain, offset, limit)
