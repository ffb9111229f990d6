"""Dark regions of a transmitted-light picture: openings that touch, and long ones, as a whole.

In one transmitted light an in–out pair that overlaps is one dark region, often a disc and a ring
with a bright centre; a track cut at a low angle is a long one. Neither is a disc.
"""

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from etchscope.foil.types import FloatImage, Floats
from etchscope.preselect.peaks import Finds

__all__ = ["find_regions"]

_LONGEST = 20.0
"""Regions longer than so many largest radii are cracks and fibres."""
_LEAST = 0.6
"""Radius of the disc with a region's least area, in largest radii: smaller ones are clutter."""
_SAME_PX = 3.0
"""A region whose centre is nearer to a find is that find."""


def find_regions(
    picture: FloatImage, level: float, finds: Finds, largest_px: float
) -> dict[str, Floats]:
    """Return the regions above a level that are no find already, with their shapes.

    Holes are filled, so that a dark ring with a bright centre is one region. The centre is that of
    the box around it, as commercial scanners state it; the axes are those of the ellipse with the
    same second moments.

    Parameters
    ----------
    picture : (y, x) float32, positive inside a pit.
    level : half the depth of an ordinary pit.
    finds : pits that are known.
    largest_px : largest radius of the pits that are looked for.

    Returns
    -------
    (n,) arrays ``x_px, y_px, radius_px, ellipticity, angle_deg, contrast``.
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
    # A pixel is no point: its own second moment is 1/12.
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
