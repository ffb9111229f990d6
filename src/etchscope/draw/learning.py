"""Learning curves: the loss and the accuracy of each training of the experts.

Matplotlib makes some ticks only when it draws. So a figure must also be saved inside
``matplotlib.rc_context(RC)``, as ``encode_figure`` does.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import RC, SERIES_COLOURS
from etchscope.draw.tables import format_count, require_columns

__all__ = ["draw_learning_curves"]

_TRAINING, _VALIDATION = SERIES_COLOURS[:2]
_ACROSS = 4  # panels per row
_CHANCE = 0.5
"""Balanced accuracy of an expert that chooses between two classes by chance."""
_WIDE = 20.0
"""Ratio of the largest loss to the median above which the axis is logarithmic."""


@mpl.rc_context(RC)
def draw_learning_curves(histories: pd.DataFrame, *, title: str = "") -> Figure:
    """Return one panel per expert with the losses and the accuracy of each training, and medians.

    Thin lines are single trainings. Thick lines are the median over the trainings that still run,
    and end when fewer than half of them do. Where the validation loss is above the training loss,
    the gap between the medians is shaded. The dotted line marks the epoch of the least median
    validation loss.

    Parameters
    ----------
    histories : one row per epoch of a training: ``expert, seed, fold, epoch, training_loss,
        validation_loss, validation_accuracy`` (balanced, in [0, 1]). A NaN interrupts its line.
    title : by default states the numbers of trainings and experts.

    Raises
    ------
    BadInput : a column is missing, or there is no row.
    """
    losses = ["training_loss", "validation_loss"]
    columns = ["expert", "seed", "fold", "epoch", *losses, "validation_accuracy"]
    t = require_columns(histories, columns, "histories").sort_values(["seed", "fold", "epoch"])
    experts = t["expert"].drop_duplicates().tolist()
    trainings = t.drop_duplicates(["expert", "seed", "fold"])
    counts = f"{format_count(len(trainings), 'training')} of {format_count(len(experts), 'expert')}"
    across = min(len(experts), _ACROSS)
    bands = -(-len(experts) // across)
    figure = make_figure(
        max(3.4 * across, 5.0), 5.4 * bands + 0.5, title or f"Learning curves: {counts}"
    )
    grid = figure.add_gridspec(2 * bands, across, height_ratios=(2, 1) * bands)
    for place, expert in enumerate(experts):
        band, column = divmod(place, across)
        upper = figure.add_subplot(grid[2 * band, column])
        lower = figure.add_subplot(grid[2 * band + 1, column], sharex=upper)
        own = t[t["expert"] == expert]
        _losses(upper, own, losses)
        _thin_and_thick(lower, own, "validation_accuracy", _VALIDATION)
        lower.axhline(_CHANCE, color="#777777", ls="--", lw=1)
        lower.set(xlabel="epoch", ylim=(min(0.45, lower.get_ylim()[0]), 1.01))
        lower.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        upper.tick_params(labelbottom=False)
        number = int((trainings["expert"] == expert).sum())
        upper.set_title(f"{expert} ({format_count(number, 'training')})")
        if column == 0:
            upper.set_ylabel("loss")
            lower.set_ylabel("balanced accuracy")
    handles = [
        Line2D([], [], color=_TRAINING, lw=2.6, label="training, median"),
        Line2D([], [], color=_VALIDATION, lw=2.6, label="validation, median"),
        Line2D([], [], color="#777777", lw=0.7, label="single trainings"),
        Line2D([], [], color="#777777", ls=":", lw=1.2, label="least validation loss"),
        Line2D([], [], color="#777777", ls="--", lw=1, label="chance"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=min(len(handles), 2 * across))
    return figure


def _losses(ax: Axes, own: pd.DataFrame, losses: list[str]) -> None:
    values = own[losses].to_numpy(float)
    positive = values[np.isfinite(values) & (values > 0)]
    if positive.size and positive.max() > _WIDE * np.median(positive):
        ax.set_yscale("log")
    training = _thin_and_thick(ax, own, losses[0], _TRAINING)
    validation = _thin_and_thick(ax, own, losses[1], _VALIDATION)
    above = (validation > training).to_numpy()
    epoch = training.index.to_numpy(float)
    low, high = training.to_numpy(float), validation.to_numpy(float)
    ax.fill_between(epoch, low, high, where=above.tolist(), color=_VALIDATION, alpha=0.13, lw=0)
    if validation.notna().any():
        ax.axvline(float(str(validation.idxmin())), color="#777777", ls=":", lw=1.2)
    if ax.get_yscale() == "linear":
        ax.set_ylim(bottom=0)
    ax.grid(True)


def _thin_and_thick(ax: Axes, own: pd.DataFrame, column: str, colour: str) -> "pd.Series[Any]":
    """Draw one line per training and their median over the epochs; return the median."""
    for _, run in own.groupby(["seed", "fold"]):
        ax.plot(run["epoch"], run[column], color=colour, lw=0.6, alpha=0.35)
    by_epoch = own.groupby("epoch")[column]
    running = by_epoch.count()
    median = by_epoch.median()[running >= running.max() / 2]
    ax.plot(median.index, median, color=colour, lw=2.6, marker="o" if len(median) == 1 else "")
    ax.grid(True)
    return median
