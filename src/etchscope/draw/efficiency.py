"""Efficiency of a cut against false positives, and against false candidates per tile.

Matplotlib makes some ticks only when it draws. So a figure must also be saved inside
``matplotlib.rc_context(RC)``, as ``encode_figure`` does.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import GUIDE, RC
from etchscope.draw.tables import style_curves
from etchscope.foil import BadInput

__all__ = ["draw_froc", "draw_roc"]

_LEAST_RATE = 1e-4


@mpl.rc_context(RC)
def draw_roc(
    curves: Mapping[str, pd.DataFrame], *, title: str = "Efficiency against false positives"
) -> Figure:
    """Return efficiency against the false-positive rate from 1e-4 on, with bands of intervals.

    Lines are steps: the efficiency at a rate is that of the last point that does not exceed it.
    Points below 1e-4 stand at the left edge. The dashed line is chance, where both are equal.

    Parameters
    ----------
    curves : name → columns ``false_positive_rate, efficiency, low, high``, each in [0, 1], in any
        order; ``low`` and ``high`` are the interval of the efficiency, NaN for no interval.

    Raises
    ------
    BadInput : there is no curve, a curve has no row or lacks a column, or values are out of [0, 1].
    """
    figure = make_figure(7.6, 5.4, title)
    ax = figure.add_subplot()
    columns = ("false_positive_rate", "efficiency", "low", "high")
    for name, table, colour, dashes in style_curves(curves, columns, "curve"):
        _in_range(table, f"curve {name}", 1.0)
        _step_band(ax, table, _LEAST_RATE, name, colour, dashes)
    rate = np.geomspace(_LEAST_RATE, 1, 200)
    ax.plot(rate, rate, ls="--", label="chance", zorder=1, **GUIDE)
    ax.set(xscale="log", xlim=(_LEAST_RATE, 1), ylim=(0, 1.01))
    ax.set(xlabel="false-positive rate", ylabel="signal efficiency")
    ax.grid(True)
    _legend(figure, ax)
    return figure


@mpl.rc_context(RC)
def draw_froc(
    curves: Mapping[str, pd.DataFrame],
    *,
    tile_cm2: float | None = None,
    working_point: tuple[float, float] | None = None,
    title: str = "Efficiency against false candidates",
) -> Figure:
    """Return efficiency against false candidates per tile, with intervals and chance levels.

    Lines are steps as in ``draw_roc``. The axis is logarithmic; the efficiency without any false
    candidate stands at its left edge, which is half of the least rate above zero.

    Parameters
    ----------
    curves : name → columns ``false_per_tile, efficiency, low, high, chance``; the rate is 0 or
        more, the others are in [0, 1] or NaN; ``chance``, dotted, is the efficiency of the same
        list by local shifts.
    tile_cm2 : area of a tile, for a second axis in candidates per cm².
    working_point : (false_per_tile, efficiency) of a mark.

    Raises
    ------
    BadInput : see ``draw_roc``; or the area is not above zero.
    """
    if tile_cm2 is not None and not (np.isfinite(tile_cm2) and tile_cm2 > 0):
        raise BadInput("tile_cm2", "an area above 0 cm²", f"{tile_cm2}")
    columns = ("false_per_tile", "efficiency", "low", "high", "chance")
    drawn = list(style_curves(curves, columns, "curve"))
    for name, table, _, _ in drawn:
        _in_range(table, f"curve {name}", np.inf)
    rates = np.concatenate([t["false_per_tile"].to_numpy(float) for _, t, _, _ in drawn])
    above = rates[np.isfinite(rates) & (rates > 0)]
    least, most = (above.min() / 2, above.max() * 1.1) if above.size else (0.01, 1.0)
    figure = make_figure(7.6, 5.6, title)
    ax = figure.add_subplot()
    ax.set(xscale="log", xlim=(least, most), ylim=(0, 1.01))
    ax.set(xlabel="false candidates per tile", ylabel="signal efficiency")
    for name, table, colour, dashes in drawn:
        steps = _step_band(ax, table, least, name, colour, dashes)
        rate, chance = (steps[c].to_numpy(float) for c in ("false_per_tile", "chance"))
        ax.plot(rate, chance, ls=":", color=colour, lw=1.8, drawstyle="steps-post", zorder=1)
    ax.plot([], [], ls=":", label="chance by local shifts, in the colour of its list", **GUIDE)
    if working_point is not None:
        x, y = max(working_point[0], least), working_point[1]
        label = f"working point: {100 * y:.1f} % at {working_point[0]:.3g} per tile"
        style: dict[str, Any] = {"mfc": "white", "mec": "black", "mew": 1.4, "zorder": 5}
        ax.plot([x], [y], ls="none", marker="D", ms=9, label=label, clip_on=False, **style)
    if tile_cm2 is not None:
        area = tile_cm2
        scale = (lambda v: v / area, lambda v: v * area)
        ax.secondary_xaxis("top", functions=scale).set_xlabel("false candidates per cm²")
    ax.grid(True)
    _legend(figure, ax)
    return figure


def _in_range(table: pd.DataFrame, where: str, most_rate: float) -> None:
    """Raise ``BadInput`` for a rate that is NaN or out of [0, most], or a share out of [0, 1]."""
    rate, shares = table.iloc[:, 0].to_numpy(float), table.iloc[:, 1:].to_numpy(float)
    if not ((rate >= 0) & (rate <= most_rate) & np.isfinite(rate)).all():
        raise BadInput(f"{where}: {table.columns[0]}", f"0 to {most_rate:g}", "other values")
    if ((shares < 0) | (shares > 1)).any():
        raise BadInput(f"{where}: {', '.join(table.columns[1:])}", "0 to 1", "other values")


def _step_band(
    ax: Axes, table: pd.DataFrame, least: float, name: str, colour: str, dashes: str
) -> pd.DataFrame:
    """Draw a curve as steps from the rate ``least`` on, and return the steps."""
    rate = str(table.columns[0])
    ordered = table.sort_values([rate, "efficiency"], kind="stable", ignore_index=True)
    before = int((ordered[rate] <= least).sum())
    steps = ordered.iloc[max(before - 1, 0) :].assign(**{rate: lambda t: t[rate].clip(least)})
    x, y, low, high = (steps[c].to_numpy(float) for c in (rate, "efficiency", "low", "high"))
    ax.fill_between(x, low, high, step="post", color=colour, alpha=0.16, lw=0)
    ax.plot(x, y, dashes, color=colour, lw=2, drawstyle="steps-post", label=name)
    return steps


def _legend(figure: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    longest = max(len(label) for label in labels)
    columns = int(np.clip(88 // (longest + 6), 1, len(labels)))
    figure.legend(handles, labels, loc="outside lower left", ncols=columns)
