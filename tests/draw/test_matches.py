import numpy as np
import pytest

from etchscope.draw.matches import draw_matches
from etchscope.foil import BadInput


def test_the_match_map_counts_what_it_shows():
    xy = np.array([[0.0, 0.0], [1, 1]])
    made = draw_matches(xy, xy[:1] + 1, xy[:0], names=("missed", "false"), title="t", unit="px")
    labels = [text.get_text() for text in made.legends[0].get_texts()]
    assert labels == ["in both (2)", "missed (1)", "false (0)"]
    assert made.axes[0].get_xlabel() == "x (px)"
    with pytest.raises(BadInput, match="one point or more to draw"):
        draw_matches(xy[:0], xy[:0], xy[:0], names=("a", "b"), title="t")
