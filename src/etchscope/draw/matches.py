"""Matches of two lists: where points have a partner, and the shares against the tolerance."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import COLOURS, RC
from etchscope.draw.tables import style_curves
from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["draw_matches", "draw_tolerance"]

_MATCH_COLOURS = {"matched": "#BBBBBB", "first": COLOURS["top"], "second": COLOURS["bottom"]}


@mpl.rc_context(RC)
def draw_matches(
    matched: Floats,
    only_first: Floats,
    only_second: Floats,
    *,
    names: tuple[str, str],
    title: str,
    unit: str = "mm",
) -> Figure:
    """Return the map of points in both lists, and of those in one list only.

    Parameters
    ----------
    matched, only_first, only_second : (n, 2) places in one frame, y up.
    names : of the points in one list only, as "missed" and "false".
    title : of the figure.
    unit : of the places.

    Raises
    ------
    BadInput : there is no point.
    """
    parts = (
        (matched, _MATCH_COLOURS["matched"], "o", f"in both ({len(matched):,})"),
        (only_first, _MATCH_COLOURS["first"], "o", f"{names[0]} ({len(only_first):,})"),
        (only_second, _MATCH_COLOURS["second"], "s", f"{names[1]} ({len(only_second):,})"),
    )
    every = np.concatenate([p[0] for p in parts])
    if not len(every):
        raise BadInput("map", "one point or more to draw", "none")
    width, height = np.maximum(np.ptp(every, axis=0), 1e-6)
    figure = make_figure(8.4, 7.6 * float(np.clip(height / width, 0.4, 1.3)) + 1.3, title)
    ax = figure.add_subplot()
    size = 3.4 if len(every) < 8000 else 1.8
    for place, (xy, colour, marker, label) in enumerate(parts):
        small = size * (0.7 if place == 0 else 1.0)
        ax.plot(*xy.T, marker, ms=small, color=colour, mew=0, label=label, rasterized=True)
    ax.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})", aspect="equal")
    figure.legend(loc="outside lower left", ncols=3, markerscale=2)
    return figure


@mpl.rc_context(RC)
def draw_tolerance(
    curves: Mapping[str, pd.DataFrame], *, unit: str = "px", title: str = ""
) -> Figure:
    """Return efficiency and purity against the tolerance, and purity against efficiency.

    Parameters
    ----------
    curves : name of a list → ``evaluation.tolerance_curve``.
    unit : of the tolerance.
    title : of the figure.

    Raises
    ------
    BadInput : there is no curve, or a curve lacks a column or has no row.
    """
    columns = ["tolerance", "chance_efficiency", "chance_purity"]
    for name in ("efficiency", "purity"):
        columns += [name, f"{name}_low", f"{name}_high"]
    figure = make_figure(11.6, 4.6, title or "Efficiency and purity against the tolerance")
    axes = figure.subplots(1, 3)
    for name, t, colour, dashes in style_curves(curves, columns, "curve"):
        ordered = t.sort_values("tolerance")
        x = ordered["tolerance"].to_numpy(float)
        for ax, what in zip(axes[:2], ("efficiency", "purity"), strict=True):
            low, high = (ordered[f"{what}_{end}"].to_numpy(float) for end in ("low", "high"))
            ax.fill_between(x, low, high, color=colour, alpha=0.16, lw=0)
            ax.plot(x, ordered[what], dashes, color=colour, lw=2, label=name)
            ax.plot(x, ordered[f"chance_{what}"], ":", color=colour, lw=1.6)
        axes[2].plot(ordered["efficiency"], ordered["purity"], dashes + "o", ms=4, color=colour)
    axes[0].plot(
        [], [], ":", color="#777777", label="chance by local shifts, in the colour of its list"
    )
    for ax, what in zip(axes[:2], ("efficiency", "purity"), strict=True):
        ax.set(xlabel=f"tolerance ({unit})", ylabel=what, ylim=(0, 1.02))
    axes[2].set(xlabel="efficiency", ylabel="purity", title="one against the other")
    for ax in axes:
        ax.grid(True)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=4)
    return figure
