import numpy as np
import pytest

from etchscope.draw.features import draw_features
from etchscope.draw.pairs import draw_pairs
from etchscope.draw.png import encode_figure
from etchscope.draw.shapes import draw_shapes
from etchscope.draw.style import COLOURS
from etchscope.foil import as_pits


def test_every_axis_of_every_figure_has_its_unit(shown):
    pits = shown.pits
    for figure in (draw_features(pits, "t"), draw_pairs(pits, "t")):
        for ax in figure.axes:
            assert ax.get_xlabel(), ax
            assert ax.get_ylabel(), ax


def test_feature_space_is_drawn_in_the_surfaces_colours(shown):
    figure = draw_features(shown.pits, "t")
    assert [ax.name for ax in figure.axes] == ["3d", "rectilinear", "rectilinear", "rectilinear"]
    assert {line.get_color() for line in figure.axes[1].lines} == {
        COLOURS["top"],
        COLOURS["bottom"],
    }


def test_a_wide_range_of_responses_is_shown_as_asinh(shown):
    pits = shown.pits
    pits.loc[0, "entry"] = 5000.0
    figure = draw_features(pits, "t")
    assert figure.axes[1].get_xscale() == "asinh"
    assert encode_figure(figure).startswith(b"\x89PNG")


def test_many_pits_are_thinned_and_the_legend_says_so():
    n = 30_000
    pits = as_pits({"entry": np.arange(n) / n, "exit": np.ones(n), "hip": np.ones(n)})
    figure = draw_features(pits, "t")
    assert len(figure.axes[1].lines[0].get_xdata()) == 20_000
    assert figure.legends[0].get_texts()[0].get_text() == "unknown (30,000, thinned)"


def test_histograms_lose_no_pit(shown):
    pits = shown.pits
    figure = draw_shapes(pits, 6.4516, "t")
    for ax in figure.axes[:3]:
        # A step outline visits each bin's height twice, between its two ends on the axis.
        assert [p.get_xy()[1:-1:2, 1].sum() for p in ax.patches] == [60, 60], ax.get_xlabel()


def test_the_chance_line_is_entries_times_the_cut(shown):
    pits = shown.pits
    figure = draw_pairs(pits, "t")
    dashed = figure.axes[2].lines[-1]
    assert dashed.get_ydata() == pytest.approx(60 * dashed.get_xdata())
    steps = figure.axes[2].lines[0].get_ydata()
    assert steps[-1] == 60
    assert sum(p.get_xy()[:, 1].max() for p in figure.axes[1].patches) == 60


@pytest.mark.parametrize("column", ["radius_px", "ellipticity", "contrast", "entry"])
def test_a_column_that_was_not_measured_is_left_empty(shown, column):
    pits = shown.pits.assign(**{column: np.nan})
    for figure in (draw_features(pits, "t"), draw_shapes(pits, None, "t")):
        assert len(encode_figure(figure)) > 5000


def test_the_same_figure_gives_the_same_bytes(shown):
    pits = shown.pits
    assert encode_figure(draw_pairs(pits, "t")) == encode_figure(draw_pairs(pits, "t"))
