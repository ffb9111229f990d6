import pytest

from etchscope.draw.pairs import draw_pairs
from etchscope.draw.png import encode_figure


def test_the_chance_line_is_entries_times_the_cut(shown):
    pits = shown.pits
    figure = draw_pairs(pits, "t")
    dashed = figure.axes[2].lines[-1]
    assert dashed.get_ydata() == pytest.approx(60 * dashed.get_xdata())
    steps = figure.axes[2].lines[0].get_ydata()
    assert steps[-1] == 60
    assert sum(p.get_xy()[:, 1].max() for p in figure.axes[1].patches) == 60


def test_the_same_figure_gives_the_same_bytes(shown):
    pits = shown.pits
    assert encode_figure(draw_pairs(pits, "t")) == encode_figure(draw_pairs(pits, "t"))
