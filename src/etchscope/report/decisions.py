"""What the ensemble decides: probabilities, curves of efficiency, calibration, confusion.

Figures come in the house style. Matplotlib makes some ticks only when it draws, so save them, too,
inside ``matplotlib.rc_context(RC)``.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import mpltern  # noqa: F401 - it makes the ternary projection known
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from etchscope.evaluate import calibration_table, expected_calibration_error
from etchscope.foil import BadInput, parent
from etchscope.foil.types import Floats
from etchscope.report.content import counted
from etchscope.report.style import CLASS_COLOURS, RC, SERIES_COLOURS, figure
from etchscope.report.tables import drawable, series

__all__ = ["confusion", "froc", "is_ternary", "reliability", "roc", "ternary"]

_CORNERS = ("hip", "top", "bottom")
_COLUMNS = frozenset(f"p_{name}" for name in _CORNERS)
_LEAST_RATE = 1e-4
_SUM_TOLERANCE = 1e-3
_OTHER = "#BBBBBB"
_GUIDE: dict[str, Any] = {"color": "#777777", "lw": 1.2}


def is_ternary(probabilities: pd.DataFrame) -> bool:
    """Return whether ``ternary`` can draw a table of probabilities of some classes.

    There must be hip, top, bottom and no other class but misc, and a row with a place.

    >>> is_ternary(pd.DataFrame({"p_hip": [0.5], "p_top": [0.5], "p_bottom": [0.0]}))
    True
    >>> is_ternary(pd.DataFrame({"p_hip": [0.5], "p_top": [0.5]}))
    False
    """
    if not _COLUMNS <= set(probabilities.columns) <= _COLUMNS | {"p_misc"}:
        return False
    return bool(_has_place(*_shares(probabilities)).any())


@mpl.rc_context(RC)
def ternary(
    probabilities: pd.DataFrame, truth: "pd.Series[Any] | None" = None, *, title: str = ""
) -> Figure:
    """Return the probabilities of hip, top and bottom as points in a triangle.

    They are divided by 1 − p_misc, so that a point says what a pit is if it is one. Dashed lines
    part the triangle by the most probable of the three. The rarest class is drawn last. Rows that
    have no place (a probability is null, or p_misc is 1) are counted below the triangle.

    Parameters
    ----------
    probabilities : ``p_hip, p_top, p_bottom`` and, where there is one, ``p_misc``; float in
        [0, 1], together 1; NaN before a model has run.
    truth : the class of each row, or what was decided of it, of the same index; a subclass counts
        as its class, and what is not one of the four is "other". By default points have the colour
        of the most probable of the classes.
    title : by default, how many candidates there are and what colours mean.

    Raises
    ------
    BadInput : a column is missing, no row has a place, probabilities are out of [0, 1] or do not
        add up to 1 within 0.001, or the truth has another index.
    """
    given, misc = _shares(probabilities)
    shown = _has_place(given, misc)
    if not shown.any():
        raise BadInput("probabilities", "one row or more with a place in the triangle", "none")
    if truth is not None and not truth.index.equals(probabilities.index):
        raise BadInput("truth", "the index of the probabilities", "another")
    classes = _classes(given.assign(p_misc=misc), truth)[shown]
    corners = given[shown].div(1 - misc[shown], axis=0)
    by = "decided" if truth is None else "true"
    told = f"{counted(len(corners), 'candidate')} by {by} class, shares without misc"
    made = figure(7.4, 6.9, title or told)
    ax: Any = made.add_subplot(projection="ternary")
    _triangle(ax)
    handles = []
    for name, number in classes.value_counts().items():
        colour = CLASS_COLOURS.get(str(name), _OTHER)
        own = corners[classes == name].to_numpy(float)
        _points(ax, own, colour)
        label = f"{name} ({number:,})"
        handles.append(Line2D([], [], ls="none", marker="o", color=colour, label=label))
    left_out = len(given) - len(corners)
    if left_out:
        label = f"{left_out:,} not shown: no probability, or surely misc"
        handles.append(Line2D([], [], ls="none", label=label))
    made.legend(handles=handles, loc="outside lower left", ncols=3)
    return made


def _shares(probabilities: pd.DataFrame) -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    """Return p of the three corners, and p_misc, 0 where no such column is; both checked."""
    names = [f"p_{name}" for name in _CORNERS]
    given = drawable(probabilities, names, "probabilities").astype(float)
    zero = pd.Series(0.0, given.index)
    misc = probabilities["p_misc"].astype(float) if "p_misc" in probabilities else zero
    every = np.column_stack([given.to_numpy(), misc.to_numpy()])
    known = np.isfinite(every).all(axis=1)
    off = np.abs(every[known].sum(axis=1) - 1)
    if ((every[known] < 0) | (every[known] > 1)).any():
        raise BadInput("probabilities", "numbers in [0, 1]", "others")
    if (off > _SUM_TOLERANCE).any():
        found = f"a row that is off by {off.max():.3g}"
        raise BadInput("probabilities", "hip, top, bottom and misc that add up to 1", found)
    return given, misc


def _has_place(given: pd.DataFrame, misc: "pd.Series[Any]") -> "pd.Series[bool]":
    return given.notna().all(axis=1) & (misc < 1)


def _classes(given: pd.DataFrame, truth: "pd.Series[Any] | None") -> "pd.Series[Any]":
    if truth is None:
        best = given.fillna(-1).to_numpy().argmax(axis=1)
        return pd.Series(np.array(given.columns)[best], given.index).str.removeprefix("p_")
    named = [parent(str(name)) for name in truth]
    known = [name if name in CLASS_COLOURS else "other" for name in named]
    return pd.Series(known, given.index)


def _triangle(ax: Any) -> None:
    third = 1 / 3
    for t, left, right in ((0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)):
        ax.plot([third, t], [third, left], [third, right], ls="--", zorder=1, **_GUIDE)
    ax.grid(True)
    ax.tick_params(labelrotation="horizontal")
    for name, axis, say in zip(
        _CORNERS,
        (ax.taxis, ax.laxis, ax.raxis),
        (ax.set_tlabel, ax.set_llabel, ax.set_rlabel),
        strict=True,
    ):
        axis.set_label_position("corner")
        axis.set_label_rotation_mode("horizontal")
        say(name, color=CLASS_COLOURS[name], fontsize=14, fontweight="bold")


def _points(ax: Any, corners: Floats, colour: str) -> None:
    number = len(corners)
    is_rare = number <= 300
    ax.scatter(
        *corners.T,
        s=26 if is_rare else float(np.clip(1000 / np.sqrt(number), 7, 20)),
        alpha=0.9 if is_rare else float(np.clip(14 / np.sqrt(number), 0.12, 0.6)),
        color=colour,
        edgecolors="white" if is_rare else "none",
        linewidths=0.5,
        clip_on=False,
        zorder=3,
    )


@mpl.rc_context(RC)
def roc(
    curves: Mapping[str, pd.DataFrame], *, title: str = "Efficiency against false positives"
) -> Figure:
    """Return efficiency against the false-positive rate from 1e-4 on, each with its band.

    Lines are steps: at a rate stands the efficiency of the last point that does not exceed it.
    What is reached below 1e-4 stands at the left edge. Dashed: chance, where both are equal.

    Parameters
    ----------
    curves : name → columns ``false_positive_rate, efficiency, low, high``, each in [0, 1], in any
        order; ``low`` and ``high`` are the interval of the efficiency, NaN for none.

    Raises
    ------
    BadInput : no curve, one without a row, a missing column, or values out of [0, 1].
    """
    made = figure(7.6, 5.4, title)
    ax = made.add_subplot()
    columns = ("false_positive_rate", "efficiency", "low", "high")
    for name, table, colour, dashes in series(curves, columns, "curve"):
        _in_range(table, f"curve {name}", 1.0)
        _step_band(ax, table, _LEAST_RATE, name, colour, dashes)
    rate = np.geomspace(_LEAST_RATE, 1, 200)
    ax.plot(rate, rate, ls="--", label="chance", zorder=1, **_GUIDE)
    ax.set(xscale="log", xlim=(_LEAST_RATE, 1), ylim=(0, 1.01))
    ax.set(xlabel="false-positive rate", ylabel="signal efficiency")
    ax.grid(True)
    _legend(made, ax)
    return made


@mpl.rc_context(RC)
def froc(
    curves: Mapping[str, pd.DataFrame],
    *,
    tile_cm2: float | None = None,
    working_point: tuple[float, float] | None = None,
    title: str = "Efficiency against false candidates",
) -> Figure:
    """Return efficiency against false candidates a tile, each with its band and chance level.

    Lines are steps as in ``roc``. Zero has no place on a logarithmic axis: what is reached without
    a false candidate stands at the left edge, half of the least rate above zero.

    Parameters
    ----------
    curves : name → columns ``false_per_tile, efficiency, low, high, chance``; the rate is 0 or
        more, the others in [0, 1], NaN for none; ``chance`` is what the same list gets by local
        shifts, dotted.
    tile_cm2 : area of a tile, for a second axis in candidates per cm².
    working_point : (false_per_tile, efficiency), marked.

    Raises
    ------
    BadInput : see ``roc``; or an area that is not above zero.
    """
    if tile_cm2 is not None and not (np.isfinite(tile_cm2) and tile_cm2 > 0):
        raise BadInput("tile_cm2", "an area above 0 cm²", f"{tile_cm2}")
    columns = ("false_per_tile", "efficiency", "low", "high", "chance")
    drawn = list(series(curves, columns, "curve"))
    for name, table, _, _ in drawn:
        _in_range(table, f"curve {name}", np.inf)
    rates = np.concatenate([t["false_per_tile"].to_numpy(float) for _, t, _, _ in drawn])
    above = rates[np.isfinite(rates) & (rates > 0)]
    least, most = (above.min() / 2, above.max() * 1.1) if above.size else (0.01, 1.0)
    made = figure(7.6, 5.6, title)
    ax = made.add_subplot()
    ax.set(xscale="log", xlim=(least, most), ylim=(0, 1.01))
    ax.set(xlabel="false candidates a tile", ylabel="signal efficiency")
    for name, table, colour, dashes in drawn:
        steps = _step_band(ax, table, least, name, colour, dashes)
        rate, chance = (steps[c].to_numpy(float) for c in ("false_per_tile", "chance"))
        ax.plot(rate, chance, ls=":", color=colour, lw=1.8, drawstyle="steps-post", zorder=1)
    ax.plot([], [], ls=":", label="chance by local shifts, in the colour of its list", **_GUIDE)
    if working_point is not None:
        x, y = max(working_point[0], least), working_point[1]
        label = f"working point: {100 * y:.1f} % at {working_point[0]:.3g} a tile"
        style: dict[str, Any] = {"mfc": "white", "mec": "black", "mew": 1.4, "zorder": 5}
        ax.plot([x], [y], ls="none", marker="D", ms=9, label=label, clip_on=False, **style)
    if tile_cm2 is not None:
        area = tile_cm2
        ways = (lambda v: v / area, lambda v: v * area)
        ax.secondary_xaxis("top", functions=ways).set_xlabel("false candidates per cm²")
    ax.grid(True)
    _legend(made, ax)
    return made


def _in_range(table: pd.DataFrame, where: str, most_rate: float) -> None:
    """Refuse a rate that is NaN or out of [0, most], and shares out of [0, 1]; these may be NaN."""
    rate, shares = table.iloc[:, 0].to_numpy(float), table.iloc[:, 1:].to_numpy(float)
    if not ((rate >= 0) & (rate <= most_rate) & np.isfinite(rate)).all():
        raise BadInput(f"{where}: {table.columns[0]}", f"0 to {most_rate:g}", "other values")
    if ((shares < 0) | (shares > 1)).any():
        raise BadInput(f"{where}: {', '.join(table.columns[1:])}", "0 to 1", "other values")


def _step_band(
    ax: Axes, table: pd.DataFrame, least: float, name: str, colour: str, dashes: str
) -> pd.DataFrame:
    """Draw a curve as steps from ``least`` on, and return the steps."""
    rate = str(table.columns[0])
    ordered = table.sort_values([rate, "efficiency"], kind="stable", ignore_index=True)
    before = int((ordered[rate] <= least).sum())
    steps = ordered.iloc[max(before - 1, 0) :].assign(**{rate: lambda t: t[rate].clip(least)})
    x, y, low, high = (steps[c].to_numpy(float) for c in (rate, "efficiency", "low", "high"))
    ax.fill_between(x, low, high, step="post", color=colour, alpha=0.16, lw=0)
    ax.plot(x, y, dashes, color=colour, lw=2, drawstyle="steps-post", label=name)
    return steps


def _legend(made: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    longest = max(len(label) for label in labels)
    columns = int(np.clip(88 // (longest + 6), 1, len(labels)))
    made.legend(handles, labels, loc="outside lower left", ncols=columns)


@mpl.rc_context(RC)
def reliability(
    probability: NDArray[Any], outcome: NDArray[Any], bins: int = 10, *, title: str = "Reliability"
) -> Figure:
    """Return how often claims came true against what was claimed, with the claims' histogram.

    Bins hold equal numbers; a point stands at its bin's mean probability, its horizontal line is
    the bin's range, its bar the 95 % interval. The title gives the expected calibration error.

    Parameters
    ----------
    probability, outcome, bins : see ``evaluate.calibration_table``.

    Raises
    ------
    BadInput : see ``evaluate.calibration_table``; or no case.
    """
    t = calibration_table(probability, outcome, bins)
    if not len(t):
        raise BadInput("probability", "one case or more to draw", "none")
    error = expected_calibration_error(t)
    told = f"{title}: expected calibration error {error:.3f}"
    made = figure(6.6, 7.0, told)
    ax, below = made.subplots(2, 1, height_ratios=(3.4, 1), sharex=True)
    ax.plot([0, 1], [0, 1], ls="--", label="perfect", **_GUIDE)
    mean, value, low, high = (t[c].to_numpy(float) for c in ("mean_p", "value", "low", "high"))
    ax.hlines(value, t["low_p"], t["high_p"], color=SERIES_COLOURS[0], lw=1, alpha=0.6)
    bars = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
    label = f"{counted(len(t), 'bin')} of {counted(int(t['trials'].sum()), 'case')}, 95 % interval"
    ax.errorbar(
        mean, value, bars, fmt="o", ms=6, color=SERIES_COLOURS[0], lw=1.6, capsize=2.5, label=label
    )
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.02), ylabel="share that came true")
    ax.grid(True)
    ax.legend(loc="upper left")
    p, came_true = np.asarray(probability, float), np.asarray(outcome)
    edges = np.linspace(0, 1, 41).tolist()
    for own, told, colour in (
        (p[~came_true], "did not come true", "#8A8A8A"),
        (p[came_true], "came true", SERIES_COLOURS[1]),
    ):
        below.hist(own, edges, histtype="step", color=colour, lw=1.5, label=told)
    below.set(xlabel="probability claimed", ylabel="cases", yscale="log", ylim=(0.7, None))
    below.grid(True, axis="y")
    below.legend(loc="upper center", ncols=2)
    return made


@mpl.rc_context(RC)
def confusion(counts: pd.DataFrame, *, title: str = "") -> Figure:
    """Return the confusion matrix: each cell's count and its share of the true class.

    Parameters
    ----------
    counts : true class × decided class, whole numbers of at least 0. The decided ones may have
        more names, such as undecided. A true class without a case is shown empty.
    title : by default, how many are decided as they are true.

    Raises
    ------
    BadInput : no cell, no case, or counts that are not whole and at least 0.
    """
    values = counts.to_numpy(float)
    if not values.size or not values.any():
        raise BadInput("counts", "one case or more to draw", "none")
    if not (np.isfinite(values) & (values >= 0) & (values == np.rint(values))).all():
        raise BadInput("counts", "whole numbers of at least 0", "others")
    number = values.sum(axis=1)
    share = np.divide(100 * values, number[:, None], where=number[:, None] > 0, out=0 * values)
    same = sum(float(counts.loc[c, c]) for c in counts.index if c in counts.columns)
    told = f"{same:,.0f} of {number.sum():,.0f} decided as they are true"
    down, across = values.shape
    made = figure(max(1.25 * across + 2.4, 5.2), max(0.85 * down + 1.6, 3.0), title or told)
    ax = made.add_subplot()
    mesh = ax.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        text = f"{value:,.0f}\n{share[y, x]:.1f} %" if number[y] else "–"
        dark = share[y, x] > 55
        ax.text(x, y, text, ha="center", va="center", color="white" if dark else "#222222")
    ax.set_xticks(range(across), [str(c) for c in counts.columns])
    ax.set_yticks(
        range(down), [f"{c} ({n:,.0f})" for c, n in zip(counts.index, number, strict=True)]
    )
    ax.set_xlabel("decided class", labelpad=6)
    ax.set_ylabel("true class (cases)", labelpad=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    made.colorbar(mesh, ax=ax, label="share of the true class (%)", shrink=0.9)
    return made
