"""How far a signal pit stands out of the texture: statistics of thumbnails, real or simulated.

A *thumbnail* is a patch around a pit, made small and scaled between its own minimum and maximum,
as in published plots. Absolute grey levels are lost; depth over texture is not.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from etchscope.foil import BadInput
from etchscope.foil.types import FloatImage, Floats
from etchscope.simulation.scan import SimulatedScan

__all__ = [
    "PERCENTILES",
    "THUMBNAIL_PX",
    "ThumbnailStatistics",
    "hip_patches",
    "thumbnail_statistics",
    "thumbnails_of",
]

PERCENTILES = (10, 25, 50, 75, 90)
THUMBNAIL_PX = 15
_PATCH_PX, _SMALL_PX = 28, 16
_CORE_PX, _AROUND_PX = 1.6, 4.2  # radii: what is pit, and from where on is texture
_LEAST_GROUND = 20
_BRIGHT = 0.35  # of the ring's depth under the ground

Thumbnails = NDArray[np.uint8]
"""(n, y, x) grey levels, each between its own minimum and maximum."""


@dataclass(frozen=True)
class ThumbnailStatistics:
    """What was measured of a set of thumbnails.

    ``depth`` are the percentiles ``PERCENTILES`` of the pit's depth over the robust spread of the
    texture beside it; ``correlation`` is the mean correlation of neighbouring pixels of the
    texture; ``bright_centres`` the share of pits whose centre is brighter than the ring around it
    by a third of that ring's depth; NaN where nothing could be measured.
    """

    depth: Floats
    correlation: float
    bright_centres: float


def thumbnail_statistics(patches: NDArray[np.uint8]) -> ThumbnailStatistics:
    """Return how deep pits are over their texture, and how coarse that is.

    The pit is the darkest place of the middle half after a blur of 0.9 px; its depth the median of
    what is farther than 4.2 px less the mean of what is nearer than 1.6 px; the spread 1.4826
    times the median absolute deviation.

    Parameters
    ----------
    patches : (n, y, x) thumbnails, of ``THUMBNAIL_PX`` a side or nearly so.

    Raises
    ------
    BadInput : no picture, or pictures that are not square.
    """
    if patches.ndim != 3 or patches.shape[1] != patches.shape[2] or not len(patches):
        raise BadInput("thumbnails", "some square pictures", f"shape {patches.shape}")
    n = patches.shape[1]
    y, x = np.mgrid[:n, :n]
    start, stop = n // 4, 3 * n // 4 + 1
    ratios, correlations, bright = [], [], []
    for t in patches.astype(float):
        smooth = gaussian_filter(t, 0.9)[start:stop, start:stop]
        y0, x0 = np.unravel_index(smooth.argmin(), smooth.shape)
        r = np.hypot(y - y0 - start, x - x0 - start)
        ground = t[r > _AROUND_PX]
        if len(ground) < _LEAST_GROUND:
            continue
        level = float(np.median(ground))
        spread = 1.4826 * float(np.median(np.abs(ground - level)))
        ratios.append((level - t[r < _CORE_PX].mean()) / max(spread, 1e-6))
        rest = np.where(r > _AROUND_PX, t - level, np.nan)
        power = np.nanmean(rest**2)
        if power > 0:
            correlations.append(np.nanmean(rest[:, 1:] * rest[:, :-1]) / power)
        bright.append(_has_bright_centre(t, level))
    if not ratios:
        return ThumbnailStatistics(np.full(len(PERCENTILES), np.nan), np.nan, np.nan)
    return ThumbnailStatistics(
        np.percentile(ratios, PERCENTILES),
        float(np.mean(correlations)) if correlations else np.nan,
        float(np.mean(bright)),
    )


def _has_bright_centre(t: Floats, ground: float) -> bool:
    """Return whether a pit is a ring: its middle is sought as the darkest place on a wide view."""
    n = t.shape[0]
    start, stop = n // 4, 3 * n // 4 + 1
    wide = gaussian_filter(t, 2.0)[start:stop, start:stop]
    y0, x0 = (int(k) + start for k in np.unravel_index(wide.argmin(), wide.shape))
    y, x = np.mgrid[:n, :n]
    r = np.hypot(y - y0, x - x0)
    ring = float(np.percentile(t[(r > 1) & (r < 3.5)], 25))
    # The spot may lie off the middle of the ring: the brightest 2 × 2 pixels nearby.
    box = np.asarray(cv2.blur(t, (2, 2)))
    return bool(box[r < 1.6].max() - ring > max(_BRIGHT * (ground - ring), 0.0))


def hip_patches(scan: SimulatedScan) -> NDArray[np.uint8]:
    """Return the pictures around the entry pits, the top ones, of a scan's signal.

    Pits too near a tile's edge are left out.

    Returns
    -------
    (n, channel, 28, 28) grey levels; there may be none.
    """
    out = []
    half = _PATCH_PX // 2
    height, width = scan.scan.image_size
    for tile in scan.scan.tiles:
        truth = scan.truth([tile.number])
        entry = truth[(truth["class"] == "hip") & (truth["surface"] == "top")]
        if not len(entry):
            continue
        picture = scan.read_tile(tile.number)
        for x, y in entry[["x_px", "y_px"]].to_numpy(float):
            left, top = round(x) - half, round(y) - half
            if 0 <= left <= width - _PATCH_PX and 0 <= top <= height - _PATCH_PX:
                out.append(picture[:, top : top + _PATCH_PX, left : left + _PATCH_PX])
    nothing = np.zeros((0, len(scan.scan.channels), _PATCH_PX, _PATCH_PX), np.uint8)
    return np.stack(out) if out else nothing


def thumbnails_of(patches: NDArray[np.uint8], channels: list[int]) -> Thumbnails:
    """Return the thumbnails of patches, from the mean of some of their channels.

    Made 16 px wide with Pillow's HAMMING filter, of which 15 × 15 are kept and scaled to their
    range.

    Parameters
    ----------
    patches : (n, channel, 28, 28) as ``hip_patches`` gives them.
    channels : numbers from 0 on.

    Returns
    -------
    (n, 15, 15) uint8.
    """
    light = patches[:, channels].astype(np.float32).mean(axis=1)
    small = [_small(patch) for patch in light]
    return np.stack(small) if small else np.zeros((0, THUMBNAIL_PX, THUMBNAIL_PX), np.uint8)


def hamming_weights(before: int, after: int) -> Floats:
    """Return what each of ``before`` pixels gives to ``after`` larger ones, (after, before).

    Pillow's HAMMING filter, a sinc under a Hamming window one new pixel wide on each side.
    """
    scale = before / after
    x = (np.arange(before) + 0.5 - (np.arange(after)[:, None] + 0.5) * scale) / scale
    weights = np.where(np.abs(x) < 1, np.sinc(x) * (0.54 + 0.46 * np.cos(np.pi * x)), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _small(patch: FloatImage) -> Thumbnails:
    weights = hamming_weights(_PATCH_PX, _SMALL_PX)[:THUMBNAIL_PX]
    small = weights @ patch @ weights.T
    low, high = float(small.min()), float(small.max())
    return np.asarray(np.rint((small - low) / max(high - low, 1e-6) * 255), np.uint8)
