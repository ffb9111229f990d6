"""Limits against a property of the particles, such as Z/β."""

import matplotlib as mpl
import numpy as np
import pandas as pd

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import INK, RC, SERIES_COLOURS
from etchscope.draw.tables import require_columns
from etchscope.foil import BadInput

__all__ = ["draw_limits"]

_DASHES = ("-", "--", "-.", ":")
_WIDTHS = (3.6, 2.4, 1.4)
"""Widths of the lines of the methods: those that agree lie on each other and are all seen."""


@mpl.rc_context(RC)
def draw_limits(
    limits: pd.DataFrame, label: str, quantity: str, *, title: str = "Upper limits"
) -> Figure:
    """Return the upper limits of all methods against a label of the points.

    Points that are not valid are hollow. Where a limit is infinite, the line has a gap, and a
    triangle stands at the upper edge.

    Parameters
    ----------
    limits : columns ``confidence, method, valid`` and the two below; one row per point, confidence
        and method.
    label : column of numbers for the horizontal axis.
    quantity : column of limits for the vertical axis, which is logarithmic.

    Raises
    ------
    BadInput : a column that is absent, no row, a label that is no number, or no finite limit.
    """
    columns = ("confidence", "method", "valid", label, quantity)
    table = require_columns(limits, columns, "limits")
    place = pd.to_numeric(table[label], errors="coerce").to_numpy(np.float64)
    if not np.isfinite(place).all():
        raise BadInput(f"limits: {label}", "numbers", "other values")
    if not np.isfinite(table[quantity]).any():
        raise BadInput(f"limits: {quantity}", "one finite limit or more", "none")
    figure = make_figure(7.6, 5.4, title)
    ax = figure.add_subplot()
    groups = table.assign(**{label: place}).groupby(["confidence", "method"], sort=False)
    confidences, methods = (list(dict.fromkeys(table[n])) for n in ("confidence", "method"))
    for (confidence, method), rows in groups:
        ordered = rows.sort_values(label)
        x, y = (ordered[name].to_numpy(np.float64) for name in (label, quantity))
        shown = np.where(np.isfinite(y), y, np.nan)
        number = methods.index(method)
        colour = SERIES_COLOURS[number % len(SERIES_COLOURS)]
        dashes = _DASHES[confidences.index(confidence) % len(_DASHES)]
        name = f"{method}, {100 * float(str(confidence)):g} %"
        ax.plot(x, shown, dashes, color=colour, lw=_WIDTHS[number % len(_WIDTHS)], label=name)
        for is_valid, face in ((True, colour), (False, "white")):
            of_kind = ordered["valid"].to_numpy(bool) == is_valid
            ax.plot(x[of_kind], shown[of_kind], "o", ms=5, color=colour, mfc=face)
    endless = np.unique(place[np.isposinf(table[quantity])])
    edge = ax.get_xaxis_transform()
    ax.plot(endless, np.full(len(endless), 0.98), "^", ms=8, color=INK, mfc="white", transform=edge)
    ax.set(yscale="log", xlabel=label.replace("_", " "), ylabel=_axis_label(quantity))
    ax.grid(True, which="both")
    figure.legend(loc="outside lower left", ncols=len(confidences))
    return figure


def _axis_label(quantity: str) -> str:
    """Return ``flux_high_per_cm2_s_sr`` as "flux (cm⁻² s⁻¹ sr⁻¹)"."""
    name, _, per = quantity.partition("_high")
    units = {"cm2": "cm⁻²", "s": "s⁻¹", "sr": "sr⁻¹"}
    unit = " ".join(units[part] for part in per.split("_") if part in units)
    return f"{name} ({unit})" if unit else "particles"
