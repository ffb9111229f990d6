"""The density of points by a Gaussian kernel, divided by the kernel's mass over the seen area.

λ(u) = Σ k(u − xᵢ) / e(u) with e(u) = ∫ k(u − v) dv over the seen area (uniform correction:
P. Diggle, Appl. Stat. 34 (1985) 138), as ``density.ppp`` of spatstat has it (Baddeley, Rubak &
Turner, Spatial Point Patterns, 2015, ch. 6.5). Where the density is constant its expectation is the
density, also at rims and beside holes.

Counts and seen area are binned on one grid, which adds step² / 4 to the variance of the kernel; the
kernel is narrowed by as much. Its tails beyond 6 bandwidths are left out (10⁻⁸).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.special import gammaincinv

from etchscope.background.grid import MapGrid
from etchscope.foil.types import Floats

__all__ = [
    "BINNED",
    "CELLS_PER_BANDWIDTH",
    "Smoother",
    "corrected_density",
    "error_unit",
    "gaussian_taps",
    "kernel_density",
    "rate_interval",
]

CELLS_PER_BANDWIDTH = 4
"""Cells along one bandwidth; with more of them nothing changes by more than 10⁻⁴."""
_TAIL = 6.0
BINNED = 1 / 4
"""Variance that ``bin_points`` adds, in cells squared."""
_WIDE = float(np.sqrt(2))
"""Width of the second kernel of ``corrected_density``, in units of the first."""
_LEAST_MASS = 1e-9


def gaussian_taps(variance: float) -> Floats:
    """Return a sampled Gaussian with a variance in cells squared, of sum 1, (2 n + 1,)."""
    sigma = float(np.sqrt(max(variance, 1e-12)))
    reach = max(int(np.ceil(_TAIL * sigma)), 1)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(taps / taps.sum())


@dataclass(frozen=True)
class Smoother:
    """Gaussian means over a seen area, each computed once.

    Parameters
    ----------
    seen : (rows, columns) seen area in each cell, binned, in the grid's unit squared.
    grid : of the cells.
    """

    seen: Floats
    grid: MapGrid

    def __post_init__(self) -> None:
        object.__setattr__(self, "_masses", {})

    def smooth(self, values: Floats, sigma: float) -> Floats:
        """Return the sum of the kernel times values that were binned, (rows, columns).

        Parameters
        ----------
        values : (rows, columns) in each cell.
        sigma : standard deviation of the kernel, in the grid's unit.
        """
        taps = gaussian_taps((sigma / self.grid.step) ** 2 - BINNED)
        image: Any = np.ascontiguousarray(values, np.float64)
        out = cv2.sepFilter2D(image, cv2.CV_64F, taps, taps, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(out / self.grid.cell_area)

    def mass(self, sigma: float) -> Floats:
        """Return the kernel's mass over the seen area around each cell, (rows, columns), 0 to 1."""
        known: dict[float, Floats] = getattr(self, "_masses")  # noqa: B009 - a frozen dataclass
        if sigma not in known:
            known[sigma] = self.smooth(self.seen, sigma)
        return known[sigma]

    def density(self, counts: Floats, sigma: float) -> Floats:
        """Return the density, (rows, columns) per unit squared; nan where nothing near is seen."""
        mass = self.mass(sigma)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(mass > _LEAST_MASS, self.smooth(counts, sigma) / mass, np.nan)

    def product(self, one: float, other: float) -> Floats:
        """Return the integral of two corrected kernels' product over the seen area, per cell.

        It is the covariance of the two density estimates, per density.
        """
        total = one**2 + other**2
        overlap = self.smooth(self.seen, one * other / np.sqrt(total)) / (2 * np.pi * total)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(overlap / (self.mass(one) * self.mass(other)))


def kernel_density(counts: Floats, seen: Floats, grid: MapGrid, sigma: float) -> Floats:
    """Return the density of points, (rows, columns) float64 per unit squared.

    Parameters
    ----------
    counts : (rows, columns) points, see ``bin_points``.
    seen : (rows, columns) seen area in each cell, in the grid's unit squared.
    sigma : bandwidth, the standard deviation of the kernel; at least two cells.

    Returns
    -------
    (rows, columns); nan where nothing is seen within six bandwidths.
    """
    return Smoother(seen, grid).density(counts, sigma)


def corrected_density(counts: Floats, smoother: Smoother, sigma: float) -> Floats:
    """Return the density without the leading bias of the kernel, (rows, columns).

    It is 2 λ_σ − λ_√2σ, in which the terms in σ² of the bias cancel (generalised jackknife:
    Schucany & Sommers, J. Am. Stat. Assoc. 72 (1977) 420). It varies more, see ``error_unit``.
    Intervals around it cover the true density where those around λ_σ do not (Calonico, Cattaneo &
    Farrell, J. Am. Stat. Assoc. 113 (2018) 767). It may be negative.
    """
    return 2 * smoother.density(counts, sigma) - smoother.density(counts, _WIDE * sigma)


def error_unit(smoother: Smoother, sigma: float) -> Floats:
    """Return the variance of ``corrected_density`` for Poisson points per density, (rows, columns).

    Its inverse is the area from which a density comes that has the same error.
    """
    wide = _WIDE * sigma
    parts: Sequence[tuple[float, Floats]] = (
        (4.0, smoother.product(sigma, sigma)),
        (-4.0, smoother.product(sigma, wide)),
        (1.0, smoother.product(wide, wide)),
    )
    return np.asarray(sum(factor * part for factor, part in parts))


def rate_interval(value: Floats, unit: Floats, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Return the interval of densities from their Poisson errors.

    A density of variance ``unit`` times itself behaves as N / area with N = value / unit events.
    The interval is that of N with shape N + ½, which is right on average over N, and exact for
    N = 0 (Garwood 1936).

    Parameters
    ----------
    value : densities; negative ones count as 0.
    unit : variance per density, see ``error_unit``.
    confidence : in (0, 1).

    Returns
    -------
    Lower and upper ends, in the shape of ``value``.
    """
    tail = (1 - confidence) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        # Far from all that was seen, rounding may leave no positive variance.
        number = np.where(unit > 0, np.maximum(value, 0) / unit, np.nan)
    rest = 0.5 * np.exp(-number)
    low = np.where(number > 0, gammaincinv(np.maximum(number + 0.5 - rest, 1e-12), tail), 0.0)
    high = gammaincinv(number + 0.5 + rest, 1 - tail)
    return low * unit, high * unit
