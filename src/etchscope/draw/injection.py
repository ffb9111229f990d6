"""Efficiency for injected signal: against density, size and angle, and as a map of the foil."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from etchscope.background.report import InjectionReport
from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import GUIDE, RC, SERIES_COLOURS

__all__ = ["draw_injection", "draw_injection_map"]

_AXES = {
    "density_per_mm2": "pits per mm²",
    "radius_px": "radius of the entry pit / px",
    "dip_deg": "dip / °",
    "drawn_v": "etch ratio V",
    "z_over_beta": "Z/β",
    "x_mm": "x / mm",
}
_TOO_FEW = "too few particles\nto know it in bins:\ninject into more tiles"


@mpl.rc_context(RC)
def draw_injection(report: InjectionReport) -> Figure:
    """Return the efficiency of each stage in bins of what the injected particles are.

    Points stand at the middle of their bins, bars are 95 % intervals; bins with too few particles
    are left out.
    """
    one = report.efficiency()
    percent = f"{100 * one.value:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}]"
    what = f"{percent} {report.stage}" if one.valid else f"not known ({one.why})"
    figure = make_figure(10.5, 6.2, f"Efficiency for injected signal: {what}")
    axes, table = figure.subplots(2, 3, sharey=True).ravel(), report.table
    for ax, (axis, label) in zip(axes, _AXES.items(), strict=True):
        for stage, colour in zip(report.reached.columns, SERIES_COLOURS, strict=False):
            own = table[(table["axis"] == axis) & (table["stage"] == stage) & table["valid"]]
            _points(ax, own, colour, str(stage))
        if not (table["valid"] & (table["axis"] == axis)).any():
            ax.text(0.5, 0.5, _TOO_FEW, ha="center", va="center", transform=ax.transAxes)
            ax.set_xticks([])
        ax.set(xlabel=label, ylim=(-0.02, 1.04))
        ax.grid(True)
    axes[0].set_ylabel("efficiency")
    axes[3].set_ylabel("efficiency")
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower left", ncols=3)
    return figure


def _points(ax: Any, bins: pd.DataFrame, colour: str, name: str) -> None:
    middle = (bins["bin_low"] + bins["bin_high"]).to_numpy(float) / 2
    half = (bins["bin_high"] - bins["bin_low"]).to_numpy(float) / 2
    value = bins["value"].to_numpy(float)
    error = np.abs([value - bins["low"].to_numpy(float), bins["high"].to_numpy(float) - value])
    style: Any = {"fmt": "o", "ms": 4, "lw": 1.4, "color": colour, "label": name}
    ax.errorbar(middle, value, yerr=error, xerr=half, **style)


@mpl.rc_context(RC)
def draw_injection_map(report: InjectionReport) -> Figure:
    """Return a map of the foil: each injected particle, and whether it reached the last stage."""
    figure = make_figure(7.6, 6.0, f"Injected particles that were {report.stage}")
    ax = figure.add_subplot()
    hit = report.reached[report.stage].to_numpy(bool)
    x, y = (report.particles[c].to_numpy(float) for c in ("x_mm", "y_mm"))
    for which, colour, name in (
        (hit, SERIES_COLOURS[0], report.stage),
        (~hit, SERIES_COLOURS[1], "lost"),
    ):
        label = f"{name}: {int(which.sum())}"
        ax.plot(x[which], y[which], ls="none", marker="o", ms=3.5, color=colour, label=label)
    ax.axhline(0, **GUIDE)
    ax.axvline(0, **GUIDE)
    ax.set(xlabel="x / mm", ylabel="y / mm", aspect="equal")
    figure.legend(loc="outside lower left", ncols=2)
    return figure
