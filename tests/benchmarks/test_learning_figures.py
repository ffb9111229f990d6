import numpy as np
import pandas as pd
import pytest

from etchscope.draw.png import encode_figure
from etchscope.foil import BadInput
from learning_figures import draw_ablation, draw_label_efficiency


def _ablation():
    return pd.DataFrame(
        {
            "channels": ["backlit", "all", "backlit", "all"],
            "expert": ["one", "one", "two", "two"],
            "balanced_accuracy": [0.7, 0.9, 0.8, 0.95],
            "spread": [0.02, 0.01, np.nan, 0.03],
        }
    )


def test_an_ablation_ranks_the_channels_and_draws_their_spread():
    figure = draw_ablation(_ablation())
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["backlit", "all"]
    first, second = ax.containers
    assert first.lines[0].get_xdata() == pytest.approx([0.7, 0.9])
    assert [s[:, 0].tolist() for s in first.lines[2][0].get_segments()] == [
        pytest.approx([0.68, 0.72]),
        pytest.approx([0.89, 0.91]),
    ]
    # No spread, no bar; the experts of a row stand apart.
    assert np.ptp(second.lines[2][0].get_segments()[0][:, 0]) == 0
    assert first.lines[0].get_ydata() == pytest.approx(second.lines[0].get_ydata() + 0.35)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["one", "two"]


def test_chance_is_marked_where_it_is_near():
    table = _ablation()
    table.loc[0, "balanced_accuracy"] = 0.52
    texts = [t.get_text() for t in draw_ablation(table).legends[0].get_texts()]
    assert "chance" in texts


def test_an_ablation_that_is_none_is_refused():
    table = _ablation()
    with pytest.raises(
        BadInput, match="one row a set of channels and an expert, found backlit, one"
    ):
        draw_ablation(pd.concat([table, table.iloc[:1]]))
    with pytest.raises(BadInput, match=r"table: spread: expected 0 or more, found -0\.1"):
        draw_ablation(table.assign(spread=-0.1))
    with pytest.raises(BadInput, match="one row or more"):
        draw_ablation(table.iloc[:0])


def _labels():
    rows = [
        ("plain", 100, 0, 0.7, 0.5),
        ("plain", 100, 1, 0.8, 0.7),
        ("plain", 400, 0, 0.9, 0.8),
        ("equivariant", 100, 0, 0.9, 0.8),
    ]
    names = ["network", "labels", "seed", "balanced_accuracy", "efficiency"]
    return pd.DataFrame(rows, columns=names)


def test_more_labels_are_shown_as_means_over_seeds_with_their_spread():
    figure = draw_label_efficiency(_labels())
    accuracy, efficiency = figure.axes
    plain, equivariant = accuracy.containers
    assert plain.lines[0].get_ydata() == pytest.approx([0.75, 0.9])
    half = 0.1 / np.sqrt(2)  # the sample standard deviation of two
    ends = plain.lines[2][0].get_segments()[0][:, 1]
    assert ends == pytest.approx([0.75 - half, 0.75 + half])
    assert np.ptp(plain.lines[2][0].get_segments()[1][:, 1]) == 0
    assert equivariant.lines[0].get_ydata() == pytest.approx([0.9])
    assert efficiency.containers[0].lines[0].get_ydata() == pytest.approx([0.6, 0.8])
    assert accuracy.get_xscale() == "log"
    assert [t.get_text() for t in accuracy.get_xticklabels()] == ["100", "400"]
    assert plain.lines[0].get_xdata() == pytest.approx([100, 400], rel=0.02)
    seeds = [line for line in accuracy.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in seeds] == [3, 1]
    assert len(encode_figure(figure)) > 5000


def test_one_number_of_labels_is_drawn_and_zero_refused():
    table = _labels()
    assert len(encode_figure(draw_label_efficiency(table.iloc[:1]))) > 5000
    with pytest.raises(BadInput, match="table: labels: expected numbers above 0, found 0"):
        draw_label_efficiency(table.assign(labels=0))
