"""Entry–exit pairs: their displacements, and how many of them chance alone would make."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import COLOURS, RC
from etchscope.draw.tables import select_pairs

__all__ = ["draw_pairs"]


@mpl.rc_context(RC)
def draw_pairs(pits: pd.DataFrame, title: str) -> Figure:
    """Return the displacements of pairs, and their ``pair_p`` beside its chance level.

    The best partner of an unrelated entry pit has pair_p below c with probability c at most, so n
    entry pits make n·c accidental pairs at most.

    Parameters
    ----------
    pits : a pit table.
    title : of the figure.
    """
    figure = make_figure(12.5, 4.4, title)
    where, low, cut = figure.subplots(1, 3, width_ratios=(1.05, 1, 1))
    pairs = select_pairs(pits)
    split = int(pairs["pair_p"].isna().sum())  # pairs that were split from one find have no pair_p
    entries = int((pits["surface"] == "top").sum()) - split
    _displacements(figure, where, pairs)
    p = pairs["pair_p"].dropna().to_numpy(float)
    edges = np.linspace(0, 1, 21)
    low.hist(p, edges.tolist(), color=COLOURS["pair"], histtype="stepfilled", alpha=0.85)
    low.axhline(entries / 20, color="#333333", ls="--", lw=1.3)
    low.set(xlabel="pair_p", ylabel="pairs per 0.05", xlim=(0, 1))
    ordered = np.sort(np.clip(p, 1e-9, 1))
    floor = max(float(ordered[0]) if len(ordered) else 1e-3, 1e-6)
    cuts = np.geomspace(min(floor, 1e-3), 1, 200)
    cut.step(cuts, np.searchsorted(ordered, cuts, side="right"), color=COLOURS["pair"], lw=2)
    cut.plot(cuts, entries * cuts, color="#333333", ls="--", lw=1.3)
    cut.set(xlabel="cut c on pair_p", ylabel="pairs with pair_p ≤ c", xscale="log")
    cut.set_yscale("log" if len(p) else "linear")
    cut.set_ylim(bottom=0.5 if len(p) else 0)
    cut.grid(True)
    handles = [
        Line2D([], [], color=COLOURS["pair"], lw=4, label=f"pairs ({len(pairs):,})"),
        Line2D(
            [],
            [],
            color="#333333",
            ls="--",
            label=f"unrelated pits at most: {entries:,} entries × c",
        ),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2)
    return figure


def _displacements(figure: Figure, ax: Axes, pairs: pd.DataFrame) -> None:
    d = pairs[["pair_dx_px", "pair_dy_px"]].dropna().to_numpy(float)
    reach = float(np.abs(d).max()) * 1.05 if len(d) else 6.0
    if len(d) > 2000:
        bins = np.linspace(-reach, reach, 61)
        count = np.histogram2d(d[:, 0], d[:, 1], (bins, bins))[0]
        shown = np.ma.masked_equal(count, 0)
        norm = LogNorm(1, max(2, count.max()))
        mesh = ax.pcolormesh(bins, bins, shown.T, norm=norm, cmap="cividis", rasterized=True)
        figure.colorbar(mesh, ax=ax, label="pairs", shrink=0.85)
    else:
        ax.plot(d[:, 0], d[:, 1], ".", color=COLOURS["pair"], ms=4, alpha=0.7, mew=0)
    ax.axhline(0, color="#999999", lw=0.7)
    ax.axvline(0, color="#999999", lw=0.7)
    ax.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")
    ax.set(xlabel="exit − entry, x (px)", ylabel="exit − entry, y (px, down)")
