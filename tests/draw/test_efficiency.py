import numpy as np
import pandas as pd
import pytest

from etchscope.draw.efficiency import draw_froc, draw_roc
from etchscope.draw.png import encode_figure
from etchscope.foil import BadInput


def _labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def _curve(rate, efficiency, name="false_positive_rate", **more):
    e = np.array(efficiency, float)
    own = {
        name: rate,
        "efficiency": e,
        "low": np.clip(e - 0.1, 0, 1),
        "high": np.clip(e + 0.1, 0, 1),
    }
    return pd.DataFrame(own | more)


def test_a_roc_starts_with_what_it_reaches_below_its_axis():
    figure = draw_roc({"ensemble": _curve([1, 0, 1e-5, 1e-2], [1, 0.2, 0.5, 0.8])})
    ax = figure.axes[0]
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == (1e-4, 1)
    line, chance = ax.lines
    assert line.get_xdata() == pytest.approx([1e-4, 1e-2, 1])
    assert line.get_ydata() == pytest.approx([0.5, 0.8, 1])
    assert line.get_drawstyle() == "steps-post"
    assert chance.get_xdata() == pytest.approx(chance.get_ydata())
    y = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert y.min() == pytest.approx(0.4)
    assert y.max() == pytest.approx(1.0)
    assert _labels(figure) == ["ensemble", "chance"]


def test_a_froc_has_its_chance_level_and_working_point():
    table = _curve([0, 0.2, 4], [0.3, 0.7, 0.9], "false_per_tile", chance=[0, 0.01, 0.1])
    figure = draw_froc({"net": table}, tile_cm2=0.125, working_point=(0.5, 0.7))
    ax = figure.axes[0]
    line, chance, _, point = ax.lines
    assert line.get_xdata() == pytest.approx([0.1, 0.2, 4])
    assert line.get_ydata() == pytest.approx([0.3, 0.7, 0.9])
    assert chance.get_ydata() == pytest.approx([0, 0.01, 0.1])
    assert chance.get_linestyle() == ":"
    assert "chance by local shifts, in the colour of its list" in _labels(figure)
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (0.5, 0.7)
    assert "working point: 70.0 % at 0.5 per tile" in _labels(figure)
    (second,) = ax.child_axes
    assert second.get_xlabel() == "false candidates per cm²"
    figure.draw_without_rendering()
    assert second.get_xlim() == pytest.approx(np.array(ax.get_xlim()) / 0.125)
    assert not draw_froc({"net": table}).axes[0].child_axes


def test_a_froc_without_any_false_candidate_is_drawn():
    table = _curve([0, 0], [0.3, 0.7], "false_per_tile", chance=[0, 0])
    figure = draw_froc({"net": table}, tile_cm2=1.0, working_point=(0, 0.7))
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([0.7])
    assert encode_figure(figure).startswith(b"\x89PNG")


def test_curves_that_are_none_are_refused():
    with pytest.raises(BadInput, match="curve: expected one curve or more"):
        draw_roc({})
    with pytest.raises(BadInput, match=r"curve a: expected the columns .* found no chance"):
        draw_froc({"a": _curve([1], [1], "false_per_tile")})
    with pytest.raises(BadInput, match="curve a: false_positive_rate: expected 0 to 1"):
        draw_roc({"a": _curve([2.0], [1])})
    with pytest.raises(BadInput, match="curve a: efficiency, low, high: expected 0 to 1"):
        draw_roc({"a": _curve([0.5], [93])})
    with pytest.raises(BadInput, match="tile_cm2: expected an area above 0"):
        draw_froc({"a": _curve([1], [1], "false_per_tile", chance=[0])}, tile_cm2=0)
