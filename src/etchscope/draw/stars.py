"""Stars on the pictures of their tiles, with a line from each opening to the vertex."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.draw.ellipses import cut_window, draw_pits, stretch
from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import COLOURS, RC

__all__ = ["draw_stars"]

_MOST = 9
"""Largest number of stars that are drawn."""
_WINDOW_PX, _SCALE = (64, 80), 6


@mpl.rc_context(RC)
def draw_stars(
    stars: pd.DataFrame,
    prongs: pd.DataFrame,
    pits: pd.DataFrame,
    thumbnails: Callable[[int], NDArray[Any]],
    title: str,
) -> Figure:
    """Return up to nine stars, the best first, on the tiles that show most of their openings.

    Parameters
    ----------
    stars, prongs : of ``background.stars.StarSearch``.
    pits : the pit table; pits near a star are drawn as ellipses.
    thumbnails : tile number → its picture, (y, x), any real dtype.
    title : of the figure.
    """
    best = stars.head(_MOST)
    across = min(max(len(best), 1), 3)
    down = max(-(-len(best) // across), 1)
    figure = make_figure(4.3 * across, 3.9 * down + 0.6, title)
    if not len(best):
        figure.text(0.5, 0.4, "No star was found.", ha="center")
    for place, star in enumerate(best.to_dict("records"), 1):
        own = prongs[prongs["star"] == star["star"]]
        tile = int(own["tile"].mode().iloc[0])
        own = own[own["tile"] == tile]
        azimuth = np.deg2rad(own["azimuth_deg"].to_numpy())
        distance, x, y = (own[c].to_numpy() for c in ("distance_px", "x_px", "y_px"))
        at_x = float(np.mean(x - distance * np.cos(azimuth)))
        at_y = float(np.mean(y + distance * np.sin(azimuth)))
        part, x0, y0 = cut_window(stretch(thumbnails(tile)), at_x, at_y, _WINDOW_PX)
        near = pits[(pits["tile"] == tile) & (pits["surface"] == star["surface"])]
        near = near[near["x_px"].between(x0, x0 + part.shape[1])]
        near = near[near["y_px"].between(y0, y0 + part.shape[0])]
        drawn = draw_pits(np.ascontiguousarray(part), near, scale=_SCALE, origin_px=(x0, y0))
        ax = figure.add_subplot(down, across, place)
        edges = (x0 - 0.5, x0 + part.shape[1] - 0.5, y0 + part.shape[0] - 0.5, y0 - 0.5)
        ax.imshow(drawn, extent=edges, interpolation="antialiased")
        for x_px, y_px in zip(x, y, strict=True):
            ax.plot([at_x, x_px], [at_y, y_px], color=COLOURS["missed"], lw=1.6)
        ax.plot(at_x, at_y, "+", color=COLOURS["missed"], ms=11, mew=2)
        ax.set(
            title=f"star {star['star']}: {star['kind']}, {star['prongs']} openings",
            xlabel=f"tile {tile}, x (px)",
            ylabel="y (px, down)",
        )
    return figure
