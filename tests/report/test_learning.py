import numpy as np
import pandas as pd
import pytest

from etchscope.foil import BadInput
from etchscope.report.learning import ablation, label_efficiency, learning_curves
from etchscope.report.png import encode_figure
from etchscope.report.style import SERIES_COLOURS


def _histories(experts=("hip against top", "top against bottom"), epochs=(6, 6, 3)):
    """Trainings of an expert: the k-th has training loss 1/epoch + k and stops at its own epoch."""
    rows = []
    for expert in experts:
        for k, last in enumerate(epochs):
            epoch = np.arange(1, last + 1)
            own = {
                "expert": expert,
                "seed": k % 2,
                "fold": k // 2,
                "epoch": epoch,
                "training_loss": 1 / epoch + k,
                "validation_loss": 1 / epoch + k + 0.01 * epoch**2,
                "validation_accuracy": 1 - 0.4 / epoch,
            }
            rows.append(pd.DataFrame(own))
    return pd.concat(rows, ignore_index=True)


def test_every_training_is_a_thin_line_and_the_median_a_thick_one():
    figure = learning_curves(_histories())
    upper, lower = figure.axes[:2]
    thin = [line for line in upper.lines if line.get_linewidth() < 1]
    thick = [line for line in upper.lines if line.get_linewidth() > 2]
    assert len(thin) == 6
    assert [line.get_color() for line in thick] == list(SERIES_COLOURS[:2])
    # Until the third stops the second is the median; then it is the mean of the other two.
    epoch = np.arange(1, 7)
    expected = 1 / epoch + np.where(epoch <= 3, 1, 0.5)
    assert thick[0].get_xdata() == pytest.approx(epoch)
    assert thick[0].get_ydata() == pytest.approx(expected)
    assert thick[1].get_ydata() == pytest.approx(expected + 0.01 * epoch**2)
    assert thin[0].get_ydata() == pytest.approx(1 / epoch)
    assert lower.lines[-1].get_ydata() == [0.5, 0.5]
    assert upper.get_title(loc="left") == "hip against top (3 trainings)"
    assert figure.get_suptitle() == "Learning curves: 6 trainings of 2 experts"
    assert len(figure.axes) == 4


def test_the_gap_between_the_medians_is_shaded():
    upper = learning_curves(_histories(epochs=(6,))).axes[0]
    shaded = upper.collections[0].get_paths()[0].vertices
    epoch = np.arange(1, 7)
    assert shaded[:, 1].max() == pytest.approx(1.01)
    # The validation loss 1/e + 0.01·e² is least at epoch 4: 0.41, after 0.4233 and before 0.45.
    least = 1 / epoch + 0.01 * epoch**2
    assert upper.lines[-1].get_xdata()[0] == epoch[least.argmin()] == 4


def test_the_median_ends_where_most_trainings_have_stopped():
    upper = learning_curves(_histories(epochs=(6, 3, 3))).axes[0]
    thick = [line for line in upper.lines if line.get_linewidth() > 2]
    assert thick[0].get_xdata() == pytest.approx([1, 2, 3])


def test_more_than_four_experts_go_on_below():
    figure = learning_curves(_histories([f"e{i}" for i in range(5)], (2,)))
    assert len(figure.axes) == 10
    assert figure.axes[8].get_ylabel() == "loss"
    assert encode_figure(figure).startswith(b"\x89PNG")


def test_a_loss_that_explodes_is_shown_on_a_logarithmic_axis():
    histories = _histories(epochs=(6,))
    assert learning_curves(histories).axes[0].get_yscale() == "linear"
    histories.loc[2, "validation_loss"] = 1e4
    assert learning_curves(histories).axes[0].get_yscale() == "log"


def test_one_epoch_and_a_loss_that_is_nan_are_drawn():
    one = _histories(epochs=(1,))
    assert len(encode_figure(learning_curves(one))) > 5000
    assert len(encode_figure(learning_curves(one.assign(validation_loss=np.nan)))) > 5000
    with pytest.raises(BadInput, match="histories: expected one row or more"):
        learning_curves(one.iloc[:0])
    with pytest.raises(BadInput, match="found no fold"):
        learning_curves(one.drop(columns="fold"))


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
    figure = ablation(_ablation())
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
    texts = [t.get_text() for t in ablation(table).legends[0].get_texts()]
    assert "chance" in texts


def test_an_ablation_that_is_none_is_refused():
    table = _ablation()
    with pytest.raises(
        BadInput, match="one row a set of channels and an expert, found backlit, one"
    ):
        ablation(pd.concat([table, table.iloc[:1]]))
    with pytest.raises(BadInput, match=r"table: spread: expected 0 or more, found -0\.1"):
        ablation(table.assign(spread=-0.1))
    with pytest.raises(BadInput, match="one row or more"):
        ablation(table.iloc[:0])


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
    figure = label_efficiency(_labels())
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
    assert len(encode_figure(label_efficiency(table.iloc[:1]))) > 5000
    with pytest.raises(BadInput, match="table: labels: expected numbers above 0, found 0"):
        label_efficiency(table.assign(labels=0))
