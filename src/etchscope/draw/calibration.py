"""The reliability diagram: how often cases came true, against their probability."""

from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import GUIDE, RC, SERIES_COLOURS
from etchscope.draw.tables import format_count
from etchscope.evaluation import calibration_table, expected_calibration_error
from etchscope.foil import BadInput

__all__ = ["draw_reliability"]


@mpl.rc_context(RC)
def draw_reliability(
    probability: NDArray[Any], outcome: NDArray[Any], bins: int = 10, *, title: str = "Reliability"
) -> Figure:
    """Return the reliability diagram of probabilities, with their histogram.

    Bins hold equal numbers of cases. A point stands at the mean probability of its bin, its
    horizontal line is the range of the bin, its bar the 95 % interval. The title states the
    expected calibration error.

    Parameters
    ----------
    probability, outcome, bins : see ``evaluation.calibration_table``.

    Raises
    ------
    BadInput : see ``evaluation.calibration_table``; or no case.
    """
    t = calibration_table(probability, outcome, bins)
    if not len(t):
        raise BadInput("probability", "one case or more to draw", "none")
    error = expected_calibration_error(t)
    figure = make_figure(6.6, 7.0, f"{title}: expected calibration error {error:.3f}")
    ax, below = figure.subplots(2, 1, height_ratios=(3.4, 1), sharex=True)
    ax.plot([0, 1], [0, 1], ls="--", label="perfect", **GUIDE)
    mean, value, low, high = (t[c].to_numpy(float) for c in ("mean_p", "value", "low", "high"))
    ax.hlines(value, t["low_p"], t["high_p"], color=SERIES_COLOURS[0], lw=1, alpha=0.6)
    bars = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
    cases = format_count(int(t["trials"].sum()), "case")
    label = f"{cases} in {format_count(len(t), 'bin')}, 95 % interval"
    ax.errorbar(
        mean, value, bars, fmt="o", ms=6, color=SERIES_COLOURS[0], lw=1.6, capsize=2.5, label=label
    )
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.02), ylabel="share that came true")
    ax.grid(True)
    ax.legend(loc="upper left")
    p, came_true = np.asarray(probability, float), np.asarray(outcome)
    edges = np.linspace(0, 1, 41).tolist()
    for own, label, colour in (
        (p[~came_true], "did not come true", "#8A8A8A"),
        (p[came_true], "came true", SERIES_COLOURS[1]),
    ):
        below.hist(own, edges, histtype="step", color=colour, lw=1.5, label=label)
    below.set(xlabel="probability claimed", ylabel="cases", yscale="log", ylim=(0.7, None))
    below.grid(True, axis="y")
    below.legend(loc="upper center", ncols=2)
    return figure
