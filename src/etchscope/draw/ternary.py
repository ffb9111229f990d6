"""The ternary plot: probabilities of signal, top and bottom as points in a triangle.

Matplotlib makes some ticks only when it draws. So a figure must also be saved inside
``matplotlib.rc_context(RC)``, as ``encode_figure`` does.
"""

from typing import Any

import matplotlib as mpl
import mpltern  # noqa: F401 - it makes the ternary projection known
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import CLASS_COLOURS, GUIDE, RC
from etchscope.draw.tables import format_count, require_columns
from etchscope.foil import BadInput, parent_class
from etchscope.foil.types import Floats

__all__ = ["draw_ternary", "is_ternary"]

_CORNERS = ("hip", "top", "bottom")
_COLUMNS = frozenset(f"p_{name}" for name in _CORNERS)
_SUM_TOLERANCE = 1e-3
_OTHER = "#BBBBBB"


def is_ternary(probabilities: pd.DataFrame) -> bool:
    """Return whether ``draw_ternary`` can draw a table of probabilities.

    Its classes must be hip, top, bottom and no other but misc, and one row must have a place.

    >>> is_ternary(pd.DataFrame({"p_hip": [0.5], "p_top": [0.5], "p_bottom": [0.0]}))
    True
    >>> is_ternary(pd.DataFrame({"p_hip": [0.5], "p_top": [0.5]}))
    False
    """
    if not _COLUMNS <= set(probabilities.columns) <= _COLUMNS | {"p_misc"}:
        return False
    return bool(_has_place(*_shares(probabilities)).any())


@mpl.rc_context(RC)
def draw_ternary(
    probabilities: pd.DataFrame, truth: "pd.Series[Any] | None" = None, *, title: str = ""
) -> Figure:
    """Return the probabilities of hip, top and bottom as points in a triangle.

    They are divided by 1 − p_misc, so that a point gives the probabilities for a pit that is one.
    Dashed lines divide the triangle by the most probable class. The rarest class is drawn last.
    Rows without a place (a probability is null, or p_misc is 1) are counted below the triangle.

    Parameters
    ----------
    probabilities : ``p_hip, p_top, p_bottom`` and, if there is one, ``p_misc``; floats in [0, 1]
        with sum 1; NaN before a model has run.
    truth : the true or the decided class of each row, with the same index. A subclass counts as its
        class, and a class that is not one of the four as "other". By default points have the colour
        of the most probable class.
    title : by default states the number of candidates and the meaning of the colours.

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
    counts = f"{format_count(len(corners), 'candidate')} by {by} class, shares without misc"
    figure = make_figure(7.4, 6.9, title or counts)
    ax: Any = figure.add_subplot(projection="ternary")
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
    figure.legend(handles=handles, loc="outside lower left", ncols=3)
    return figure


def _shares(probabilities: pd.DataFrame) -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    """Return the probabilities of the three corners, and p_misc or 0 without such a column."""
    names = [f"p_{name}" for name in _CORNERS]
    given = require_columns(probabilities, names, "probabilities").astype(float)
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
    named = [parent_class(str(name)) for name in truth]
    known = [name if name in CLASS_COLOURS else "other" for name in named]
    return pd.Series(known, given.index)


def _triangle(ax: Any) -> None:
    third = 1 / 3
    for t, left, right in ((0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)):
        ax.plot([third, t], [third, left], [third, right], ls="--", zorder=1, **GUIDE)
    ax.grid(True)
    ax.tick_params(labelrotation="horizontal")
    for name, axis, set_label in zip(
        _CORNERS,
        (ax.taxis, ax.laxis, ax.raxis),
        (ax.set_tlabel, ax.set_llabel, ax.set_rlabel),
        strict=True,
    ):
        axis.set_label_position("corner")
        axis.set_label_rotation_mode("horizontal")
        set_label(name, color=CLASS_COLOURS[name], fontsize=14, fontweight="bold")


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
