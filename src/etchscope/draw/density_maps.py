"""Density maps of a scan: the density, how well it is known, and how two scans compare."""

import math
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from etchscope.background.comparison import Comparison
from etchscope.background.density_maps import REASONS, DensityMap
from etchscope.background.grid import MapGrid
from etchscope.background.map_tables import MapUnits
from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import RC
from etchscope.foil.types import Bools, Floats

__all__ = ["draw_comparison", "draw_density_map"]

_LOG_FROM = 4.0
"""Ratio of the greatest to the least density from which colours are logarithmic."""
_LOWEST, _MOST_SPAN = 0.02, 300.0
"""Quantile of the densities at which logarithmic colours begin, and their greatest ratio."""
_HATCHES = ("", "", "xxx", "///")
_SIGMAS = 5.0
_MOST_RATIO = 10.0


@mpl.rc_context(RC)
def draw_density_map(one: DensityMap, units: MapUnits, title: str) -> Figure:
    """Return the density in each cell, and beside it half the width of its 95 % interval.

    Cells that are not valid are grey: plain where nothing was seen, hatched where the density is
    not known.

    Parameters
    ----------
    title : of the figure, above both maps.
    """
    figure = _make_figure(one.grid, title)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    per = 1 / units.per_grid
    value = np.where(one.valid, one.all_pits.value * per, np.nan)
    half = np.where(one.valid, (one.all_pits.high - one.all_pits.low) / 2 * per, np.nan)
    for ax, values, what in (
        (left, value, "density"),
        (right, half, "± of its 95 % interval"),
    ):
        _show(figure, ax, one.grid, values, f"{what} ({units.density})", _norm(values), "cividis")
        _hatch(ax, one.grid, one.reason)
        _label(ax, units)
    right.set_ylabel("")
    _legend(figure, one.reason)
    return figure


@mpl.rc_context(RC)
def draw_comparison(
    both: Comparison, units: MapUnits, names: tuple[str, str], title: str
) -> Figure:
    """Return the ratio of two densities in each cell, and beside it its significance.

    Parameters
    ----------
    names : of the two scans.
    title : of the figure, above both maps.
    """
    figure = _make_figure(both.one.grid, title)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    valid = both.valid
    ratio = np.where(valid, both.ratio, np.nan)
    known = ratio[np.isfinite(ratio) & (ratio > 0)]
    most = float(np.clip(np.exp(abs(np.log(known)).max()), 1.2, _MOST_RATIO)) if len(known) else 2
    shown = np.where(np.isnan(ratio), np.nan, np.clip(ratio, 1 / most, most))
    label = f"density of {names[0]} / {names[1]}"
    _show(figure, left, both.one.grid, shown, label, LogNorm(1 / most, most), "PuOr_r")
    sigmas = np.where(valid, np.clip(both.significance, -_SIGMAS, _SIGMAS), np.nan)
    scale = Normalize(-_SIGMAS, _SIGMAS)
    _show(figure, right, both.one.grid, sigmas, "significance here (σ)", scale, "PuOr_r")
    reason = np.where(both.one.reason > 0, both.one.reason, both.other.reason)
    for ax in (left, right):
        _hatch(ax, both.one.grid, reason)
        _label(ax, units)
    right.set_ylabel("")
    _legend(figure, reason)
    return figure


def _make_figure(grid: MapGrid, title: str) -> Figure:
    rows, columns = grid.shape
    height = min(max(5.2 * rows / columns + 1.6, 3.2), 12.0)
    return make_figure(13.0, height, title)


def _extent(grid: MapGrid) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of the first row and column of the figure."""
    half = grid.step / 2
    x0, x1 = grid.x0 - half, grid.x0 + grid.step * (grid.shape[1] - 0.5)
    y0, y1 = grid.y0 - half, grid.y0 + grid.step * (grid.shape[0] - 0.5)
    return (x0, x1, y0, y1)


def _norm(values: Floats) -> Normalize:
    """Return logarithmic colours where the values span a large ratio."""
    known = values[np.isfinite(values)]
    if not len(known) or known.max() <= 0:
        return Normalize(0, 1)
    positive, high = known[known > 0], float(known.max())
    low = max(float(np.quantile(positive, _LOWEST)), high / _MOST_SPAN)
    if high > _LOG_FROM * low:
        return LogNorm(low, high)
    return Normalize(0, high)


def _show(
    figure: Figure, ax: Axes, grid: MapGrid, values: Floats, label: str, norm: Normalize, cmap: str
) -> None:
    colours = mpl.colormaps[cmap].with_extremes(bad="#eeeeee")
    ax.set_facecolor("#eeeeee")
    least = float(norm.vmin or 0)
    below = np.isfinite(values) & (values < least)
    image = ax.imshow(
        np.ma.masked_invalid(np.where(below, least, values)),
        origin="lower",
        extent=_extent(grid),
        norm=norm,
        cmap=colours,
        interpolation="nearest",
    )
    extend = "min" if below.any() else "neither"
    bar = figure.colorbar(image, ax=ax, shrink=0.85, pad=0.02, extend=extend)
    bar.set_label(label)
    if isinstance(norm, LogNorm):
        ticks = _ticks(float(norm.vmin or 1), float(norm.vmax or 10))
        bar.set_ticks(ticks, minor=False)
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.4g}"))
        bar.ax.yaxis.set_minor_formatter("")


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10, … within a logarithmic scale; its ends if there are fewer than two."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]
    return ticks if len(ticks) > 1 else [low, high]


def _hatch(ax: Axes, grid: MapGrid, reason: Any) -> None:
    """Hatch the cells whose density is not known, by the reason."""
    for kind in (2, 3):
        where: Bools = reason == kind
        if where.any():
            padded = np.pad(where.astype(float), 1)
            x, y = (
                np.concatenate([[c[0] - grid.step], c, [c[-1] + grid.step]])
                for c in (grid.x, grid.y)
            )
            ax.contourf(x, y, padded, levels=[0.5, 1.5], colors="none", hatches=[_HATCHES[kind]])


def _label(ax: Axes, units: MapUnits) -> None:
    if units.length == "mm":
        ax.set(xlabel="x (mm)", ylabel="y (mm)")
    elif units.length == "px":
        ax.set(xlabel="x (px)", ylabel="y (px, down)")
    else:
        ax.set(xlabel="column of the grid of tiles", ylabel="row, down")
    if units.length != "mm":
        ax.invert_yaxis()


def _legend(figure: Figure, reason: Any) -> None:
    handles = [
        Patch(fc="#eeeeee", ec="#888888", hatch=_HATCHES[k], label=REASONS[k])
        for k in (1, 2, 3)
        if (reason == k).any()
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
