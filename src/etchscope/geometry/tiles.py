"""Whether a place lies in the picture of a tile, and how far from its edge."""

import numpy as np
from numpy.typing import ArrayLike

from etchscope.foil.types import Bools, Floats

__all__ = ["edge_distance_px", "in_tile"]


def edge_distance_px(x_px: ArrayLike, y_px: ArrayLike, image_size: tuple[int, int]) -> Floats:
    """Return the distance of places from the nearest edge of a picture, (n,) float64 pixels.

    0 is the centre of the first pixel, so a picture reaches from −0.5 to size − 0.5. The distance
    is negative outside.

    Parameters
    ----------
    x_px, y_px : (n,) places in the picture, y down.
    image_size : (height, width) in pixels.

    >>> edge_distance_px([0.0, 5.0, -2.0], [0.0, 4.0, 4.0], (10, 20))
    array([ 0.5,  4.5, -1.5])
    """
    x, y = np.asarray(x_px, np.float64), np.asarray(y_px, np.float64)
    height, width = image_size
    return np.asarray(
        np.minimum(np.minimum(x + 0.5, width - 0.5 - x), np.minimum(y + 0.5, height - 0.5 - y))
    )


def in_tile(x_px: ArrayLike, y_px: ArrayLike, image_size: tuple[int, int]) -> Bools:
    """Return which places lie in a picture or on its edge, (n,) bool; nan does not.

    The parameters are those of ``edge_distance_px``.
    """
    return edge_distance_px(x_px, y_px, image_size) >= 0
