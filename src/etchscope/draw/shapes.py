"""Shapes of openings by surface: radius, ellipticity, orientation and contrast."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import COLOURS, RC
from etchscope.draw.surfaces import add_surface_legend
from etchscope.draw.tables import split_by_surface

__all__ = ["draw_shapes"]


@mpl.rc_context(RC)
def draw_shapes(pits: pd.DataFrame, pixel_size_um: float | None, title: str) -> Figure:
    """Return histograms of radius, ellipticity, orientation and contrast, by surface.

    Parameters
    ----------
    pits : a pit table.
    pixel_size_um : for an axis in µm; None for an unknown scale.
    title : of the figure.
    """
    figure = make_figure(12.5, 7.2, title)
    groups = {name: rows for name, rows in split_by_surface(pits).items() if len(rows)}
    grid = figure.add_gridspec(2, 2)
    radius = figure.add_subplot(grid[0, 0])
    _steps(radius, groups, "radius_px", "radius of the opening (px)")
    if pixel_size_um is not None:
        radius.secondary_xaxis("top", functions=_both_ways(pixel_size_um)).set_xlabel("(µm)")
    _steps(figure.add_subplot(grid[0, 1]), groups, "ellipticity", "ellipticity 1 − b/a", (0, 1))
    _steps(
        figure.add_subplot(grid[1, 0]), groups, "contrast", "contrast: mean shading of the walls"
    )
    _roses(figure.add_subplot(grid[1, 1], projection="polar"), groups)
    add_surface_legend(figure, {name: f"{name} ({len(rows):,})" for name, rows in groups.items()})
    return figure


def _both_ways(factor: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    return (lambda v: v * factor), (lambda v: v / factor)


def _roses(ax: Any, groups: dict[str, pd.DataFrame]) -> None:
    edges = np.linspace(0, 180, 25)
    for name, rows in groups.items():
        # A round opening has no long axis.
        long = rows.loc[rows["ellipticity"] > 0.1, "angle_deg"].dropna()
        count = np.histogram(long, edges)[0]
        both = np.concatenate([count, count])
        theta = np.deg2rad(np.concatenate([edges[:-1], edges[:-1] + 180]) + 3.75)
        ax.plot(np.append(theta, theta[0]), np.append(both, both[0]), color=COLOURS[name], lw=1.6)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.set_rlabel_position(67.5)
    ax.set_xlabel("long axis, counter-clockwise from +x (deg), pits; ellipticity > 0.1")


def _steps(
    ax: Axes,
    groups: dict[str, pd.DataFrame],
    column: str,
    label: str,
    limits: tuple[float, float] | None = None,
) -> None:
    values = {name: rows[column].dropna().to_numpy(float) for name, rows in groups.items()}
    pooled = np.concatenate([*values.values(), np.zeros(0)])
    if limits is None:
        low, high = np.percentile(pooled, [0.1, 99.9]) if pooled.size else (0.0, 1.0)
        limits = (low, high) if high > low else (low - 0.5, low + 0.5)
    edges = np.linspace(*limits, 51)
    for name, own in values.items():
        ax.hist(np.clip(own, *limits), edges.tolist(), histtype="step", color=COLOURS[name], lw=1.6)
    ax.set(xlabel=label, ylabel="pits per bin", xlim=limits)
    ax.grid(True, axis="y")
