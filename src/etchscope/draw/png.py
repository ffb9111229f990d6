"""Figures and pictures as the bytes of PNG files."""

import io
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from etchscope.draw.style import RC

__all__ = ["encode_figure", "encode_rgb", "encode_rgba", "rasterise"]


def encode_figure(figure: Figure) -> bytes:
    """Return a figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context(RC):  # Matplotlib makes some ticks only now
        # ``savefig`` gives the same bytes, but draws the figure once more, for its layout alone.
        canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
        canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def encode_rgb(picture: NDArray[np.uint8]) -> bytes:
    """Return a (y, x, 3) red, green, blue picture as PNG."""
    return cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()


def encode_rgba(picture: NDArray[np.uint8]) -> bytes:
    """Return a (y, x, 4) red, green, blue, alpha picture as PNG."""
    return cv2.imencode(".png", picture[:, :, [2, 1, 0, 3]])[1].tobytes()


def rasterise(figure: Figure) -> NDArray[np.uint8]:
    """Return a figure as (y, x, 3) red, green, blue."""
    with mpl.rc_context(RC):
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])
