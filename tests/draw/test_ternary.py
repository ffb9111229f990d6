import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from etchscope.draw.efficiency import draw_roc
from etchscope.draw.png import encode_figure
from etchscope.draw.style import CLASS_COLOURS, SERIES_COLOURS
from etchscope.draw.ternary import draw_ternary
from etchscope.foil import BadInput


def _probabilities():
    rows = [
        (0.9, 0.05, 0.05, 0.0),
        (0.1, 0.3, 0.1, 0.5),
        (0.0, 0.8, 0.1, 0.1),
        (0.0, 0.7, 0.2, 0.1),
        (0.1, 0.1, 0.7, 0.1),
        (0.0, 0.1, 0.1, 0.8),
        (0.0, 0.0, 0.0, 1.0),
        (np.nan,) * 4,
    ]
    index = [10, 11, 12, 13, 14, 15, 16, 17]
    return pd.DataFrame(rows, index, ["p_hip", "p_top", "p_bottom", "p_misc"])


def _points(figure):
    """Colour → the hip, top and bottom shares of its points, in the order of drawing."""
    ax = figure.axes[0]
    # Drawn is x, y in a triangle of height 1 whose corners are hip above, top left, bottom right.
    corners = np.array([[0, 1], [-1 / np.sqrt(3), 0], [1 / np.sqrt(3), 0]])
    system = np.vstack([corners.T, np.ones(3)])
    out = {}
    for drawn in ax.collections:
        xy = np.asarray(drawn.get_offsets())
        shares = np.linalg.solve(system, np.vstack([xy.T, np.ones(len(xy))])).T
        out[to_hex(drawn.get_facecolor()[0]).upper()] = shares
    return out


def _labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_points_are_renormalised_by_what_is_not_misc():
    p = _probabilities()
    figure = draw_ternary(p)
    points = _points(figure)
    assert len(points[CLASS_COLOURS["hip"]]) == 1
    assert points[CLASS_COLOURS["hip"]][0] == pytest.approx([0.9, 0.05, 0.05])
    assert points[CLASS_COLOURS["top"]] == pytest.approx(
        np.array([[0, 0.8, 0.1], [0, 0.7, 0.2]]) / 0.9
    )
    misc = points[CLASS_COLOURS["misc"].upper()]
    assert misc == pytest.approx(np.array([[0.2, 0.6, 0.2], [0, 0.5, 0.5]]))
    left_out = "2 not shown: no probability, or surely misc"
    assert set(_labels(figure)) == {"top (2)", "misc (2)", "hip (1)", "bottom (1)", left_out}


def test_every_point_is_drawn_the_rarest_class_last():
    rng = np.random.default_rng(0)
    p = pd.DataFrame(rng.dirichlet([1, 1, 1], 10_000), columns=["p_hip", "p_top", "p_bottom"])
    truth = pd.Series(["top"] * 6000 + ["hip"] * 30 + ["bottom.spallation"] * 3970)
    figure = draw_ternary(p, truth)
    points = _points(figure)
    assert list(points) == [CLASS_COLOURS[name] for name in ("top", "bottom", "hip")]
    assert [len(v) for v in points.values()] == [6000, 3970, 30]
    first, _, last = figure.axes[0].collections
    assert first.get_alpha() < 0.25
    assert last.get_alpha() == 0.9
    assert _labels(figure) == ["top (6,000)", "bottom (3,970)", "hip (30)"]


def test_the_corners_are_named_in_the_colours_of_the_classes():
    ax = draw_ternary(_probabilities()).axes[0]
    labels = [axis.get_label() for axis in (ax.taxis, ax.laxis, ax.raxis)]
    assert [label.get_text() for label in labels] == ["hip", "top", "bottom"]
    assert [label.get_color() for label in labels] == [
        CLASS_COLOURS[name] for name in ("hip", "top", "bottom")
    ]


def test_a_truth_that_is_no_class_is_other():
    truth = pd.Series(
        ["hip", "maybe", None, "top", "top", "misc.dust", "misc", "hip"], range(10, 18)
    )
    labels = _labels(draw_ternary(_probabilities(), truth))
    assert {"other (2)", "top (2)", "hip (1)", "misc (1)"} <= set(labels)


def test_probabilities_that_are_none_are_refused():
    p = _probabilities()
    with pytest.raises(BadInput, match=r"add up to 1, found a row that is off by 0\.2"):
        draw_ternary(p.assign(p_misc=p["p_misc"] + 0.2 * (p.index == 10)))
    draw_ternary(p.assign(p_hip=p["p_hip"] + 0.0009 * (p.index == 11)))
    with pytest.raises(BadInput, match=r"numbers in \[0, 1\]"):
        draw_ternary(p.assign(p_hip=-p["p_hip"]))
    with pytest.raises(BadInput, match="found no p_top"):
        draw_ternary(p.drop(columns="p_top"))
    with pytest.raises(BadInput, match="one row or more with a place in the triangle, found none"):
        draw_ternary(p.loc[[16, 17]])
    with pytest.raises(BadInput, match="truth: expected the index of the probabilities"):
        draw_ternary(p, pd.Series(["hip"] * 8))


def _curve(rate, efficiency, name="false_positive_rate", **more):
    e = np.array(efficiency, float)
    own = {
        name: rate,
        "efficiency": e,
        "low": np.clip(e - 0.1, 0, 1),
        "high": np.clip(e + 0.1, 0, 1),
    }
    return pd.DataFrame(own | more)


def test_the_same_figure_gives_the_same_bytes_and_changes_no_setting():
    before = dict(mpl.rcParams)
    p = _probabilities()
    assert encode_figure(draw_ternary(p)) == encode_figure(draw_ternary(p))
    assert dict(mpl.rcParams) == before
    assert SERIES_COLOURS[0] == draw_roc({"a": _curve([0.5], [1])}).axes[0].lines[0].get_color()
