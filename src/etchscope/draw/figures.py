"""An empty figure in the common style, which a notebook shows as it is."""

from matplotlib import figure

from etchscope.draw.png import encode_figure

__all__ = ["Figure", "make_figure"]


class Figure(figure.Figure):
    """A figure that a notebook shows as it is, whatever the back end."""

    def _repr_png_(self) -> bytes:
        return encode_figure(self)


def make_figure(width_in: float, height_in: float, title: str = "", *, dpi: int = 130) -> Figure:
    """Return an empty figure in the common style; its title stands on the left."""
    figure = Figure((width_in, height_in), dpi=dpi, layout="constrained", facecolor="white")
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure
