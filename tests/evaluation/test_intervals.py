import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from etchscope.evaluation import proportion
from etchscope.foil import BadInput

ONE_SIGMA = 0.6827


@pytest.mark.parametrize("confidence", [0.95, ONE_SIGMA])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (3, 7), (10, 10), (1182, 1242)])
def test_agrees_with_scipys_exact_interval(k, n, confidence):
    p = proportion(k, n, confidence=confidence)
    exact = binomtest(k, n).proportion_ci(confidence, method="exact")
    assert (p.low, p.high) == pytest.approx((exact.low, exact.high))
    assert p.value == k / n


def test_published_values_of_clopper_pearson():
    p = proportion(0, 10)  # "rule of three": 1 - 0.025^(1/10)
    assert p.low == 0.0
    assert p.high == pytest.approx(0.30850, abs=1e-5)


def test_covers_at_least_as_often_as_stated():
    n, truth = 20, 0.37
    intervals = [proportion(k, n, confidence=ONE_SIGMA) for k in range(n + 1)]
    covers = np.array([p.low <= truth <= p.high for p in intervals])
    assert binom.pmf(np.arange(n + 1), n, truth)[covers].sum() >= ONE_SIGMA


def test_nothing_tried_says_nothing():
    p = proportion(0, 0)
    assert math.isnan(p.value)
    assert (p.low, p.high) == (0.0, 1.0)
    assert p.to_dict()["value"] is None
    assert str(p) == "undefined (0 of 0)"


def test_bad_counts_and_confidence_are_refused():
    with pytest.raises(BadInput, match="proportion: expected 0 <= successes <= trials, found 3 of"):
        proportion(3, 2)
    with pytest.raises(BadInput, match="confidence: expected a number between 0 and 1, found 95"):
        proportion(1, 2, confidence=95)
