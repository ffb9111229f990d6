import numpy as np
import pytest
from scipy.stats import gamma, lognorm, poisson

from etchscope.background.counting import Counting
from etchscope.background.feldman_cousins import cls_limit
from etchscope.background.marginal import limit_bayes, limit_hybrid_cls


def test_without_errors_bayes_with_a_flat_prior_is_cls():
    assert limit_bayes(Counting(0), 0.9) == pytest.approx(2.302585)
    assert limit_bayes(Counting(0, 3.0), 0.95) == pytest.approx(2.995732)
    for n, b in [(3, 3.0), (12, 2.0)]:
        assert limit_bayes(Counting(n, b), 0.9) == pytest.approx(cls_limit(n, b, 0.9))
        assert limit_hybrid_cls(Counting(n, b), 0.9) == pytest.approx(cls_limit(n, b, 0.9))


def test_the_averages_are_those_of_draws():
    counting = Counting(4, 2.0, 0.8, 0.25)
    rng = np.random.default_rng(3)
    ratio = lognorm(counting.width).rvs(400_000, random_state=rng)
    background = gamma((2 / 0.8) ** 2, scale=0.8**2 / 2).rvs(400_000, random_state=rng)
    high = limit_hybrid_cls(counting, 0.9)
    with_signal = poisson.cdf(4, ratio * high + background).mean()
    assert with_signal / poisson.cdf(4, background).mean() == pytest.approx(0.1, rel=0.01)
    seen = np.linspace(0, 40, 401)
    posterior = np.array(
        [poisson.pmf(4, ratio[:10_000] * s + background[:10_000]).mean() for s in seen]
    )
    share = posterior[seen <= limit_bayes(counting, 0.9)].sum() / posterior.sum()
    assert share == pytest.approx(0.9, abs=0.005)


def test_large_counts_are_near_the_normal_approximation():
    high = limit_bayes(Counting(10_000, 9_000.0, 30.0, 0.0), 0.95)
    assert high == pytest.approx(1000 + 1.645 * np.sqrt(10_000 + 900), rel=0.01)
