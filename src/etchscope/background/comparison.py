"""Two density maps of one area compared: ratio and significance in every cell."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, xlogy

from etchscope.background.bandwidth import choose_bandwidth
from etchscope.background.density_maps import DensityMap, PitPoints, Window, map_density
from etchscope.background.grid import sample_points
from etchscope.background.hidden import EfficiencyCurve, HiddenPits
from etchscope.background.kernel_density import Smoother, error_unit
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats

__all__ = ["Comparison", "compare_densities"]


@dataclass(frozen=True)
class Comparison:
    """Two maps over the area that both show, and their ratio; all arrays are (rows, columns).

    Parameters
    ----------
    one, other : the maps, on one grid and with one bandwidth.
    ratio, low, high : density of ``one`` over that of ``other`` and its 95 % interval at each
        place; the upper end is infinite where the other has no pits.
    significance : of a difference at this place alone, in standard deviations, positive where
        ``one`` is denser.
    """

    one: DensityMap
    other: DensityMap
    ratio: Floats
    low: Floats
    high: Floats
    significance: Floats

    @property
    def valid(self) -> Bools:
        """Where both densities are known."""
        return self.one.valid & self.other.valid


def compare_densities(
    one: tuple[PitPoints, Window, HiddenPits | EfficiencyCurve | None],
    other: tuple[PitPoints, Window, HiddenPits | EfficiencyCurve | None],
    *,
    bandwidth: float | None = None,
    part_of: Comparison | None = None,
) -> Comparison:
    """Return how the density of pits of one scan compares with that of another.

    Only the area that both show counts: the smaller of the two seen areas of each cell. Given the
    sum of two Poisson numbers, one of them is binomial, which gives the interval of the ratio
    (Przyborowski & Wilenski, Biometrika 31 (1940) 313) and, as the likelihood ratio of Li & Ma
    (Astrophys. J. 272 (1983) 317, eq. 17), the significance. A number is the density over its
    variance per density, as in ``rate_interval``.

    Parameters
    ----------
    one, other : pits, window and how hidden pits are counted; both windows on one grid.
    bandwidth : in the grid's unit; that of all pits together unless given.
    part_of : the comparison of all pits with the same bandwidth, where these are a part of them,
        see ``map_density``.

    Raises
    ------
    BadInput : the grids differ, nothing is seen by both, or see ``map_density``.
    """
    grid = one[1].grid
    if other[1].grid != grid:
        raise BadInput("windows", "one grid", "two")
    window = Window(np.minimum(one[1].seen, other[1].seen), grid)
    if not window.area > 0:
        raise BadInput("comparison", "an area that both scans show", "none")
    inside = [_within(side[0], side[1], window) for side in (one, other)]
    if bandwidth is None:
        x, y = (np.concatenate([getattr(p, v)[p.first] for p in inside]) for v in ("x", "y"))
        bandwidth = choose_bandwidth(x, y, window.seen, grid)
    wholes = (None, None) if part_of is None else (part_of.one, part_of.other)
    here, there = (
        map_density(pits, window, bandwidth=bandwidth, hidden=side[2], part_of=whole)
        for pits, side, whole in zip(inside, (one, other), wholes, strict=True)
    )
    unit = error_unit(Smoother(here.seen, here.grid), bandwidth)
    factors = [m.all_pits.factor[0] for m in (here, there)]
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = here.found / unit / here.variance, there.found / unit / there.variance
        scale = factors[0] / factors[1] * (here.variance / there.variance)
        ratio = scale * a / b
    low, high = _ratio_interval(a, b)
    significance = _significance(a, b, scale)
    return Comparison(here, there, ratio, scale * low, scale * high, significance)


def _within(pits: PitPoints, own: Window, common: Window) -> PitPoints:
    """Return the pits of a scan that lie in the area that another one has seen, too."""
    seen, both = (sample_points(w.seen, pits.x, pits.y, w.grid) for w in (own, common))
    return pits.take(both > 0.5 * seen)


def _ratio_interval(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return the 95 % interval of the ratio of two Poisson means, from their numbers."""
    rest_a, rest_b = 0.5 * np.exp(-a), 0.5 * np.exp(-b)
    less = betaincinv(np.maximum(a + 0.5 - rest_a, 1e-12), b + 0.5 + rest_b, 0.025)
    more = betaincinv(a + 0.5 + rest_a, np.maximum(b + 0.5 - rest_b, 1e-12), 0.975)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(a > 0, less / (1 - less), 0.0)
        high = np.where(b > 0, more / (1 - more), np.inf)
    return low, high


def _significance(a: Floats, b: Floats, scale: Floats) -> Floats:
    """Return the signed root of twice the log likelihood ratio against equal densities.

    The ratio of the densities is ``scale`` times that of the numbers, so of equal densities the
    share 1 / (1 + scale) of all numbers is expected in ``a``.
    """
    total = np.maximum(a + b, 1e-300)
    share = 1 / (1 + scale)
    log = xlogy(a, a / (total * share)) + xlogy(b, b / (total * (1 - share)))
    return np.asarray(np.sign(scale * a - b) * np.sqrt(2 * np.maximum(log, 0)))
