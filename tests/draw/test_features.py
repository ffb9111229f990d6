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


def test_axes_have_the_unit_of_the_finder(shown):
    axes = draw_features(shown.pits, "t").axes
    assert [axes[1].get_xlabel(), axes[2].get_ylabel()] == ["entry (σ)", "hip (log ratio)"]
    axes = draw_features(shown.pits.assign(x_px_err=0.1), "t").axes
    assert [axes[1].get_xlabel(), axes[1].get_ylabel()] == ["entry (log odds)", "exit (log odds)"]


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


@pytest.mark.parametrize("column", ["radius_px", "ellipticity", "contrast", "entry"])
def test_a_column_that_was_not_measured_is_left_empty(shown, column):
    pits = shown.pits.assign(**{column: np.nan})
    for figure in (draw_features(pits, "t"), draw_shapes(pits, None, "t")):
        assert len(encode_figure(figure)) > 5000
