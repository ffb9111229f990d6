"""Single tiles at full resolution: close-ups, and cut-outs of pairs and candidates."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from etchscope.draw.ellipses import cut_window, draw_pits, stretch
from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.png import encode_rgb
from etchscope.draw.style import COLOURS, RC
from etchscope.draw.tables import SURFACES, format_count, select_pairs
from etchscope.evaluation import Evaluation
from etchscope.foil.types import Floats

__all__ = ["add_scale_bar", "choose_tiles", "draw_closeups", "draw_cutout", "draw_cutouts"]

_CLOSE_UP_PX = (360, 480)
_PANEL_PX = 960
_CUTOUT_PX = (48, 48)


def choose_tiles(pits: pd.DataFrame, number: int = 4) -> list[int]:
    """Return the tiles to look at first: alternately of the best pairs and with the most pits.

    Parameters
    ----------
    pits : a pit table.
    number : of tiles at most.
    """
    best = select_pairs(pits)["tile"].drop_duplicates().tolist()
    counts = pits["tile"].value_counts(sort=False)
    busiest = sorted(counts.index.tolist(), key=lambda t: (-int(counts[t]), t))
    turns = [t for turn in zip(best, busiest, strict=False) for t in turn]
    return [int(t) for t in dict.fromkeys([*turns, *best, *busiest])][:number]


@mpl.rc_context(RC)
def draw_closeups(
    pits: pd.DataFrame,
    thumbnails: Callable[[int], NDArray[Any]],
    title: str,
    *,
    evaluation: Evaluation | None = None,
    pixel_size_um: float | None = None,
) -> Figure:
    """Return up to four tiles, at least twice enlarged, with the pits as ellipses.

    Of a tile larger than 480 × 360 px the part around its best pair is shown, or its middle.

    Parameters
    ----------
    pits : a pit table.
    thumbnails : tile number → its picture, (y, x), any real dtype.
    title : of the figure.
    evaluation : marks the truths that were missed.
    pixel_size_um : adds a scale bar; None for an unknown scale.
    """
    tiles = choose_tiles(pits)
    across = 2 if len(tiles) > 1 else 1
    down = max(1, -(-len(tiles) // across))
    figure = make_figure(6.4 * across, 5.0 * down + 0.9, title, dpi=150)
    missed = _missed(evaluation)
    pairs = select_pairs(pits)
    for place, number in enumerate(tiles, 1):
        own, own_pairs = pits[pits["tile"] == number], pairs[pairs["tile"] == number]
        whole = stretch(thumbnails(number))
        height, width = whole.shape
        x, y = (width / 2, height / 2)
        if len(own_pairs):
            x, y = (float(v) for v in own_pairs[["x_px", "y_px"]].iloc[0])
        part, x0, y0 = cut_window(whole, x, y, _CLOSE_UP_PX)
        lost = missed.get(number)
        scale = int(np.clip(_PANEL_PX // part.shape[1], 2, 8))
        drawn = draw_pits(part, own, scale=scale, origin_px=(x0, y0), missed_xy_px=lost)
        ax = figure.add_subplot(down, across, place)
        edges = (x0 - 0.5, x0 + part.shape[1] - 0.5, y0 + part.shape[0] - 0.5, y0 - 0.5)
        ax.imshow(drawn, extent=edges, interpolation="antialiased")
        if pixel_size_um is not None:
            add_scale_bar(ax, edges, pixel_size_um)
        heading = f"tile {number}: {format_count(len(own), 'pit')}"
        if len(own_pairs):
            least = own_pairs["pair_p"].iloc[0]
            heading += f", {format_count(len(own_pairs), 'pair')}" + (
                f", best p = {least:.2g}" if np.isfinite(least) else ""
            )
        ax.set(title=heading, xlabel="x in the tile (px)", ylabel="y in the tile (px, down)")
    present = [*SURFACES, *(["pair"] if len(pairs) else []), *(["missed"] if missed else [])]
    kinds = [k for k in present if k not in SURFACES or _has(pits, k)]
    handles = [Line2D([], [], color=COLOURS[k], lw=3, label=k) for k in kinds]
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
    return figure


def draw_cutout(picture: NDArray[np.uint8], pits: pd.DataFrame, x_px: float, y_px: float) -> bytes:
    """Return a 48 × 48 px cut-out around a place, three times enlarged, as PNG.

    Parameters
    ----------
    picture : (y, x) uint8 of the tile.
    pits : of the tile; they are drawn as ellipses.
    x_px, y_px : the place.
    """
    part, x0, y0 = cut_window(picture, x_px, y_px, _CUTOUT_PX)
    near = pits[pits["x_px"].between(x0 - 30, x0 + 78) & pits["y_px"].between(y0 - 30, y0 + 78)]
    drawn = draw_pits(np.ascontiguousarray(part), near, scale=3, origin_px=(x0, y0))
    return encode_rgb(drawn)


def draw_cutouts(
    pairs: pd.DataFrame, pits: pd.DataFrame, thumbnails: Callable[[int], NDArray[Any]]
) -> list[bytes]:
    """Return one PNG per pair, in the order of ``pairs``, centred between entry and exit pit.

    Parameters
    ----------
    pairs : rows of the entry pits; a pit without a partner is centred itself.
    pits : the pit table, whose rows are drawn as ellipses.
    thumbnails : tile number → its picture, (y, x), any real dtype.
    """
    out: dict[int, bytes] = {}
    for number, rows in pairs.reset_index(drop=True).groupby("tile"):
        picture = stretch(thumbnails(int(str(number))))
        own = pits[pits["tile"] == number]
        for row in rows.to_dict("records"):
            dx, dy = (row[k] if np.isfinite(row[k]) else 0.0 for k in ("pair_dx_px", "pair_dy_px"))
            place = row["x_px"] + dx / 2, row["y_px"] + dy / 2
            out[int(rows.index[rows["pit"] == row["pit"]][0])] = draw_cutout(picture, own, *place)
    return [out[i] for i in range(len(pairs))]


def _has(pits: pd.DataFrame, surface: str) -> bool:
    named = pits["surface"].isin(SURFACES[:2])
    return bool((~named).any() if surface == "unknown" else (pits["surface"] == surface).any())


def add_scale_bar(ax: Any, edges: tuple[float, float, float, float], pixel_size_um: float) -> None:
    """Draw a bar of 1, 2 or 5 times a power of ten micrometres into the lower right corner.

    Parameters
    ----------
    ax : axes of the picture.
    edges : left, right, bottom and top of the picture in pixels.
    """
    span_um = (edges[1] - edges[0]) * pixel_size_um
    power = 10 ** np.floor(np.log10(span_um / 4))
    length = max(m for m in (1, 2, 5) if m * power <= span_um / 4) * power
    x, y = edges[1] - 0.04 * (edges[1] - edges[0]), edges[2] - 0.05 * (edges[2] - edges[3])
    ax.plot([x - length / pixel_size_um, x], [y, y], color="black", lw=6, solid_capstyle="butt")
    ax.plot([x - length / pixel_size_um, x], [y, y], color="white", lw=3, solid_capstyle="butt")
    box = {"fc": "black", "ec": "none", "alpha": 0.6, "pad": 1.5}
    middle = x - length / pixel_size_um / 2
    up = 0.025 * (edges[2] - edges[3])
    ax.text(middle, y - up, f"{length:g} µm", color="white", ha="center", va="bottom", bbox=box)


def _missed(evaluation: Evaluation | None) -> dict[int, Floats]:
    """Return tile → (k, 2) places in pixels of the truths that were missed."""
    if evaluation is None or evaluation.unit != "px" or "tile" not in evaluation.truth.columns:
        return {}
    lost = evaluation.truth[~evaluation.matching.truth_hit]
    return {
        int(str(number)): rows[["x_px", "y_px"]].to_numpy(float)
        for number, rows in lost.groupby("tile")
    }
