import numpy as np
import pandas as pd
import pytest

from etchscope.draw.confusion import draw_confusion
from etchscope.foil import BadInput


def test_a_confusion_matrix_shows_counts_and_shares_of_the_true_class():
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
