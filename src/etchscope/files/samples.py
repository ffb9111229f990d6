"""What the samples of a foreign picture mean: from stored numbers to grey levels."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Page", "Samples", "as_grey"]

Page = NDArray[Any]
"""(y, x) uint8 or uint16 grey levels."""

_LUMA = np.array([299, 587, 114], np.uint32)
"""Weights of R, G, B in thousandths (ITU-R BT.601); integers give the same on every machine."""
_BAND = 2**20
"""Number of pixels whose luma is computed at once, which bounds the memory."""


@dataclass(frozen=True)
class Samples:
    """The samples of one page as its file stores them, and what they mean.

    Parameters
    ----------
    values : (y, x, sample) uint8 or uint16.
    colour : what the first samples of each pixel are; those after them, such as alpha, are
        dropped.
    palette : (256, 3) uint8 R, G, B of each value; black unless given.
    zero_is_white : whether 0 is the lightest grey level.
    lightest : greatest value that a sample can have.
    orientation : how the page is shown, 1 to 8, as in TIFF tag 274; any other value counts as 1.
    """

    values: NDArray[Any]
    colour: Literal["grey", "rgb", "cmyk", "palette"] = "grey"
    palette: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((256, 3), np.uint8))
    zero_is_white: bool = False
    lightest: int = 255
    orientation: int = 1


def as_grey(samples: Samples) -> Page:
    """Return the grey levels of a page as it is shown, (y, x) uint8 or uint16, contiguous.

    Grey levels stay as they are, with 0 as black. Colour becomes luma (ITU-R BT.601, rounded), and
    alpha is dropped.
    """
    values = samples.values
    if samples.colour == "palette":
        grey = _luma(samples.palette)[values[..., 0]]
    elif samples.colour == "grey":
        grey = values[..., 0]
        if samples.zero_is_white:
            lightest = grey.dtype.type(samples.lightest)
            grey = lightest - np.minimum(grey, lightest)
    else:
        grey = np.empty(values.shape[:2], values.dtype)
        rows = max(1, _BAND // max(values.shape[1], 1))
        for top in range(0, len(values), rows):
            band = values[top : top + rows]
            rgb = _cmyk_to_rgb(band, samples.lightest) if samples.colour == "cmyk" else band
            grey[top : top + rows] = _luma(rgb)
    return np.ascontiguousarray(_turn(grey, samples.orientation))


def _luma(rgb: NDArray[Any]) -> Page:
    thousandths = rgb[..., :3].astype(np.uint32) @ _LUMA
    grey: Page = ((thousandths + 500) // 1000).astype(rgb.dtype)
    return grey


def _cmyk_to_rgb(cmyk: NDArray[Any], most: int) -> NDArray[Any]:
    """Return R, G, B of uncalibrated inks: (most − ink) × (most − black) / most, rounded."""
    light = most - np.minimum(cmyk, cmyk.dtype.type(most)).astype(np.uint64)
    rgb = (light[..., :3] * light[..., 3:4] + most // 2) // most
    return np.asarray(rgb.astype(cmyk.dtype))


def _turn(page: Page, orientation: int) -> Page:
    """Return a page as it is shown (TIFF 6.0, tag 274; EXIF has the same values)."""
    if orientation in (5, 6, 7, 8):
        page = page.T
    if orientation in (2, 3, 6, 7):
        page = page[:, ::-1]
    if orientation in (3, 4, 7, 8):
        page = page[::-1]
    return page
