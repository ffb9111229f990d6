"""White space: the ground of a tile on which nothing was found, and what replaces it.

Camera noise is what such ground costs on the disk. It is replaced by the fixed pattern of the scan
at the local level of the tile, so that normalised pictures keep their slow variations there.
"""

import cv2
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from etchscope.foil.types import Bools, FloatStack, RawStack
from etchscope.imaging.lights import explain_unsearchable
from etchscope.imaging.normalise import Normalisation, smooth_background

__all__ = ["fixed_pattern", "near_openings", "replace_ground"]

_LEVEL_PX = 64.0
"""Scale of the local level in pixels, as that of a smoothed normalisation."""
_NOISE_PX, _FEATURE_PX, _FEATURE = 4.0, 1.5, 4.0
"""Scale in pixels of the smoothing of the fixed pattern; the scale at which what that takes away
may be a feature of the camera; and from how many standard deviations it is. The median of 32
pictures still has 0.6 grey levels of noise, which packs badly; dust on the camera has to stay, for
it would show in normalised pictures as its opposite."""
_FRACTION_BITS = 4
"""Bits behind the point of coordinates for OpenCV."""


def near_openings(pits: pd.DataFrame, image_size: tuple[int, int], margin_px: float) -> Bools:
    """Return the pixels of a tile within a margin of an opening or a mark, (y, x) bool.

    Parameters
    ----------
    pits : rows of the tile: ``x_px, y_px, radius_px, ellipticity, angle_deg, length_px, width_px``.
        The outline of an opening is its ellipse; that of a mark a rectangle of its length and
        width. A row without a shape is a point.
    image_size : (height, width).
    margin_px : largest distance from an outline.

    Examples
    --------
    >>> one = {"x_px": [10.0], "y_px": [5.0], "radius_px": [2.0], "ellipticity": [0.0]}
    >>> rest = {"angle_deg": [0.0], "length_px": [np.nan], "width_px": [np.nan]}
    >>> near_openings(pd.DataFrame(one | rest), (11, 21), 3.0)[5].sum()
    np.int64(11)
    """
    drawn = np.zeros(image_size, np.uint8)
    names = ["x_px", "y_px", "radius_px", "ellipticity", "angle_deg", "length_px", "width_px"]
    values = pits[names].to_numpy(np.float64, na_value=np.nan)
    for x, y, radius, ellipticity, angle, length, width in values.tolist():
        turn = 0.0 if np.isnan(angle) else -angle  # OpenCV turns clockwise
        if length > 0:
            corners = cv2.boxPoints(((x, y), (length, max(width, 1.0)), turn))
            cv2.fillConvexPoly(drawn, _fixed(corners), 1, shift=_FRACTION_BITS)
        else:
            stretch = np.sqrt(1 - np.clip(np.nan_to_num(ellipticity), 0, 0.99))
            semi = np.nan_to_num(radius) * np.array([1 / stretch, stretch])
            centre, axes = _fixed(np.array([x, y])), _fixed(semi)
            cv2.ellipse(
                drawn, centre.tolist(), axes.tolist(), turn, 0, 360, 1, -1, shift=_FRACTION_BITS
            )
    if not drawn.any():
        return np.zeros(image_size, bool)
    distance = cv2.distanceTransform(1 - drawn, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= margin_px)


def _fixed(values: ArrayLike) -> NDArray[np.int32]:
    """Return coordinates as OpenCV takes them with ``_FRACTION_BITS``."""
    fixed = np.rint(np.asarray(values, np.float64) * 2**_FRACTION_BITS)
    return np.asarray(fixed, np.int32)


def fixed_pattern(normalisation: Normalisation) -> FloatStack:
    """Return the light of the scan without the noise of its fit, (channel, y, x) float32 grey.

    What stands out of the noise, such as dust on the camera, is as in ``normalisation.average``.
    """
    out = []
    for average, gain in zip(normalisation.average, normalisation.gain.tolist(), strict=True):
        smooth = cv2.GaussianBlur(average, (0, 0), _NOISE_PX)
        rest = np.abs(cv2.GaussianBlur(average - smooth, (0, 0), _FEATURE_PX))
        sigma = 1.4826 * float(np.median(rest))
        out.append(np.where(rest > _FEATURE * sigma, average, smooth) * np.float32(gain))
    return np.stack(out).astype(np.float32)


def replace_ground(
    raw: RawStack, kept: Bools, normalisation: Normalisation, pattern: FloatStack
) -> RawStack:
    """Return the pictures of a tile with all but the kept pixels replaced by the background.

    A tile that could not be searched afterwards, since all its pixels would be equal, is returned
    as it is.

    Parameters
    ----------
    raw : (channel, y, x) uint8 or uint16.
    kept : (y, x) bool.
    normalisation : of the scan.
    pattern : of ``fixed_pattern``.

    Raises
    ------
    BadInput : the pictures do not fit the normalisation.
    """
    if kept.all():
        return raw
    contrast = normalisation.apply(raw)
    largest = np.iinfo(raw.dtype).max
    out = raw.copy()
    for c, picture in enumerate(contrast):
        ground = np.where(kept, np.median(picture[~kept]), picture)
        level = smooth_background(np.asarray(ground, np.float32), _LEVEL_PX)
        grey = pattern[c] * (level + np.float32(normalisation.offset[c]))
        out[c] = np.where(kept, raw[c], np.rint(grey).clip(0, largest).astype(raw.dtype))
    return raw if explain_unsearchable(out) is not None else out
