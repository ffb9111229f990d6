"""All pictures of one tile side by side, with the true openings where they are known."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.patches import Ellipse

from etchscope.draw.ellipses import ellipse_axes_px
from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import COLOURS, RC
from etchscope.foil import Channel
from etchscope.foil.types import RawStack

__all__ = ["draw_channels"]


@mpl.rc_context(RC)
def draw_channels(
    stack: RawStack,
    channels: tuple[Channel, ...],
    title: str,
    pits: pd.DataFrame | None = None,
    *,
    columns: int = 4,
) -> Figure:
    """Return every channel of a tile in its own grey levels.

    Parameters
    ----------
    stack : (channel, y, x) pictures.
    channels : of the pictures, in their order.
    title : of the figure.
    pits : are drawn as ellipses into one more panel: ``x_px, y_px, radius_px, ellipticity,
        angle_deg, surface``.
    columns : number of panels per row.
    """
    height, width = stack.shape[1:]
    panels = len(channels) + (pits is not None)
    rows = -(-panels // columns)
    wide = 3.4
    figure = make_figure(wide * columns, rows * (wide * height / width + 0.3), title, dpi=110)
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, channel, picture in zip(axes, channels, stack, strict=False):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=_limit(picture), interpolation="antialiased")
        ax.set_title(_caption(channel), fontsize=9, fontweight="normal")
    if pits is not None:
        ax, last = axes[len(channels)], stack[-1]
        ax.imshow(np.full(last.shape, 255, np.uint8), cmap="gray", vmin=0, vmax=255)
        _draw(ax, pits)
        ax.set_xlim(-0.5, width - 0.5)
        ax.set_ylim(height - 0.5, -0.5)
        ax.set_title(
            f"truth: {len(pits)} openings, top blue, bottom orange",
            fontsize=9,
            fontweight="normal",
        )
    return figure


def _limit(picture: RawStack) -> float:
    """Return the grey level that is drawn as white: 255, or the greatest one of 16 bits."""
    return 255.0 if picture.dtype == np.uint8 else float(max(picture.max(), 1))


def _caption(channel: Channel) -> str:
    where = "" if channel.azimuth_deg is None else f" {channel.azimuth_deg % 360:g}°"
    focus = "" if channel.focus_um is None else f", focus {channel.focus_um:g} µm"
    return f"{channel.step}: {channel.role}{where}{focus}"


def _draw(ax: mpl.axes.Axes, pits: pd.DataFrame) -> None:
    major, minor = ellipse_axes_px(pits)
    for row, a, b in zip(pits.itertuples(), major, minor, strict=True):
        colour = COLOURS[str(row.surface)]
        place = (float(row.x_px), float(row.y_px))  # type: ignore[arg-type]
        angle = -float(row.angle_deg)  # type: ignore[arg-type]
        ax.add_patch(Ellipse(place, a, b, angle=angle, fill=False, edgecolor=colour, linewidth=0.8))
