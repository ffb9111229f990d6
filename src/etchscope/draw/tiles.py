"""One tile, enlarged, with the pits that were found on it."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from etchscope.draw.ellipses import draw_pits, stretch
from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import COLOURS, RC
from etchscope.draw.tables import select_pairs, split_by_surface
from etchscope.foil.types import Floats

__all__ = ["draw_tile"]

_WIDTH_PX = 1400
"""About how many pixels wide the enlarged picture is."""


@mpl.rc_context(RC)
def draw_tile(
    picture: NDArray[Any], pits: pd.DataFrame, title: str, *, missed_xy_px: Floats | None = None
) -> Figure:
    """Return a picture with each pit as an ellipse in its surface's colour, and pairs linked.

    Parameters
    ----------
    picture : (y, x), any real dtype.
    pits : pit table of this tile.
    missed_xy_px : (k, 2) places that are marked by crosses.
    """
    height, width = picture.shape
    scale = int(np.clip(round(_WIDTH_PX / width), 1, 8))
    drawn = draw_pits(stretch(picture), pits, scale=scale, missed_xy_px=missed_xy_px)
    made = make_figure(10.0, 10.0 * height / width + 0.9, title)
    ax = made.add_subplot()
    edges = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(drawn, extent=edges, interpolation="antialiased")
    ax.set(xlabel="x in the tile (px)", ylabel="y in the tile (px, down)")
    counts = {name: len(rows) for name, rows in split_by_surface(pits).items()}
    counts |= {"pair": len(select_pairs(pits))}
    counts["missed"] = 0 if missed_xy_px is None else len(missed_xy_px)
    handles = [
        Line2D([], [], color=COLOURS[name], lw=3, label=f"{name} ({count:,})")
        for name, count in counts.items()
        if count
    ]
    if handles:
        made.legend(handles=handles, loc="outside lower left", ncols=len(handles))
    return made
