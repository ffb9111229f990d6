"""How wide the kernel of a density map is: one width for all, or wider where points are few.

One width is chosen by likelihood cross-validation, as by ``bw.ppl`` of spatstat: it maximises
Σ log λ₋ᵢ(xᵢ) − ∫ λ(u) du, where λ₋ᵢ is the density without the point itself (C. Loader, Local
Regression and Likelihood, 1999, 5.3). Where the density is the same everywhere, this is the widest
width that is tried.

A map has that width over √2, so that the bias of the kernel is small beside the interval.

Varying widths follow I. S. Abramson (Ann. Stat. 10 (1982) 1217): where the density is λ the width
is h √(g / λ), where g is the geometric mean of λ over the points. λ is a pilot of one width.
"""

import numpy as np

from etchscope.background.grid import MapGrid, bin_points, rebin, sample_points, spline_shares
from etchscope.background.kernel_density import BINNED, CELLS_PER_BANDWIDTH, Smoother, gaussian_taps
from etchscope.foil.types import Floats

__all__ = ["abramson_widths", "choose_bandwidth", "smallest_bandwidth"]

_TRIED = 13
_MOST_POINTS = 50_000
"""Points whose likelihood is computed; of more points every n-th one."""
_FINE_CELLS = 700
"""Cells along a square of the same area as the map, with the smallest bandwidth that is tried."""
_WIDEST = 0.25
"""Greatest bandwidth that is tried, in sides of a square of the seen area."""
_NARROWEST = 1.0
"""Smallest bandwidth, in mean distances of the points: a density comes from 4 π of them or more."""
_TRIM = 2.0
"""Greatest factor between a varying width and that at the mean density. Beyond it intervals of
steep spots cover less than 93 %."""
_LEAST = 1e-300
_UNDERSMOOTHED = float(np.sqrt(2))


def smallest_bandwidth(box_area: float, seen_area: float, points: int) -> float:
    """Return the smallest bandwidth that is chosen.

    Parameters
    ----------
    box_area : area of the box around the map.
    seen_area : seen area in it, in the same unit.
    points : number of points.
    """
    spacing = _NARROWEST * np.sqrt(seen_area / max(points, 1))
    resolved = CELLS_PER_BANDWIDTH * np.sqrt(box_area) / _FINE_CELLS
    return float(min(max(spacing, resolved), _WIDEST * np.sqrt(seen_area)))


def choose_bandwidth(x: Floats, y: Floats, seen: Floats, grid: MapGrid) -> float:
    """Return the width of greatest cross-validated likelihood over √2, in the grid's unit.

    13 widths are tried, from √2 times four cells of the grid to a quarter of the side of a square
    of the seen area. With fewer than two points it is the widest of them.

    Parameters
    ----------
    x, y : (n,) points, in the unit of the grid.
    seen : (rows, columns) seen area in each cell.
    """
    widest = _WIDEST * float(np.sqrt(seen.sum()))
    narrowest = min(_UNDERSMOOTHED * CELLS_PER_BANDWIDTH * grid.step, widest)
    if len(x) < 2 or narrowest >= widest:
        return widest / _UNDERSMOOTHED
    counts = bin_points(x, y, grid)
    some = slice(None, None, -(-len(x) // _MOST_POINTS))
    tried = np.geomspace(narrowest, widest, _TRIED)
    scores = [_likelihood(x[some], y[some], len(x), counts, seen, grid, s) for s in tried.tolist()]
    return float(tried[int(np.argmax(scores))]) / _UNDERSMOOTHED


def _likelihood(
    x: Floats, y: Floats, count: int, counts: Floats, seen: Floats, grid: MapGrid, sigma: float
) -> float:
    """Return the cross-validated log likelihood, from the points that are given."""
    times = max(int(sigma / (CELLS_PER_BANDWIDTH * grid.step) + 1e-6), 1)
    coarse = grid.coarser(times)
    smoother = Smoother(rebin(seen, grid, times), coarse)
    binned = rebin(counts, grid, times)
    # Sampling smooths as much as binning does.
    narrowed = float(np.sqrt(sigma**2 - coarse.step**2 / 4))
    smooth = smoother.smooth(binned, narrowed)
    mass = sample_points(smoother.mass(sigma), x, y, coarse)
    there = sample_points(smooth, x, y, coarse)
    without = np.maximum(there - _own(x, y, coarse, narrowed), 1e-300) / np.maximum(mass, 1e-9)
    inside = smoother.density(binned, sigma)
    expected = float(np.nansum(np.where(smoother.seen > 0, inside * smoother.seen, 0.0)))
    return float(np.log(without).mean()) * count - expected


def _own(x: Floats, y: Floats, grid: MapGrid, sigma: float) -> Floats:
    """Return what each point adds at its own place, binned and sampled, (n,)."""
    taps = gaussian_taps((sigma / grid.step) ** 2 - BINNED)
    kernel = np.pad(taps, 2)[len(taps) // 2 + 2 :][:3]
    between = kernel[abs(np.subtract.outer(np.arange(3), np.arange(3)))]
    out = np.full(len(x), 1 / grid.cell_area)
    for at, first in ((x, grid.x0), (y, grid.y0)):
        shares = spline_shares((at - first) / grid.step)[1]
        out *= np.einsum("in,ij,jn->n", shares, between, shares)
    return out


def abramson_widths(density: Floats, pilot: Floats, sigma: float) -> Floats:
    """Return the width of the kernel at places with some density, by the rule of Abramson.

    Parameters
    ----------
    density : at the places, any shape.
    pilot : (n,) density at each point.
    sigma : width at the geometric mean. The widths differ from it by a factor of 2 at most.

    Examples
    --------
    >>> pilot = np.array([1.0, 4.0, 16.0])
    >>> abramson_widths(pilot, pilot, 0.2)
    array([0.4, 0.2, 0.1])
    """
    mean = np.log(np.maximum(pilot, _LEAST)).mean()
    ratio = np.exp(0.5 * (mean - np.log(np.maximum(density, _LEAST))))
    return np.asarray(sigma * ratio.clip(1 / _TRIM, _TRIM))
