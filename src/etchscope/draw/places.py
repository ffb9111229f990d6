"""A place of a tile: its lights, raw beside cleaned, and the frames of its animations."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.patches import Ellipse
from numpy.typing import NDArray

from etchscope.background.place_views import PlaceView
from etchscope.draw.closeups import add_scale_bar
from etchscope.draw.ellipses import ellipse_axes_px
from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.style import COLOURS, RC
from etchscope.foil import Channel
from etchscope.foil.types import FloatImage, FloatStack

__all__ = ["draw_beside", "draw_lamp_frames", "draw_lights", "draw_map_frames"]

_PANEL_IN = 2.6
_FRAME_IN = 4.4
_QUANTILES = (0.005, 0.995)
_SCORES = (-2.0, 3.0)
_TITLES = {
    "divergence": "divergence",
    "cleaned": "cleaned",
    "residual": "residual: found pits taken out",
    "anomaly": "anomaly score",
}


@mpl.rc_context(RC)
def draw_lights(view: PlaceView, *, cleaned: bool) -> Figure:
    """Return each light at the place, raw or cleaned; all lamps have one grey scale.

    Parameters
    ----------
    cleaned : whether the cleaned pictures are drawn.
    """
    pictures = view.cleaned if cleaned else view.raw
    number = len(pictures)
    across = min(number, 5)
    down = -(-number // across)
    what = "cleaned" if cleaned else "raw"
    width = max(_PANEL_IN * across, 4.5)
    figure = make_figure(width, (_PANEL_IN + 0.3) * down + 0.5, f"{_title(view)}, {what}", dpi=110)
    common = _limits(view.raw[view.lamps]) if view.lamps else None
    for k, (picture, channel) in enumerate(zip(pictures, view.channels, strict=True)):
        ax = figure.add_subplot(down, across, k + 1)
        limits = common if channel.role == "directional" and common else _limits(view.raw[k])
        _show(ax, view, picture, _moved(limits, view.raw[k], picture))
        ax.set_title(_caption(channel), fontsize=9, fontweight="normal")
    return figure


@mpl.rc_context(RC)
def draw_beside(view: PlaceView) -> Figure:
    """Return the raw picture beside the cleaned one, with the found openings on the latter.

    It is the backlit picture, or the first one. The grey scales of both have the same span.
    """
    figure = make_figure(2 * _FRAME_IN, _FRAME_IN + 0.5, _title(view), dpi=110)
    limits = _limits(view.raw[view.main])
    for place, (name, pictures) in enumerate((("raw", view.raw), ("cleaned", view.cleaned)), 1):
        ax = figure.add_subplot(1, 2, place)
        picture = pictures[view.main]
        _show(ax, view, picture, _moved(limits, view.raw[view.main], picture))
        if name == "cleaned":
            _outline(ax, view)
        ax.set_title(f"{name}, {_caption(view.channels[view.main])}", fontweight="normal")
    return figure


@mpl.rc_context(RC)
def draw_lamp_frames(view: PlaceView) -> list[Figure]:
    """Return a frame for each lamp in order of azimuth, all in one grey scale."""
    if not view.lamps:
        return []
    limits = _limits(view.raw[view.lamps])
    return [_frame(view, view.raw[k], limits, _caption(view.channels[k])) for k in view.lamps]


@mpl.rc_context(RC)
def draw_map_frames(view: PlaceView) -> list[Figure]:
    """Return a frame for each map that is known, with the openings over the cleaned picture."""
    frames = []
    for name, picture in view.maps.items():
        outlined = name == "cleaned"
        limits = _SCORES if name == "anomaly" else _limits(picture)
        if name == "residual":
            limits = _limits(view.maps["cleaned"])
        title = _TITLES[name] + (", openings found" if outlined else "")
        frames.append(_frame(view, picture, limits, title, outlined=outlined))
    return frames


def _frame(
    view: PlaceView,
    picture: FloatImage,
    limits: tuple[float, float],
    title: str,
    *,
    outlined: bool = False,
) -> Figure:
    figure = make_figure(_FRAME_IN, _FRAME_IN + 0.3, dpi=100)
    ax = figure.add_subplot()
    _show(ax, view, picture, limits)
    if outlined:
        _outline(ax, view)
    ax.set_title(title, fontsize=10, fontweight="normal")
    return figure


def _show(ax: Any, view: PlaceView, picture: FloatImage, limits: tuple[float, float]) -> None:
    cut = view.cut
    edges = (cut.x - 0.5, cut.x + cut.width - 0.5, cut.y + cut.height - 0.5, cut.y - 0.5)
    ax.set_facecolor("#7799bb")  # shows where nothing is known
    ax.imshow(
        np.ma.masked_invalid(picture),
        cmap="gray",
        vmin=limits[0],
        vmax=limits[1],
        extent=edges,
        interpolation="nearest",
    )
    ax.set_xticks([])
    ax.set_yticks([])
    if view.pixel_size_um is not None:
        add_scale_bar(ax, edges, view.pixel_size_um)


def _outline(ax: Any, view: PlaceView) -> None:
    """Draw the found openings as ellipses in the colours of their surfaces."""
    limits = ax.get_xlim(), ax.get_ylim()
    for row, a, b in zip(view.pits.to_dict("records"), *ellipse_axes_px(view.pits), strict=True):
        colour = COLOURS.get(str(row["surface"]), COLOURS["unknown"])
        angle = 0.0 if not np.isfinite(row["angle_deg"]) else -float(row["angle_deg"])
        place = (float(row["x_px"]), float(row["y_px"]))
        ax.add_patch(Ellipse(place, a, b, angle=angle, fill=False, edgecolor=colour, linewidth=1.6))
    ax.set(xlim=limits[0], ylim=limits[1])


def _limits(pictures: FloatStack | NDArray[Any]) -> tuple[float, float]:
    """Return the values of black and white: nearly the least and the greatest."""
    finite = pictures[np.isfinite(pictures)]
    low, high = np.quantile(finite, _QUANTILES).tolist() if finite.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 1, low + 1)


def _moved(
    limits: tuple[float, float], raw: FloatImage, picture: FloatImage
) -> tuple[float, float]:
    """Return limits that show the ground of a picture as grey as that of the raw one."""
    step = float(np.median(picture) - np.median(raw))
    return limits[0] + step, limits[1] + step


def _caption(channel: Channel) -> str:
    if channel.azimuth_deg is not None:
        return f"lamp at {channel.azimuth_deg % 360:g}°"
    return channel.role


def _title(view: PlaceView) -> str:
    return f"{view.scan}, tile {view.tile}, {view.x_px:.0f},{view.y_px:.0f}"
