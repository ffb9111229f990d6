"""The fraction of a picture that pits cover, measured without using the finds."""

import cv2
import numpy as np

from etchscope.foil.types import Bools, Floats
from etchscope.preselect.grid import Grid
from etchscope.preselect.lighting import Views, combine_signs
from etchscope.preselect.settings import FindSettings

__all__ = ["CELL_PX", "covered_fraction", "local_coverage", "reach_px"]

CELL_PX = 16
"""Side of a cell of the map, in pixels of the tile; about the size of a pit."""
_REACH = 6.0
"""Standard deviation of the Gaussian with which the map is averaged, in units of the largest
radius."""


def reach_px(settings: FindSettings) -> float:
    """Return the standard deviation, in pixels, of the Gaussian that ``local_coverage`` uses.

    It depends on the largest radius of the ``settings``.
    """
    return _REACH * settings.largest_radius_px


def covered_fraction(view: Views, grid: Grid, weights: Floats, limits: Floats) -> Floats:
    """Return the fraction of each cell of a tile that pits cover, independent of the finds.

    A pixel is covered where the surface is steeper than the ground can be, or, without lamps, where
    the weighted sign-free picture is brighter than the ground can be.

    Parameters
    ----------
    view : the tile.
    grid : the grid for tiles of that size.
    weights, limits : of the ``Calibration`` of the scan.

    Returns
    -------
    (row, column) float64, 0 to 1, in cells of about ``CELL_PX``.
    """
    slopes = grid.slopes(view)
    covered: Bools
    if slopes is not None:
        covered = np.asarray(cv2.magnitude(*slopes) > limits[0])
    else:
        covered = np.asarray(grid.binned(combine_signs(view.signs, weights)) > limits[1])
    rows, columns = (max(round(n / CELL_PX), 1) for n in grid.image_size)
    share = cv2.resize(covered.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(share, np.float64)


def local_coverage(
    share: Floats, x_px: Floats, y_px: Floats, image_size: tuple[int, int], reach: float
) -> Floats:
    """Return the covered fraction around places of a tile, (n,) float64, 0 to 1.

    It is a mean with Gaussian weights over the part of the surroundings inside the tile.

    Parameters
    ----------
    share : (row, column) covered fraction of each cell, see ``covered_fraction``.
    x_px, y_px : (n,) places in the tile, y down.
    image_size : (height, width) of the tile in pixels.
    reach : standard deviation of the Gaussian in pixels.
    """
    rows, columns = share.shape
    step = image_size[0] / rows, image_size[1] / columns
    sigma = {"sigmaX": reach / step[1], "sigmaY": reach / step[0]}
    border = cv2.BORDER_CONSTANT
    seen = cv2.GaussianBlur(np.ones_like(share), (0, 0), borderType=border, **sigma)
    mean = cv2.GaussianBlur(share, (0, 0), borderType=border, **sigma) / seen
    i = np.clip((y_px + 0.5) / step[0], 0, rows - 1).astype(np.int64)
    j = np.clip((x_px + 0.5) / step[1], 0, columns - 1).astype(np.int64)
    return np.asarray(mean[i, j])
