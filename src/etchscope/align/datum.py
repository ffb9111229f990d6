"""Datum holes in a picture, which are drilled through the foil: large and round regions."""

from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.foil import BadInput

__all__ = ["find_holes"]

_WORK_PX = 4.0  # radius of the smallest hole on the reduced picture that is searched
_UNLIKE = 4.0  # least difference from the ground in robust standard deviations
_ROUND = 0.85  # least overlap of the region with the circle of its area
_FLAT = 0.5  # greatest standard deviation inside over the difference from the ground


def find_holes(
    picture: NDArray[np.generic],
    pixel_size_um: float,
    *,
    radius_um: tuple[float, float] = (150.0, 3000.0),
) -> pd.DataFrame:
    """Return the round holes in a picture in order of roundness.

    The picture is reduced until the smallest hole is a few pixels across, so that pits vanish. A
    hole is a filled region that is lighter or darker than the ground and nearly a circle. A hole
    that the edge of the picture cuts is not found.

    Parameters
    ----------
    picture : (y, x) grey levels of one light, preferably the backlit one.
    pixel_size_um : size of a pixel in micrometres.
    radius_um : least and greatest radius of a hole in micrometres.

    Returns
    -------
    One row per hole: ``x_px, y_px`` (0 is the centre of the first pixel, y down), ``radius_px``,
    and ``roundness`` in [0, 1].

    Raises
    ------
    BadInput : the array is not one picture, or the radii are not in order.
    """
    grey = np.asarray(picture, np.float32)
    if grey.ndim != 2:
        raise BadInput("picture", "(y, x) grey levels of one light", f"shape {grey.shape}")
    least, most = (r / pixel_size_um for r in radius_um)
    if not 0 < least < most:
        raise BadInput("radius of holes", "a least above 0 and a greatest above it", f"{radius_um}")
    factor = max(int(least / _WORK_PX), 1)
    height, width = (n // factor for n in grey.shape)
    small = cv2.resize(
        grey[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA
    )
    ground = float(np.median(small))
    spread = max(1.4826 * float(np.median(np.abs(small - ground))), 1.0)
    rows = []
    for sign in (1, -1):
        unlike = sign * (small - ground) > _UNLIKE * spread
        rows += _round_regions(unlike, small, ground, least / factor, most / factor)
    table = pd.DataFrame(rows, columns=["x_px", "y_px", "radius_px", "roundness"], dtype=float)
    table[["x_px", "y_px"]] = (table[["x_px", "y_px"]] + 0.5) * factor - 0.5
    table["radius_px"] *= factor
    table = table.sort_values("roundness", ascending=False, ignore_index=True)
    # The hole and its rim may both be round regions; only the rounder one is kept.
    at, radius = table[["x_px", "y_px"]].to_numpy(), table["radius_px"].to_numpy()
    apart = np.hypot(*(at[:, None] - at).transpose(2, 0, 1))
    is_again = np.tril(apart < np.maximum(radius[:, None], radius), -1).any(axis=1)
    first: pd.DataFrame = table[~is_again].reset_index(drop=True)
    return first


def _round_regions(
    unlike: NDArray[np.bool_], small: NDArray[Any], ground: float, least: float, most: float
) -> list[tuple[float, float, float, float]]:
    """Return x, y, radius and roundness of the round regions of a mask, in its pixels."""
    outlines, _ = cv2.findContours(
        unlike.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    height, width = unlike.shape
    y, x = np.mgrid[:height, :width]
    out = []
    for outline in outlines:
        region = np.zeros(unlike.shape, np.uint8)
        cv2.drawContours(region, [outline], -1, 1, cv2.FILLED)
        inside = region.astype(bool)
        area = float(inside.sum())
        radius = float(np.sqrt(area / np.pi))
        left, top, wide, high = cv2.boundingRect(outline)
        is_cut = left == 0 or top == 0 or left + wide == width or top + high == height
        if not least <= radius <= most or is_cut:
            continue
        cx, cy = float(x[inside].mean()), float(y[inside].mean())
        disc = np.hypot(x - cx, y - cy) <= radius
        roundness = float((disc & inside).sum() / (disc | inside).sum())
        core = small[np.hypot(x - cx, y - cy) <= 0.7 * radius]
        is_flat = core.std() <= _FLAT * abs(float(core.mean()) - ground)
        if roundness >= _ROUND and is_flat:
            out.append((cx, cy, radius, roundness))
    return out
