"""What a list would score by chance: the same list turned by 180° within its tile.

Turning keeps the number of points, their clustering and their density over the tile's middle, and
destroys their relation to the truth; see conventions.md, density and chance.
"""

import numpy as np
from numpy.typing import ArrayLike

from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["bounding_centre", "tile_centre", "turn_180"]


def tile_centre(image_size: tuple[int, int]) -> tuple[float, float]:
    """Return the (x, y) a tile turns about, in tile pixels.

    A turn takes x to width − 1 − x and y to height − 1 − y: pixel centres go to pixel centres.

    >>> tile_centre((480, 640))
    (319.5, 239.5)
    """
    height, width = image_size
    return (width - 1) / 2, (height - 1) / 2


def bounding_centre(*lists: ArrayLike) -> tuple[float, float]:
    """Return the (x, y) centre of the box around all points of the lists; (0, 0) without any.

    For points whose tile's size is unknown. It takes the lists of all tiles together: the box of
    a few points alone would turn them onto each other.
    """
    xy = np.concatenate([np.asarray(points, float).reshape(-1, 2) for points in lists])
    if not len(xy):
        return 0.0, 0.0
    x, y = ((xy.min(axis=0) + xy.max(axis=0)) / 2).tolist()
    return x, y


def turn_180(xy: ArrayLike, centre_xy: tuple[float, float]) -> Floats:
    """Return (n, 2) points turned by 180° about a centre of the same frame and unit.

    Raises
    ------
    BadInput : the points are not an (n, 2) array.

    Examples
    --------
    >>> turn_180([[0, 0], [639, 10]], tile_centre((480, 640))).tolist()
    [[639.0, 479.0], [0.0, 469.0]]
    """
    points = np.asarray(xy, float)
    points = points.reshape(-1, 2) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 2:
        raise BadInput("points", "an (n, 2) array", f"shape {points.shape}")
    turned: Floats = 2 * np.asarray(centre_xy, float) - points
    return turned
