import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from etchscope.draw.calibration import draw_reliability
from etchscope.draw.confusion import draw_confusion
from etchscope.draw.efficiency import draw_froc, draw_roc
from etchscope.draw.png import encode_figure
from etchscope.draw.style import CLASS_COLOURS, SERIES_COLOURS
from etchscope.draw.ternary import draw_ternary
from etchscope.evaluate import proportion
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
    told = "2 not shown: no probability, or surely misc"
    assert set(_labels(figure)) == {"top (2)", "misc (2)", "hip (1)", "bottom (1)", told}


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
    assert "working point: 70.0 % at 0.5 a tile" in _labels(figure)
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


def test_reliability_shows_bins_with_their_exact_intervals():
    p = np.array([0.1, 0.2, 0.3, 0.6, 0.8, 0.9])
    came_true = np.array([False, False, True, True, False, True])
    figure = draw_reliability(p, came_true, bins=2)
    ax, below = figure.axes
    (container,) = ax.containers
    points, _, (bars,) = container.lines
    assert points.get_xdata() == pytest.approx([0.2, 2.3 / 3])
    assert points.get_ydata() == pytest.approx([1 / 3, 2 / 3])
    for segment, k in zip(bars.get_segments(), (1, 2), strict=True):
        exact = proportion(k, 3)
        assert segment[:, 1] == pytest.approx([exact.low, exact.high])
    perfect = ax.lines[0]
    assert list(perfect.get_xdata()) == list(perfect.get_ydata()) == [0, 1]
    # (0.4/3 + 0.1)/2, see the tests of the table
    assert figure.get_suptitle() == "Reliability: expected calibration error 0.117"
    outlines = [patch.get_xy()[1:-1:2, 1].sum() for patch in below.patches]
    assert outlines == [3, 3]
    with pytest.raises(BadInput, match="one case or more to draw"):
        draw_reliability(np.zeros(0), np.zeros(0, bool))


def test_a_confusion_matrix_tells_counts_and_shares_of_the_true_class():
    counts = pd.DataFrame(
        [[8, 2, 0], [1, 3, 0], [0, 0, 0]],
        ["hip", "top", "misc"],
        ["hip", "top", "undecided"],
    )
    figure = draw_confusion(counts)
    ax = figure.axes[0]
    texts = [t.get_text() for t in ax.texts]
    assert texts[:5] == ["8\n80.0 %", "2\n20.0 %", "0\n0.0 %", "1\n25.0 %", "3\n75.0 %"]
    assert texts[6:] == ["–"] * 3
    assert figure.get_suptitle() == "11 of 14 decided as they are true"
    assert [t.get_text() for t in ax.get_yticklabels()] == ["hip (10)", "top (4)", "misc (0)"]
    assert ax.images[0].get_array().tolist()[1] == [25, 75, 0]


def test_counts_that_are_none_are_refused():
    good = pd.DataFrame({"a": [1]}, ["a"])
    draw_confusion(good)
    for bad, message in (
        (good * 0, "one case or more"),
        (good.iloc[:0], "one case or more"),
        (good - 2, "whole numbers of at least 0"),
        (good * 0.5, "whole numbers of at least 0"),
        (good * np.nan, "whole numbers of at least 0"),
    ):
        with pytest.raises(BadInput, match=message):
            draw_confusion(bad)


def test_the_same_figure_gives_the_same_bytes_and_changes_no_setting():
    before = dict(mpl.rcParams)
    p = _probabilities()
    assert encode_figure(draw_ternary(p)) == encode_figure(draw_ternary(p))
    assert dict(mpl.rcParams) == before
    assert SERIES_COLOURS[0] == draw_roc({"a": _curve([0.5], [1])}).axes[0].lines[0].get_color()
