"""The confusion matrix: true classes against decided ones."""

import matplotlib as mpl
import numpy as np
import pandas as pd

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import RC
from etchscope.foil import BadInput

__all__ = ["draw_confusion"]


@mpl.rc_context(RC)
def draw_confusion(counts: pd.DataFrame, *, title: str = "") -> Figure:
    """Return the confusion matrix: each cell's count and its share of the true class.

    Parameters
    ----------
    counts : true class × decided class, whole numbers of at least 0. There may be more decided
        classes, such as undecided. A true class without a case is empty.
    title : by default states how many cases have their true class.

    Raises
    ------
    BadInput : there is no case, or counts are not whole numbers of at least 0.
    """
    values = counts.to_numpy(float)
    if not values.size or not values.any():
        raise BadInput("counts", "one case or more to draw", "none")
    if not (np.isfinite(values) & (values >= 0) & (values == np.rint(values))).all():
        raise BadInput("counts", "whole numbers of at least 0", "others")
    number = values.sum(axis=1)
    share = np.divide(100 * values, number[:, None], where=number[:, None] > 0, out=0 * values)
    same = sum(float(counts.loc[c, c]) for c in counts.index if c in counts.columns)
    right = f"{same:,.0f} of {number.sum():,.0f} decided as they are true"
    down, across = values.shape
    figure = make_figure(max(1.25 * across + 2.4, 5.2), max(0.85 * down + 1.6, 3.0), title or right)
    ax = figure.add_subplot()
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
    figure.colorbar(mesh, ax=ax, label="share of the true class (%)", shrink=0.9)
    return figure
