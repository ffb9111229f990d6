"""The legend of surfaces that figures of pits share."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from etchscope.draw.style import COLOURS

__all__ = ["add_surface_legend"]


def add_surface_legend(figure: Figure, labels: dict[str, str]) -> None:
    """Put a legend of surfaces below a figure.

    Parameters
    ----------
    labels : surface → its text.
    """
    handles = [
        Line2D([], [], ls="none", marker="o", color=COLOURS[name], label=label)
        for name, label in labels.items()
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
