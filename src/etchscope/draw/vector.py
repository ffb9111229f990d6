"""Figures as vector graphics, SVG or PDF, beside their PNG."""

import io
import re
from typing import Literal

import matplotlib as mpl
from matplotlib.figure import Figure

from etchscope.draw.png import encode_figure
from etchscope.draw.style import RC

__all__ = ["FigureFormat", "encode_formats"]

FigureFormat = Literal["png", "svg", "pdf"]
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Entries that would make the bytes depend on time or on the version of Matplotlib."""


def encode_formats(figure: Figure, form: FigureFormat) -> dict[str, bytes]:
    """Return the bytes of a figure as PNG and in another format, by the suffix of the file.

    The same figure gives the same bytes. Without another format, ``png``, there is one entry.
    """
    files = {"png": encode_figure(figure)}
    if form != "png":
        buffer = io.BytesIO()
        # Matplotlib makes identifiers of SVG from the salt, which is random by default.
        with mpl.rc_context({**RC, "svg.hashsalt": "etchscope"}):
            figure.savefig(buffer, format=form, metadata=_METADATA[form])
        data = buffer.getvalue()
        files[form] = _number_clips(data) if form == "svg" else data
    return files


def _number_clips(svg: bytes) -> bytes:
    """Return an SVG with its clipping rectangles numbered.

    Matplotlib names them after their exact sizes, which vary in the last digit from layout to
    layout.
    """
    text = svg.decode("utf-8")
    names = dict.fromkeys(re.findall(r'<clipPath id="(\w+)"', text))
    numbers = {name: f"clip{n}" for n, name in enumerate(names)}
    found = re.compile(r'(?<=<clipPath id=")\w+(?=")|(?<=url\(#)\w+(?=\))')
    return found.sub(lambda match: numbers.get(match[0], match[0]), text).encode("utf-8")
