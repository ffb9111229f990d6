import numpy as np
import pytest

from etchscope.draw.calibration import draw_reliability
from etchscope.evaluation import proportion
from etchscope.foil import BadInput


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
