"""The cut-outs of a candidate side by side, and the saliency over one of them."""

from collections.abc import Sequence
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import RC, SERIES_COLOURS
from etchscope.foil.types import FloatImage, FloatStack

__all__ = ["draw_strip", "draw_strips"]

_CELL_PX = 56
"""Side of a cut-out in the file; a browser enlarges it twofold, which saves three quarters of the
bytes."""
_GAP_PX = 2
_LAST = ("backlit", "halo")
_SALIENT = np.array([int(SERIES_COLOURS[4][i : i + 2], 16) for i in (1, 3, 5)], float)


def draw_strip(
    cutouts: FloatStack, channel_names: Sequence[str], saliency: NDArray[Any] | None = None
) -> tuple[NDArray[np.uint8], list[str]]:
    """Return the strip as (y, x, 4) red, green, blue, alpha, and the names of its cells.

    The bulk is mid-grey. Directional cut-outs come first and share one scale, so that lamps can be
    compared; each of the others has its own. The saliency lies over the backlit one.

    Parameters
    ----------
    cutouts : (channel, y, x) float32, square, normalised, the bulk at 0; NaN is shown as bulk.
    channel_names : of the cut-outs, in their order.
    saliency : (y, x) float of the size of a cut-out; its absolute value is drawn.
    """
    names = list(channel_names)
    kinds = [next((n for n, k in enumerate(_LAST, 1) if k in name.lower()), 0) for name in names]
    order = sorted(range(len(names)), key=lambda i: kinds[i])
    directional = [i for i in order if kinds[i] == 0]
    common = _reach(cutouts[directional]) if directional else 0.0
    greys = {i: _grey(cutouts[i], _reach(cutouts[i]) if kinds[i] else common) for i in order}
    cells = [np.repeat(greys[i][:, :, None], 3, axis=2) for i in order]
    shown = [names[i] for i in order]
    if saliency is not None:
        base = next((i for i in order if kinds[i] == 1), order[0])
        cells.append(_overlaid(greys[base], np.abs(np.nan_to_num(saliency, posinf=0))))
        shown.append(f"saliency over {names[base]}")
    return _side_by_side(cells), shown


@mpl.rc_context(RC)
def draw_strips(
    strips: Sequence[tuple[NDArray[np.uint8], list[str]]], captions: Sequence[str], title: str
) -> Figure:
    """Return strips below each other, the best candidate on top.

    Parameters
    ----------
    strips : of ``draw_strip``, one or more.
    captions : one per strip.
    """
    height, width = strips[0][0].shape[:2]
    wide = 10.0
    high = wide * height / width + 0.45
    made = make_figure(wide, high * len(strips) + 0.5, title, dpi=110)
    axes = made.subplots(len(strips), 1, squeeze=False)[:, 0]
    for ax, (picture, names), caption in zip(axes, strips, captions, strict=True):
        ax.imshow(picture, interpolation="antialiased")
        ax.set_title(caption, fontsize=9, fontweight="normal")
        cell = (picture.shape[1] + _GAP_PX) / len(names)
        ax.set_xticks([cell * (k + 0.5) for k in range(len(names))], names, fontsize=7)
        ax.set_yticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    return made


def _side_by_side(cells: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return cells of one size, enlarged, with a transparent gap between them."""
    side = cells[0].shape[0]
    width = side * max(1, round(_CELL_PX / side))
    out = np.zeros((width, len(cells) * (width + _GAP_PX) - _GAP_PX, 4), np.uint8)
    for place, cell in enumerate(cells):
        x = place * (width + _GAP_PX)
        large = cv2.resize(cell, (width, width), interpolation=cv2.INTER_CUBIC)
        out[:, x : x + width, :3], out[:, x : x + width, 3] = large, 255
    return out


def _reach(values: NDArray[Any]) -> float:
    """Return the distance from the bulk that is drawn as black or white."""
    finite = np.abs(values[np.isfinite(values)])
    return float(np.percentile(finite, 99.5)) if finite.size else 0.0


def _grey(cutout: FloatImage, reach: float) -> NDArray[np.uint8]:
    values = np.nan_to_num(cutout, nan=0.0)
    share = np.clip(values / reach, -1, 1) if reach > 0 else np.zeros_like(values)
    grey: NDArray[np.uint8] = np.rint(127.5 + 127.5 * share).astype(np.uint8)
    return grey


def _overlaid(grey: NDArray[np.uint8], salient: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a grey picture with colour where it is salient, as (y, x, 3) red, green, blue."""
    most = float(salient.max())
    weight = (0.8 * salient / most if most > 0 else np.zeros_like(salient, float))[:, :, None]
    mixed = grey[:, :, None] * (1 - weight) + _SALIENT * weight
    out: NDArray[np.uint8] = np.rint(mixed).astype(np.uint8)
    return out
