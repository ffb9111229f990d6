"""Dark regions in transmitted light, which are openings that touch each other, or long ones.

In transmitted light an entry and an exit pit that overlap are one dark region, often a disc and a
ring with a bright centre, and a track at a low dip angle is a long region. The search for discs
finds neither.
"""

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from etchscope.foil.types import FloatImage, Floats
from etchscope.preselect.peaks import Finds

__all__ = ["find_regions"]

_LONGEST = 20.0
"""Greatest length of a region in units of the largest radius; longer ones are cracks and fibres."""
_LEAST = 0.6
"""Radius of the disc that has the least area of a region, in units of the largest radius; smaller
regions are clutter."""
_SAME_PX = 3.0
"""Distance below which a region and a find have the same centre, and the region is that find."""


def find_regions(
    picture: FloatImage, level: float, finds: Finds, largest_px: float
) -> dict[str, Floats]:
    """Return the shapes of the regions above a level that are no finds yet.

    Holes are filled, so that a dark ring with a bright centre is one region. The centre is that of
    the bounding box, as commercial scanners state it; the axes are those of the ellipse with the
    same second moments.

    Parameters
    ----------
    picture : (y, x) float32, positive inside a pit.
    level : half the signal of an ordinary pit, in the unit of the picture.
    finds : the pits that were found.
    largest_px : largest radius of the pits to be found.

    Returns
    -------
    (n,) float64 columns ``x_px, y_px, radius_px, ellipticity, angle_deg, contrast``.
    """
    filled = ndimage.binary_fill_holes(picture > level)
    _, labels, stats, centroids = cv2.connectedComponentsWithStats(
        np.asarray(filled, np.uint8), connectivity=8
    )
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    area = stats[:, cv2.CC_STAT_AREA].astype(float)
    x, y = left + (width - 1) / 2, top + (height - 1) / 2
    use = (area >= np.pi * (_LEAST * largest_px) ** 2) & (
        np.maximum(width, height) <= _LONGEST * largest_px
    )
    use[0] = False
    if len(finds):
        place = np.column_stack([finds.x_px, finds.y_px])
        distance, _ = cKDTree(place).query(np.column_stack([x, y]))
        use &= distance >= _SAME_PX
    chosen = np.flatnonzero(use)
    v, u = np.nonzero(filled)
    of = labels[v, u]
    du, dv = u - centroids[of, 0], v - centroids[of, 1]
    n = len(area)
    uu, vv, uv = (np.bincount(of, w, n)[chosen] for w in (du * du, dv * dv, du * dv))
    size = area[chosen]
    # The second moment of a pixel itself is 1/12.
    uu, vv, uv = uu / size + 1 / 12, vv / size + 1 / 12, uv / size
    middle, split = (uu + vv) / 2, np.hypot((uu - vv) / 2, uv)
    inside = np.bincount(of, picture[v, u], n)[chosen] / size
    return {
        "x_px": x[chosen],
        "y_px": y[chosen],
        "radius_px": np.sqrt(size / np.pi),
        "ellipticity": 1 - np.sqrt((middle - split) / (middle + split)),
        "angle_deg": np.rad2deg(0.5 * np.arctan2(-2 * uv, uu - vv)) % 180,
        "contrast": inside,
    }
