"""Maps of the density of pits: best value and interval in every cell, and where it is not known."""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import gammaincinv

from etchscope.background.bandwidth import abramson_widths, choose_bandwidth
from etchscope.background.grid import MapGrid, bin_points, rebin, sample_points
from etchscope.background.hidden import Corrected, EfficiencyCurve, HiddenPits
from etchscope.background.kernel_density import (
    CELLS_PER_BANDWIDTH,
    Smoother,
    corrected_density,
    error_unit,
    rate_interval,
)
from etchscope.background.varying_width import LEAST_CELLS, varying_density
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats, Ints

__all__ = [
    "REASONS",
    "DensityMap",
    "Integral",
    "PitPoints",
    "Window",
    "count_cells",
    "integrate",
    "map_density",
    "reasons_of",
]

REASONS = ("", "not seen", "too crowded for the finder", "too many hidden pits")
"""Why a cell is not valid, by the number in ``DensityMap.reason``."""
_NOT_SEEN, _CROWDED, _HIDDEN = 1, 2, 3
_LEAST_SEEN = 0.5
"""Least seen share of a valid cell."""
CROWDED_SHARE = 0.5
"""Share of pits with the flag ``too_crowded`` from which a place is too crowded."""
_PILOT = 2.0
"""Bandwidth of the pilot that sets varying widths, in bandwidths. A wider one follows the chance
clusters of pits less."""


Reasons = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


@dataclass(frozen=True)
class Window:
    """The seen area of a scan on a fine grid.

    Parameters
    ----------
    seen : (rows, columns) seen area in each cell, see ``bin_points``, in the grid's unit squared.
    grid : of the cells; a quarter of the smallest bandwidth wide, or less.
    """

    seen: Floats
    grid: MapGrid

    @property
    def area(self) -> float:
        """The seen area in the grid's unit squared."""
        return float(self.seen.sum())

    def coarsened(self, sigma: float) -> "Window":
        """Return the window with four cells along a bandwidth or a few more, and two at least.

        Raises
        ------
        BadInput : the cells of the grid are too wide for the bandwidth.
        """
        least = LEAST_CELLS * self.grid.step
        if sigma < 0.999 * least:
            raise BadInput("bandwidth", f"{least:.3g} {self.grid.unit} or more", f"{sigma:.3g}")
        times = max(int(sigma / (CELLS_PER_BANDWIDTH * self.grid.step) + 1e-6), 1)
        return Window(rebin(self.seen, self.grid, times), self.grid.coarser(times))


@dataclass(frozen=True)
class PitPoints:
    """Places of n pits, and what the finder says of them; each (n,).

    Parameters
    ----------
    x, y : in the unit of a grid.
    crowded : bool, whether it was too crowded there; empty where it was nowhere.
    partner : int64, the place among these pits of the other pit of the same particle, −1 without
        one; empty where no pit has one.
    """

    x: Floats
    y: Floats
    crowded: Bools = field(default_factory=lambda: np.zeros(0, bool))
    partner: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.x)

    def take(self, which: Bools) -> "PitPoints":
        """Return some of the pits, by (n,) bool."""
        crowded = self.crowded[which] if len(self.crowded) else self.crowded
        if not len(self.partner):
            return PitPoints(self.x[which], self.y[which], crowded)
        place = np.append(np.where(which, np.cumsum(which) - 1, -1), -1)
        return PitPoints(self.x[which], self.y[which], crowded, place[self.partner[which]])

    @property
    def first(self) -> Bools:
        """Whether a pit is the first one of its particle, (n,)."""
        if not len(self.partner):
            return np.ones(len(self), bool)
        return np.asarray((self.partner < 0) | (np.arange(len(self)) < self.partner))

    @property
    def variance(self) -> float:
        """Variance of the number of pits per mean: 1, or up to 2 where particles make two pits.

        It is E(m²) / E(m) for particles at random that make m pits each.
        """
        return 1 + float((self.partner >= 0).sum()) / max(len(self), 1)


@dataclass(frozen=True)
class Integral:
    """The number of pits in some cells with its 95 % interval.

    Parameters
    ----------
    found : number of found pits.
    value, low, high : number of all pits, those with hidden ones.
    seen : area in the grid's unit squared.
    """

    found: int
    value: float
    low: float
    high: float
    seen: float


@dataclass(frozen=True)
class DensityMap:
    """The density of pits in the cells of a grid; all arrays are (rows, columns).

    Parameters
    ----------
    grid : of the cells. Densities are per unit of the grid squared.
    count : found pits whose centres lie in each cell, int64.
    seen : seen area of each cell, see ``bin_points``.
    kernel : density of found pits by the kernel alone, as spatstat gives it.
    all_pits : density of all pits, without the leading bias of the kernel and with hidden pits, and
        its 95 % interval at each place; nan where nothing near is seen.
    reason : uint8, index in ``REASONS``; 0 where the cell is valid.
    bandwidth : standard deviation of the kernel; at the mean density where it varies.
    is_adaptive : whether the width of the kernel varies.
    variance : of the number of pits per mean, see ``PitPoints``.
    """

    grid: MapGrid
    count: Ints
    seen: Floats
    kernel: Floats
    all_pits: Corrected
    reason: Reasons
    bandwidth: float
    is_adaptive: bool
    variance: float = 1.0

    @property
    def found(self) -> Floats:
        """The density of found pits without the leading bias of the kernel."""
        return np.asarray(
            self.all_pits.value / np.where(self.all_pits.known, self.all_pits.factor[0], 1)
        )

    @property
    def valid(self) -> Bools:
        """Where the density is known."""
        return np.asarray(self.reason == 0)

    @property
    def crowded(self) -> Bools:
        """Where it is too crowded for the finder."""
        return np.asarray(self.reason == _CROWDED)


