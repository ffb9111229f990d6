import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etchscope.background.feldman_cousins import cls_limit, feldman_cousins_interval, p_values

# G. J. Feldman and R. D. Cousins, Phys. Rev. D 57 (1998) 3873, tables IV (90 %) and VI (95 %):
# n → background → interval.
TABLE_90 = {
    0: {0: (0, 2.44), 0.5: (0, 1.94), 1: (0, 1.61), 2: (0, 1.26), 3: (0, 1.08), 5: (0, 0.98)},
    1: {0: (0.11, 4.36), 1: (0, 3.36), 3: (0, 1.88), 5: (0, 1.22)},
    3: {0: (1.10, 7.42), 1: (0.10, 6.42), 3: (0, 4.42), 5: (0, 2.78)},
    4: {0: (1.47, 8.60), 0.5: (1.17, 8.10), 3: (0, 5.60)},
    10: {0: (5.50, 16.50), 1: (4.50, 15.50), 3: (2.63, 13.50), 5: (1.19, 11.50)},
}
TABLE_95 = {
    0: {0: (0, 3.09), 0.5: (0, 2.63), 1: (0, 2.33), 3: (0, 1.63)},
    1: {0: (0.05, 5.14), 3: (0, 2.63)},
    3: {0: (0.82, 8.25), 3: (0, 5.25)},
}


@pytest.mark.parametrize(("confidence", "table"), [(0.9, TABLE_90), (0.95, TABLE_95)])
def test_the_published_tables_come_out(confidence, table):
    for observed, row in table.items():
        for background, interval in row.items():
            found = feldman_cousins_interval(observed, background, confidence)
            assert found == pytest.approx(interval, abs=0.011), (observed, background)


def test_p_values_of_some_backgrounds_at_once_are_those_of_each():
    signals, backgrounds = np.array([0.0, 0.7, 4.0]), np.array([0.3, 2.5])
    both = p_values(2, backgrounds[:, None], np.broadcast_to(signals, (2, 3)))
    assert both == pytest.approx(np.stack([p_values(2, b, signals) for b in backgrounds]))
    # By hand: with n = 0, b = 0 the counts 0 and 3 to infinity rank no higher than 0 at μ = 1.
    assert p_values(0, 0.0, np.array([1.0])) == pytest.approx([np.exp(-1) + 1 - 2.5 * np.exp(-1)])


def test_cls_without_events_does_not_depend_on_the_background():
    limits = [cls_limit(0, b, c) for b in (0.0, 0.7, 9.0) for c in (0.9, 0.95)]
    assert limits == pytest.approx([2.3026, 2.9957] * 3, abs=1e-4)
    # A. L. Read, J. Phys. G 28 (2002) 2693: P(≤ 3 | 3 + s) = 0.05 · P(≤ 3 | 3)
    assert cls_limit(3, 3.0, 0.95) == pytest.approx(5.395, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    observed=st.integers(0, 12),
    background=st.floats(0, 6),
    more=st.floats(0.01, 3),
    confidence=st.floats(0.6, 0.98),
)
def test_limits_grow_with_the_count_and_fall_with_the_background(
    observed, background, more, confidence
):
    low, high = feldman_cousins_interval(observed, background, confidence)
    next_low, next_high = feldman_cousins_interval(observed + 1, background, confidence)
    assert 0 <= low < high < next_high
    assert low <= next_low
    one, other = (cls_limit(observed, b, confidence) for b in (background, background + more))
    assert other <= one + 1e-9
    if background <= 2:  # where the tables were printed with it, and by 0.01 here
        assert feldman_cousins_interval(observed, background + more, confidence)[1] <= high + 0.02


def test_cls_far_below_the_background_does_not_underflow():
    """P(≤ n | s + b) / P(≤ n | b) is exp(−s) for n = 0, and near exp(−s·(1 − n/b)) for n ≪ b."""
    assert cls_limit(0, 800.0, 0.95) == pytest.approx(-np.log(0.05))
    assert cls_limit(100, 2000.0, 0.95) == pytest.approx(-np.log(0.05) / 0.95, rel=0.01)


def test_a_large_background_takes_little_memory():
    tracemalloc.start()
    low, high = feldman_cousins_interval(0, 1000.0, 0.9)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert low == 0 < high < 1
    assert peak < 100e6
