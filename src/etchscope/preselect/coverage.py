"""How much of a picture pits cover, from the picture alone: what the finds have to explain."""

import cv2
import numpy as np

from etchscope.foil.types import Bools, Floats
from etchscope.preselect.grid import Grid
from etchscope.preselect.lighting import Views, combine_signs
from etchscope.preselect.settings import FindSettings

__all__ = ["CELL_PX", "covered_fraction", "local_coverage", "reach_px"]

CELL_PX = 16
"""Side of a cell of the map, in pixels of the tile: about a pit."""
_REACH = 6.0
"""Standard deviation of the Gaussian over which the map is averaged, in largest radii."""


def reach_px(settings: FindSettings) -> float:
    """Return the standard deviation of the Gaussian that ``local_coverage`` averages over."""
    return _REACH * settings.largest_radius_px


def covered_fraction(view: Views, grid: Grid, weights: Floats, limits: Floats) -> Floats:
    """Return the share of each cell of a tile that pits cover, whatever was found there.

    A place is covered where the surface is steeper than the ground ever is, or, without lamps,
    where the sign-free pictures are brighter.

    Parameters
    ----------
    view : the tile.
    grid : of its size.
    weights, limits : of the scan's ``Calibration``.

    Returns
    -------
    (rows, columns) in cells of about ``CELL_PX``, 0 to 1.
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
    """Return the covered fraction round some places of a tile, (n,), 0 to 1.

    A Gaussian mean over a standard deviation of ``reach`` pixels; what lies outside of the tile is
    left out.
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
