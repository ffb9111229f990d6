"""Residuals of matched pits of two lists, against each coordinate and over the foil."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import binned_statistic, binned_statistic_2d

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import RC, SERIES_COLOURS
from etchscope.draw.tables import require_columns
from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["draw_residual_map", "draw_residuals"]

_BINS = 20
_FEW = 3  # matches in a bin or cell, below which it is left empty
_SCARCE = 300  # matches, below which their dots are larger
_PER_CELL = 6  # mean number of matches in a cell of the map


@mpl.rc_context(RC)
def draw_residuals(pairs: pd.DataFrame, *, unit: str = "µm", title: str = "") -> Figure:
    """Return the residuals dx and dy against x and y, with the median and its spread in bins.

    Parameters
    ----------
    pairs : ``x_mm, y_mm, dx_mm, dy_mm``, one row per match.
    unit : of the residuals, as the axes name it.
    title : by default states the number of matches and their median distance.

    Raises
    ------
    BadInput : a column is missing, or there is no match.
    """
    shown = require_columns(pairs, ["x_mm", "y_mm", "dx_mm", "dy_mm"], "matches")
    um = shown[["dx_mm", "dy_mm"]].to_numpy(float) * 1000
    apart = np.hypot(um[:, 0], um[:, 1])
    counts = f"{len(shown):,} matches, half of them nearer than {np.median(apart):.1f} {unit}"
    figure = make_figure(9.6, 6.6, title or counts)
    axes = figure.subplots(2, 2, sharey=True, sharex="col")
    # The axes hold 98 % of the residuals; the few others, of cut openings, would compress them.
    reach = float(np.clip(np.quantile(apart, 0.98) * 1.15, 2.0, None))
    few = len(shown) < _SCARCE
    dots: dict[str, Any] = {"ms": 6, "alpha": 1.0} if few else {"ms": 2.5, "alpha": 0.6}
    for row, (name, values) in enumerate((("dx", um[:, 0]), ("dy", um[:, 1]))):
        for column, along in enumerate(("x", "y")):
            ax: Axes = axes[row, column]
            at = shown[f"{along}_mm"].to_numpy(float)
            ax.plot(at, values, ".", color="#9BB8CC", mew=0, rasterized=True, **dots)
            ax.axhline(0, color="#777777", lw=1)
            middle, low, high = _running(at, values)
            ax.fill_between(low[0], low[1], high[1], color=SERIES_COLOURS[1], alpha=0.25, lw=0)
            ax.plot(*middle, color=SERIES_COLOURS[1], lw=2, label="median, and half of the matches")
            ax.set_ylim(-reach, reach)
            ax.grid(True)
            if row == 1:
                ax.set_xlabel(f"{along} (mm)")
            if column == 0:
                ax.set_ylabel(f"{name} ({unit})")
    axes[0, 0].legend(loc="upper left")
    beyond = int((np.abs(um).max(axis=1) > reach).sum())
    if beyond:
        text = f"{beyond:,} matches lie beyond these axes"
        figure.text(0.99, 0.985, text, ha="right", va="top", fontsize=9, color="#666666")
    return figure


def _running(at: Floats, values: Floats) -> tuple[Any, Any, Any]:
    """Return (places, median), (places, lower quartile) and (places, upper quartile) in bins."""
    edges = np.linspace(at.min(), at.max() + 1e-9, _BINS + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    out = []
    for q in (50, 25, 75):
        quantile, _, _ = binned_statistic(
            at, values, lambda v, q=q: np.percentile(v, q) if len(v) >= _FEW else np.nan, edges
        )
        out.append((middle, quantile))
    return out[0], out[1], out[2]


@mpl.rc_context(RC)
def draw_residual_map(pairs: pd.DataFrame, *, title: str = "") -> Figure:
    """Return the median residual over the foil as arrows, on a raster of up to 20 × 20 cells.

    Cells hold six or more matches on average; those with fewer than three are left empty.

    Parameters
    ----------
    pairs : ``x_mm, y_mm, dx_mm, dy_mm``, one row per match.
    title : by default states the median over the cells.

    Raises
    ------
    BadInput : a column is missing, or all cells have fewer than three matches.
    """
    shown = require_columns(pairs, ["x_mm", "y_mm", "dx_mm", "dy_mm"], "matches").astype(float)
    x, y = shown["x_mm"].to_numpy(), shown["y_mm"].to_numpy()
    width, height = max(np.ptp(x), 1e-6), max(np.ptp(y), 1e-6)
    across = int(np.clip(np.sqrt(len(x) / _PER_CELL * width / height), 1, _BINS))
    bins = [across, int(np.clip(round(across * height / width), 1, _BINS))]
    medians = []
    for name in ("dx_mm", "dy_mm"):
        median, ex, ey, _ = binned_statistic_2d(
            x, y, 1000 * shown[name], lambda v: np.median(v) if len(v) >= _FEW else np.nan, bins
        )
        medians.append(median)
    length = np.hypot(*medians)
    known = np.isfinite(length)
    if not known.any():
        raise BadInput("matches", f"{_FEW} or more in a cell of the map", "fewer in each")
    typical = float(np.median(length[known]))
    agreement = f"The mosaics agree within {typical:.1f} µm in the median cell"
    figure = make_figure(
        8.2, 6.6 * float(np.clip(height / width, 0.4, 1.3)) + 1.0, title or agreement
    )
    ax = figure.add_subplot()
    mesh = ax.pcolormesh(ex, ey, length.T, cmap="Blues", vmin=0, vmax=np.nanquantile(length, 0.98))
    at_x, at_y = np.meshgrid((ex[:-1] + ex[1:]) / 2, (ey[:-1] + ey[1:]) / 2, indexing="ij")
    scale = 0.8 * (ex[1] - ex[0]) / max(float(np.nanquantile(length, 0.95)), 1e-9)
    ax.quiver(
        at_x[known],
        at_y[known],
        *(m[known] * scale for m in medians),
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.0025,
        color="#222222",
    )
    ax.set(xlabel="x (mm)", ylabel="y (mm)", aspect="equal")
    figure.colorbar(mesh, ax=ax, label="length of the median residual (µm)", shrink=0.8)
    return figure
