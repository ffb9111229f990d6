"""The feature space: entry, exit and hip of every pit."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import COLOURS, RC
from etchscope.draw.surfaces import add_surface_legend
from etchscope.draw.tables import split_by_surface, thin_evenly
from etchscope.foil.types import Floats

__all__ = ["draw_features"]

_POINTS = 20_000
"""Greatest number of points per surface; the legend states that more pits are thinned."""
_RESPONSES = ("entry", "exit", "hip")


@mpl.rc_context(RC)
def draw_features(pits: pd.DataFrame, title: str) -> Figure:
    """Return the 3-D feature space (entry, exit, hip) and its three projections.

    Parameters
    ----------
    pits : a pit table with ``entry, exit, hip``. Entry and exit are log odds if the errors of the
        learned finder are known, else responses in σ; hip is the logarithm of a ratio.
    title : of the figure.
    """
    figure = make_figure(12.5, 8.6, title)
    groups = {name: rows for name, rows in split_by_surface(pits).items() if len(rows)}
    drawn = {name: thin_evenly(rows, _POINTS) for name, rows in groups.items()}
    width = _linear_width(pits)
    grid = figure.add_gridspec(2, 2)
    labels = _label_axes(pits)
    _space(figure.add_subplot(grid[0, 0], projection="3d"), drawn, width, labels)
    for place, (a, b) in zip(
        (grid[0, 1], grid[1, 0], grid[1, 1]),
        (("entry", "exit"), ("entry", "hip"), ("exit", "hip")),
        strict=True,
    ):
        ax = figure.add_subplot(place)
        for name, rows in drawn.items():
            ax.plot(rows[a], rows[b], "o", color=COLOURS[name], ms=_size(drawn), alpha=0.5, mew=0)
        if width is not None:
            ax.set_xscale("asinh", linear_width=width)
            ax.set_yscale("asinh", linear_width=width)
        ax.set(xlabel=labels[a], ylabel=labels[b])
        ax.grid(True)
    legend = {
        name: f"{name} ({len(rows):,}{'' if len(drawn[name]) == len(rows) else ', thinned'})"
        for name, rows in groups.items()
    }
    add_surface_legend(figure, legend)
    return figure


def _label_axes(pits: pd.DataFrame) -> dict[str, str]:
    """Return column → label of its axis. Only the learned finder states errors of the places."""
    unit = "log odds" if pits["x_px_err"].notna().any() else "σ"
    return {"entry": f"entry ({unit})", "exit": f"exit ({unit})", "hip": "hip (log ratio)"}


def _space(
    ax: Any, drawn: dict[str, pd.DataFrame], width: float | None, labels: dict[str, str]
) -> None:
    """Draw the 3-D scatter plot; a wide range is drawn as asinh, with ticks of the values."""
    scale = 1.0 if width is None else width
    for name, rows in drawn.items():
        xyz = rows[list(_RESPONSES)].to_numpy(float)
        x, y, z = (xyz if width is None else np.arcsinh(xyz / scale)).T
        ax.scatter(x, y, z, s=_size(drawn) ** 2, color=COLOURS[name], alpha=0.5, lw=0)
    if width is not None:
        values = np.concatenate(
            [r[list(_RESPONSES)].to_numpy(float).ravel() for r in drawn.values()]
        )
        top = float(np.nanmax(values))
        ticks = [v for v in (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000) if v <= top]
        formatter = FuncFormatter(lambda value, _: f"{np.sinh(value) * scale:.0f}")
        for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
            axis.set_ticks(np.arcsinh(np.array(ticks) / scale))
            axis.set_major_formatter(formatter)
    ax.set(xlabel=labels["entry"], ylabel=labels["exit"], zlabel=labels["hip"])
    ax.view_init(elev=22, azim=40)
    ax.set_box_aspect(None, zoom=1.1)


def _linear_width(pits: pd.DataFrame) -> float | None:
    """Return the asinh width for a wide range of responses; None if linear axes suffice."""
    values: Floats = pits[list(_RESPONSES)].to_numpy(float).ravel()
    values = np.abs(values[np.isfinite(values)])
    if not values.size:
        return None
    middle, top = np.percentile(values, [50, 99.9])
    return float(max(middle, 1.0)) if top > 10 * max(middle, 1.0) else None


def _size(drawn: dict[str, pd.DataFrame]) -> float:
    most = max((len(rows) for rows in drawn.values()), default=1)
    return float(np.clip(110 / np.sqrt(max(most, 1)), 1.5, 5))
