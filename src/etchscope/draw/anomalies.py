"""The map of what no found pit explains, with close-ups of its best places."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.background.grid import MapGrid
from etchscope.draw.closeups import add_scale_bar
from etchscope.draw.ellipses import cut_window, draw_pits, stretch
from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import COLOURS, RC
from etchscope.foil.types import Floats

__all__ = ["draw_anomalies"]

_MOST = 8
"""Largest number of close-ups."""
_WINDOW_PX, _SCALE = (64, 64), 5
_SCORES = (-2.0, 3.0)


@mpl.rc_context(RC)
def draw_anomalies(
    score: Floats,
    grid: MapGrid,
    places: pd.DataFrame,
    pits: pd.DataFrame,
    thumbnails: Callable[[int], NDArray[Any]],
    title: str,
    *,
    pixel_size_um: float | None = None,
) -> Figure:
    """Return the map of the score, and up to eight close-ups of the best places.

    Parameters
    ----------
    score, grid : of the map.
    places : of ``run.anomalies.AnomalySearch``, the best first.
    pits : the pit table; pits near a place are drawn as ellipses.
    thumbnails : tile number → its picture, (y, x), any real dtype.
    title : of the figure.
    pixel_size_um : adds scale bars; None for an unknown scale.
    """
    best = places.head(_MOST)
    down = -(-len(best) // 4)
    rows, columns = score.shape
    high = float(np.clip(9.0 * rows / columns, 2.5, 9.0))
    figure = make_figure(11.0, high + 2.9 * down + 0.8, title)
    layout = figure.add_gridspec(1 + down, 4, height_ratios=[high, *[2.9] * down])
    _map(figure, figure.add_subplot(layout[0, :]), score, grid, best)
    for k, place in enumerate(best.to_dict("records")):
        ax = figure.add_subplot(layout[1 + k // 4, k % 4])
        picture = stretch(thumbnails(int(place["tile"])))
        part, x0, y0 = cut_window(picture, place["x_px"], place["y_px"], _WINDOW_PX)
        own = pits[pits["tile"] == place["tile"]]
        own = own[own["x_px"].between(x0 - 20, x0 + 84) & own["y_px"].between(y0 - 20, y0 + 84)]
        drawn = draw_pits(np.ascontiguousarray(part), own, scale=_SCALE, origin_px=(x0, y0))
        edges = (x0 - 0.5, x0 + part.shape[1] - 0.5, y0 + part.shape[0] - 0.5, y0 - 0.5)
        ax.imshow(drawn, extent=edges, interpolation="antialiased")
        ax.plot(place["x_px"], place["y_px"], "+", color=COLOURS["missed"], ms=12, mew=2)
        ax.set(xticks=[], yticks=[], xlim=edges[:2], ylim=edges[2:])
        if pixel_size_um is not None:
            add_scale_bar(ax, edges, pixel_size_um)
        said = f"{place['rank']}: score {place['score']:.1f}, tile {place['tile']}"
        ax.set_title(said, fontsize=9, fontweight="normal")
    return figure


def _map(figure: Figure, ax: Any, score: Floats, grid: MapGrid, best: pd.DataFrame) -> None:
    half, is_mm = grid.step / 2, grid.unit == "mm"
    x0, x1 = grid.x[0] - half, grid.x[-1] + half
    y0, y1 = grid.y[0] - half, grid.y[-1] + half
    ax.set_facecolor("#dde6ee")
    image = ax.imshow(
        np.ma.masked_invalid(score),
        origin="lower",
        extent=(x0, x1, y0, y1),
        cmap="inferno",
        vmin=_SCORES[0],
        vmax=_SCORES[1],
        interpolation="nearest",
    )
    bar = figure.colorbar(image, ax=ax, shrink=0.85, pad=0.02, extend="both")
    bar.set_label("score: −log₁₀ of accidental places per tile")
    ax.set(xlabel="x (mm)" if is_mm else "x (px)", ylabel="y (mm)" if is_mm else "y (px, down)")
    if not is_mm:
        ax.invert_yaxis()
    elif len(best) and np.isfinite(best["x_mm"]).all():
        for place in best.to_dict("records"):
            at, off = (place["x_mm"], place["y_mm"]), (6, 6)
            how = {"textcoords": "offset points", "color": "white", "fontsize": 9}
            ax.annotate(str(place["rank"]), at, off, **how)
