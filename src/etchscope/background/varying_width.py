"""The density by a kernel whose width varies from place to place.

At each place it is the density by a kernel of one width, so that its interval is that of one width,
too. It is computed for some widths and interpolated between them, in the logarithm of the width.
"""

import numpy as np
from scipy.ndimage import affine_transform

from etchscope.background.grid import rebin
from etchscope.background.kernel_density import (
    CELLS_PER_BANDWIDTH,
    Smoother,
    corrected_density,
    error_unit,
)
from etchscope.foil.types import Floats

__all__ = ["LEAST_CELLS", "varying_density"]

LEAST_CELLS = 2.0
"""Cells along the smallest width."""
_RATIO = 1.25
"""Greatest ratio of two neighbouring widths for which the density is computed."""


def varying_density(
    counts: Floats, widths: Floats, smoother: Smoother
) -> tuple[Floats, Floats, Floats]:
    """Return the density by a kernel of varying width.

    Parameters
    ----------
    counts : (rows, columns) points, see ``bin_points``.
    widths : (rows, columns) width of the kernel at each cell. Widths below two cells count as two.
    smoother : of the seen area.

    Returns
    -------
    The density, that without the leading bias (``corrected_density``), and the variance of the
    latter per density, each (rows, columns); nan where nothing near is seen.
    """
    grid = smoother.grid
    wanted = np.log(np.maximum(widths, LEAST_CELLS * grid.step))
    inside = wanted[smoother.seen > 0]
    low, high = float(inside.min()), float(inside.max())
    number = max(int(np.ceil((high - low) / np.log(_RATIO))), 1) + 1
    logs = np.linspace(low, max(high, low + 1e-9), number)
    at = (np.clip(wanted, logs[0], logs[-1]) - logs[0]) / (logs[1] - logs[0])
    out = np.zeros((3, *grid.shape))
    for k, sigma in enumerate(np.exp(logs).tolist()):
        share = np.maximum(1 - abs(at - k), 0.0)
        times = max(int(sigma / (CELLS_PER_BANDWIDTH * grid.step)), 1)
        coarse = Smoother(rebin(smoother.seen, grid, times), grid.coarser(times))
        binned = rebin(counts, grid, times)
        parts = (
            coarse.density(binned, sigma),
            corrected_density(binned, coarse, sigma),
            error_unit(coarse, sigma),
        )
        for total, part in zip(out, parts, strict=True):
            total += share * _refined(part, times, grid.shape)
    out[:, ~(smoother.mass(float(np.exp(low))) > 0)] = np.nan
    return out[0], out[1], out[2]


def _refined(values: Floats, times: int, shape: tuple[int, int]) -> Floats:
    """Return values of a coarser grid at the cells of the finer one, by cubic splines."""
    known = np.nan_to_num(values, posinf=0.0)
    if times == 1:
        return known
    scale = [1 / times, 1 / times]
    return np.asarray(affine_transform(known, scale, output_shape=shape, mode="nearest"))