def map_density(
    pits: PitPoints,
    window: Window,
    *,
    bandwidth: float | None = None,
    adaptive: bool = False,
    hidden: HiddenPits | EfficiencyCurve | None = None,
    part_of: DensityMap | None = None,
) -> DensityMap:
    """Return the map of the density of some pits.

    Parameters
    ----------
    pits : those that are counted, in the unit of the window's grid.
    window : the seen area.
    bandwidth : standard deviation of the kernel in the grid's unit; ``choose_bandwidth`` unless
        given.
    adaptive : whether the kernel is wider where pits are few, see ``abramson_widths``.
    hidden : how hidden pits are counted; without it they are not.
    part_of : the map of all pits with the same bandwidth, where the pits are a part of them. Then
        the share of hidden pits, and where it is too crowded, are taken from it.

    Raises
    ------
    BadInput : nothing was seen, or the bandwidth is no positive number or too small for the grid.
    """
    if not window.area > 0:
        raise BadInput("density map", "an area that was seen", "none")
    if bandwidth is not None and not 0 < bandwidth < np.inf:
        raise BadInput("bandwidth", "more than 0", f"{bandwidth!r}")
    first = pits.first
    sigma = bandwidth or choose_bandwidth(pits.x[first], pits.y[first], window.seen, window.grid)
    chosen = window.coarsened(sigma)
    smoother = Smoother(chosen.seen, chosen.grid)
    counts = bin_points(pits.x, pits.y, chosen.grid)
    kernel, value, unit = _estimates(pits, counts, smoother, sigma, adaptive=adaptive)
    low, high = rate_interval(value, unit * pits.variance)
    value = np.maximum(value, 0)
    if part_of is not None:
        corrected = part_of.all_pits.of_part(value, low, high)
        is_crowded = part_of.crowded
    else:
        undo = Corrected.of_found if hidden is None else hidden.undo
        corrected = undo(value, low, high)
        is_crowded = _is_crowded(pits, counts, smoother, sigma)
    reason = reasons_of(corrected.known, is_crowded, chosen.seen / chosen.grid.cell_area)
    return DensityMap(
        chosen.grid,
        count_cells(pits, chosen.grid),
        chosen.seen,
        kernel,
        corrected,
        reason,
        sigma,
        adaptive,
        pits.variance,
    )


def reasons_of(known: Bools, is_crowded: Bools, seen: Floats) -> Reasons:
    """Return why cells are not valid, as indices in ``REASONS``.

    Parameters
    ----------
    known : whether the density follows from that of the found pits.
    is_crowded : whether it is too crowded for the finder.
    seen : seen share of each cell.
    """
    reason = np.where(known, 0, _HIDDEN).astype(np.uint8)
    reason[is_crowded] = _CROWDED
    reason[~(seen >= _LEAST_SEEN)] = _NOT_SEEN
    return reason


def _estimates(
    pits: PitPoints, counts: Floats, smoother: Smoother, sigma: float, *, adaptive: bool
) -> tuple[Floats, Floats, Floats]:
    """Return the density by the kernel, that without bias, and the variance of it per density."""
    if not adaptive or not len(pits):
        kernel = smoother.density(counts, sigma)
        return kernel, corrected_density(counts, smoother, sigma), error_unit(smoother, sigma)
    pilot = np.nan_to_num(smoother.density(counts, _PILOT * sigma))
    at = sample_points(pilot, pits.x, pits.y, smoother.grid)
    return varying_density(counts, abramson_widths(pilot, at, sigma), smoother)


def _is_crowded(pits: PitPoints, counts: Floats, smoother: Smoother, sigma: float) -> Bools:
    """Return where most pits have the flag of the finder that it was too crowded."""
    if not pits.crowded.any():
        return np.zeros(counts.shape, bool)
    flagged = bin_points(pits.x[pits.crowded], pits.y[pits.crowded], smoother.grid)
    most = CROWDED_SHARE * smoother.smooth(counts, sigma)
    return np.asarray(smoother.smooth(flagged, sigma) > most)


def count_cells(pits: PitPoints, grid: MapGrid) -> Ints:
    """Return how many pits have their centre in each cell, (rows, columns) int64."""
    rows, columns = grid.shape
    column = np.floor((pits.x - grid.x0) / grid.step + 0.5).astype(np.int64)
    row = np.floor((pits.y - grid.y0) / grid.step + 0.5).astype(np.int64)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    cell = row[inside] * columns + column[inside]
    return np.asarray(np.bincount(cell, minlength=rows * columns).reshape(grid.shape))


def integrate(one: DensityMap, where: Bools | None = None) -> Integral:
    """Return the number of pits in the valid cells of a map, or in some of them.

    The found particles have the exact interval of their number (Garwood 1936), to which the error
    of the correction for hidden pits is added in quadrature.

    Parameters
    ----------
    where : (rows, columns) bool.
    """
    used = one.valid if where is None else one.valid & where
    found = int(one.count[used].sum())
    mean, less, more = (
        float((one.count * factor)[used].sum()) / found if found else 1.0
        for factor in one.all_pits.factor
    )
    value = found * mean
    number, scale = found / one.variance, mean * one.variance
    low = scale * float(gammaincinv(number, 0.025)) if found else 0.0
    high = scale * float(gammaincinv(number + 1, 0.975))
    return Integral(
        found,
        value,
        max(value - float(np.hypot(value - low, found * (mean - less))), 0.0),
        value + float(np.hypot(high - value, found * (more - mean))),
        float(one.seen[used].sum()),
    )
