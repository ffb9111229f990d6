import numpy as np
import pandas as pd
import pytest

from etchscope.draw.learning import draw_learning_curves
from etchscope.draw.png import encode_figure
from etchscope.draw.style import SERIES_COLOURS
from etchscope.foil import BadInput


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
    figure = draw_learning_curves(_histories())
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
    upper = draw_learning_curves(_histories(epochs=(6,))).axes[0]
    shaded = upper.collections[0].get_paths()[0].vertices
    epoch = np.arange(1, 7)
    assert shaded[:, 1].max() == pytest.approx(1.01)
    # The validation loss 1/e + 0.01·e² is least at epoch 4: 0.41, after 0.4233 and before 0.45.
    least = 1 / epoch + 0.01 * epoch**2
    assert upper.lines[-1].get_xdata()[0] == epoch[least.argmin()] == 4


def test_the_median_ends_where_most_trainings_have_stopped():
    upper = draw_learning_curves(_histories(epochs=(6, 3, 3))).axes[0]
    thick = [line for line in upper.lines if line.get_linewidth() > 2]
    assert thick[0].get_xdata() == pytest.approx([1, 2, 3])


def test_more_than_four_experts_go_on_below():
    figure = draw_learning_curves(_histories([f"e{i}" for i in range(5)], (2,)))
    assert len(figure.axes) == 10
    assert figure.axes[8].get_ylabel() == "loss"
    assert encode_figure(figure).startswith(b"\x89PNG")


def test_a_loss_that_explodes_is_shown_on_a_logarithmic_axis():
    histories = _histories(epochs=(6,))
    assert draw_learning_curves(histories).axes[0].get_yscale() == "linear"
    histories.loc[2, "validation_loss"] = 1e4
    assert draw_learning_curves(histories).axes[0].get_yscale() == "log"


def test_one_epoch_and_a_loss_that_is_nan_are_drawn():
    one = _histories(epochs=(1,))
    assert len(encode_figure(draw_learning_curves(one))) > 5000
    assert len(encode_figure(draw_learning_curves(one.assign(validation_loss=np.nan)))) > 5000
    with pytest.raises(BadInput, match="histories: expected one row or more"):
        draw_learning_curves(one.iloc[:0])
    with pytest.raises(BadInput, match="found no fold"):
        draw_learning_curves(one.drop(columns="fold"))
