import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import poisson

from etchscope.background.construction import _Test, interval_exact, limit_cls
from etchscope.background.counting import Counting
from etchscope.background.feldman_cousins import cls_limit, feldman_cousins_interval


def test_without_errors_the_limits_are_those_of_the_tables():
    for n, b in [(0, 0.0), (3, 3.0), (5, 1.5)]:
        assert interval_exact(Counting(n, b), 0.9) == feldman_cousins_interval(n, b, 0.9)
        assert limit_cls(Counting(n, b), 0.9) == cls_limit(n, b, 0.9)


def test_small_errors_change_little():
    for n, b in [(0, 0.3), (6, 2.0)]:
        low, high = feldman_cousins_interval(n, b, 0.9)
        found = interval_exact(Counting(n, b, 0.02, 0.01), 0.9)
        assert low - 0.1 <= found[0] <= low
        assert high <= found[1] <= 1.06 * high


def coverages(background, width, seen, counts, limits):
    """Return the exact coverage at each true number of seen particles, whatever the efficiency.

    The measured efficiency is the true one times exp(σz), so that a limit ``c`` of seen particles
    holds for the truth ``μ`` where μ·exp(σz) ≤ c.
    """
    weights = poisson.pmf(counts, seen[:, None] + background)
    low, high = (np.array([limit[i] for limit in limits]) for i in (0, 1))

    def below(bound):
        with np.errstate(divide="ignore"):
            return ndtr((np.log(bound) - np.log(seen[:, None])) / width)

    return (weights * (below(high) - below(low))).sum(1) + 1 - weights.sum(1)


def test_an_efficiency_with_an_error_of_30_percent_is_covered():
    confidence = 0.9
    counts, seen = np.arange(22), np.linspace(0.05, 8, 80)
    counted = [Counting(int(n), 3.0, 0.0, 0.3) for n in counts]
    width = counted[0].width
    exact = [interval_exact(c, confidence) for c in counted]
    cls = [(0.0, limit_cls(c, confidence)) for c in counted]
    for limits, most in ((exact, 0.025), (cls, 0.05)):
        found = coverages(3.0, width, seen, counts, limits)
        assert found.min() >= confidence
        # The size of the intervals is not bought by covering far too much.
        assert found[seen > 2].mean() <= confidence + most


def test_a_background_from_an_off_region_is_covered():
    background, ratio, counts, offs = 0.8, 2.0, range(8), range(5)
    seen = np.linspace(0.05, 2, 40)
    covered, total = np.zeros((2, len(seen))), 0.0
    for off in offs:
        # No off-count: an error of 1/τ. Otherwise m/τ ± √m/τ.
        stated = (off / ratio, np.sqrt(off) / ratio if off else 1 / ratio)
        weight = poisson.pmf(off, ratio * background)
        total += weight
        for n in counts:
            counting = Counting(n, *stated)
            chance = weight * poisson.pmf(n, seen + background)
            low, high = interval_exact(counting, 0.9)
            covered[0] += chance * (low <= seen) * (seen <= high)
            covered[1] += chance * (seen <= limit_cls(counting, 0.9))
    outside = 1 - total * poisson.cdf(counts[-1], seen + background)
    assert (covered + outside).min() >= 0.9


@settings(max_examples=3, deadline=None)
@given(
    observed=st.integers(0, 8),
    background=st.floats(0, 4),
    error=st.sampled_from([0.0, 0.4]),
    relative=st.floats(0.02, 0.3),
)
def test_errors_never_lower_a_limit_and_more_confidence_never_does(
    observed, background, error, relative
):
    counting = Counting(observed, background, error, relative)
    low, high = interval_exact(counting, 0.9)
    plain_low, plain_high = interval_exact(counting.without_errors(), 0.9)
    assert low <= plain_low
    assert high >= plain_high
    assert interval_exact(counting, 0.95)[1] >= high
    assert limit_cls(counting, 0.9) >= limit_cls(counting.without_errors(), 0.9)
    assert limit_cls(counting, 0.95) >= limit_cls(counting, 0.9)


def test_a_very_high_confidence_is_sought_further_out():
    counting = Counting(9, 1.0, 0.3, 0.1)
    low, high = interval_exact(counting, 0.9999)
    narrow = interval_exact(counting, 0.99)
    assert 0 <= low < narrow[0]
    assert narrow[1] < high < 40


def test_far_less_than_the_background_leaves_cls_as_it_is():
    """The one-sided limit alone would exclude everything, even no particle at all."""
    counting = Counting(0, 13.0, np.sqrt(13.0))
    assert limit_cls(counting, 0.9) == pytest.approx(2.303, abs=0.01)
    assert interval_exact(counting, 0.9)[1] >= feldman_cousins_interval(0, 13.0, 0.9)[1]


def test_large_counts_take_blocks_and_agree_with_the_normal_approximation():
    counting = Counting(1100, 900.0, 20.0, 0.05)
    low, high = interval_exact(counting, 0.9)
    spread = np.sqrt(1100 + 20**2)
    assert low == pytest.approx(200 - 1.645 * spread, rel=0.05)
    assert high == pytest.approx(200 + 1.645 * spread, rel=0.05)


@pytest.mark.parametrize("background", [5e-324, 1e-9])
def test_a_background_far_below_its_error_is_like_none_with_that_error(background):
    none, little = Counting(2, 0.0, 0.4), Counting(2, background, 0.4)
    assert interval_exact(little, 0.9) == pytest.approx(interval_exact(none, 0.9), rel=1e-6)
    assert limit_cls(little, 0.9) == pytest.approx(limit_cls(none, 0.9), rel=1e-6)


def test_an_error_too_small_to_compute_with_is_none():
    exact, tiny = Counting(2, 1.0, 0.0, 0.1), Counting(2, 1.0, 1e-12, 0.1)
    assert interval_exact(tiny, 0.9) == interval_exact(exact, 0.9)
    assert limit_cls(tiny, 0.9) == limit_cls(exact, 0.9)
    alone, sure = Counting(0, 0.3, 1e-7), Counting(0, 0.3)
    assert interval_exact(alone, 0.9) == interval_exact(sure, 0.9)
    assert limit_cls(alone, 0.9) == limit_cls(sure, 0.9)


def test_large_counts_with_all_errors_agree_with_the_normal_distribution():
    counting = Counting(1000, 100.0, 30.0, 0.3)
    test = _Test(counting, 0.1, 3.2)
    for root in (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0):
        expected = 2 * ndtr(-abs(root))
        assert test.p_exact(test.seen_at(root)) == pytest.approx(expected, rel=0.03)
    low, high = interval_exact(counting, 0.9)
    # 900 times exp(± 1.645 σ), with σ² = ln 1.09 and the relative error of count and background
    width = np.hypot(counting.width, np.sqrt(1000 + 30**2) / 900)
    assert low == pytest.approx(900 * np.exp(-1.645 * width), rel=0.02)
    assert high == pytest.approx(900 * np.exp(1.645 * width), rel=0.02)
