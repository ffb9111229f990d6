"""Figures of label_efficiency.py: what each light adds, and what more labels would bring."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from etchscope.draw.figures import make_figure
from etchscope.draw.style import RC
from etchscope.draw.tables import require_columns, style_curves
from etchscope.foil import BadInput

__all__ = ["draw_ablation", "draw_label_efficiency"]

_CHANCE = 0.5
"""Balanced accuracy of an expert that chooses between two classes by chance."""


@mpl.rc_context(RC)
def draw_ablation(table: pd.DataFrame, *, title: str = "Balanced accuracy by channels") -> Figure:
    """Return the balanced accuracy of experts by the channels that they saw, as dots with bars.

    The set of channels with the highest mean over the experts is at the top.

    Parameters
    ----------
    table : one row a set of channels and an expert: ``channels`` (its name), ``expert``,
        ``balanced_accuracy`` and ``spread`` (half the length of its bar, at least 0; NaN for no
        bar), both as shares of 1.

    Raises
    ------
    BadInput : a column is missing, there is no row, two rows are of the same channels and expert,
        or a spread is below 0.
    """
    columns = ["channels", "expert", "balanced_accuracy", "spread"]
    t = require_columns(table, columns, "table")
    twice = t.duplicated(["channels", "expert"])
    if twice.any():
        channels, expert = t.loc[twice, ["channels", "expert"]].iloc[0]
        raise BadInput("table", "one row a set of channels and an expert", f"{channels}, {expert}")
    if (t["spread"] < 0).any():
        raise BadInput("table: spread", "0 or more", f"{t['spread'].min()}")
    mean = t.groupby("channels", sort=False)["balanced_accuracy"].mean()
    place = {name: y for y, name in enumerate(mean.sort_values(kind="stable").index)}
    experts = {str(name): rows for name, rows in t.groupby("expert", sort=False)}
    height = max(0.16 * len(experts) + 0.26, 0.42) * len(place) + 1.5
    made = make_figure(8.2, height, title)
    ax = made.add_subplot()
    step = 0.7 / max(len(experts), 2)
    for turn, (name, rows, colour, _) in enumerate(style_curves(experts, columns, "table")):
        y = rows["channels"].map(place).to_numpy(float) - (turn - (len(experts) - 1) / 2) * step
        x, bar = (rows[c].to_numpy(float) for c in ("balanced_accuracy", "spread"))
        style: dict[str, Any] = {"fmt": "o", "ms": 6, "lw": 1.8, "capsize": 0}
        ax.errorbar(x, y, xerr=np.nan_to_num(bar), color=colour, label=name, **style)
    if ax.get_xlim()[0] < _CHANCE + 0.05:
        ax.axvline(_CHANCE, color="#777777", ls="--", lw=1.2, label="chance")
    for between in range(1, len(place)):
        ax.axhline(between - 0.5, color="#dddddd", lw=0.6)
    ax.set_yticks(list(place.values()), [str(name) for name in place])
    ax.set(xlabel="balanced accuracy (bar: spread)", ylim=(-0.6, len(place) - 0.4))
    ax.tick_params(axis="y", length=0)
    ax.grid(True, axis="x")
    handles, labels = ax.get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower left", ncols=min(len(labels), 4))
    return made


@mpl.rc_context(RC)
def draw_label_efficiency(
    table: pd.DataFrame, *, title: str = "What more labels would bring"
) -> Figure:
    """Return balanced accuracy and efficiency against the number of labels, a line a network.

    Lines are means over seeds, bars their sample standard deviation (none of one seed), small
    points the seeds.

    Parameters
    ----------
    table : one row a training: ``network, labels`` (their number, above 0), ``seed,
        balanced_accuracy, efficiency``; the last two as shares of 1.

    Raises
    ------
    BadInput : a column is missing, there is no row, or a number of labels is not above 0.
    """
    columns = ["network", "labels", "seed", "balanced_accuracy", "efficiency"]
    t = require_columns(table, columns, "table")
    if not (t["labels"] > 0).all():
        raise BadInput("table: labels", "numbers above 0", f"{t['labels'].min()}")
    made = make_figure(11.0, 4.9, title)
    panels = made.subplots(1, 2)
    networks = {str(name): rows for name, rows in t.groupby("network", sort=False)}
    for ax, measure, axis_label in zip(
        panels, columns[3:], ("balanced accuracy", "signal efficiency"), strict=True
    ):
        for turn, (name, rows, colour, dashes) in enumerate(
            style_curves(networks, columns, "table")
        ):
            # Networks are moved apart a little, so that their bars do not hide each other.
            apart = 1.03 ** (turn - (len(networks) - 1) / 2)
            by_labels = rows.groupby("labels")[measure]
            mean, spread = by_labels.mean(), by_labels.std().fillna(0)
            x = mean.index.to_numpy(float) * apart
            line: dict[str, Any] = {"color": colour, "lw": 1.8, "marker": "o", "ms": 5}
            ax.errorbar(x, mean, spread, ls=dashes, capsize=2.5, label=name, **line)
            ax.plot(rows["labels"] * apart, rows[measure], ".", color=colour, ms=4, alpha=0.35)
        ax.set_xscale("log")
        _label_ticks(ax, np.unique(t["labels"].to_numpy(float)))
        ax.set(xlabel="labelled examples", ylabel=axis_label)
        ax.grid(True)
    handles, labels = panels[0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower left", ncols=min(len(labels), 5))
    return made


def _label_ticks(ax: Axes, numbers: Any) -> None:
    """Set ticks at the numbers themselves, those left out that would stand too close."""
    kept = [float(numbers[0])]
    least = max((numbers[-1] / numbers[0]) ** (1 / 12), 1.05)
    kept += [n for n, m in zip(numbers[1:], numbers[:-1], strict=True) if n / m >= least]
    ax.set_xticks(kept, [f"{n:,.0f}" for n in kept])
    ax.xaxis.set_minor_locator(NullLocator())
