"""The style of all figures: colours and type."""

from typing import Any

__all__ = [
    "CLASS_COLOURS",
    "COLOURS",
    "GUIDE",
    "INK",
    "RC",
    "SERIES_COLOURS",
    "rgb",
]

# M. Okabe and K. Ito, Color Universal Design (2008): distinct for all kinds of colour blindness.
COLOURS = {
    "top": "#0072B2",
    "bottom": "#D55E00",
    "unknown": "#009E73",
    "pair": "#CC79A7",
    "missed": "#F0E442",
}
"""One colour per surface, the same in every figure; pairs and missed truths have their own."""

CLASS_COLOURS = {
    "hip": COLOURS["pair"],
    "top": COLOURS["top"],
    "bottom": COLOURS["bottom"],
    "misc": "#8A8A8A",
}
"""One colour per class, that of its surface; signal has that of pairs. Other classes are grey."""

SERIES_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of lines that stand for no surface, as experts and methods; they repeat in this order."""

INK = "#222222"

GUIDE: Any = {"color": "#777777", "lw": 1.2}
"""Keyword arguments of the line of chance, of perfection, or between classes."""

RC: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": "#666666",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "text.color": INK,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}
"""Parameters for ``matplotlib.rc_context``, in which figures are drawn and saved."""


def rgb(name: str) -> tuple[int, int, int]:
    """Return one of ``COLOURS`` as 8-bit red, green, blue.

    >>> rgb("top")
    (0, 114, 178)
    """
    code = COLOURS[name]
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)
