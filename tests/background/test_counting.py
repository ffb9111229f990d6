import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import poisson

from etchscope.background.counting import (
    Counting,
    fit_background,
    log_likelihood_ratio,
    make_lattice,
)
from etchscope.foil import BadInput


def test_a_background_with_its_error_is_the_count_of_an_off_region():
    counting = Counting(2, 0.3, 0.1, 0.2)
    assert counting.off_count == pytest.approx(9)
    assert counting.off_ratio == pytest.approx(30)
    assert counting.width == pytest.approx(np.sqrt(np.log(1.04)))
    nothing = Counting(0, 0.0, 0.25)
    assert (nothing.off_count, nothing.off_ratio) == (0, 4)
    known = Counting(0, 3.0)
    assert (known.off_count, known.off_ratio, known.has_errors) == (0, None, False)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ((-1,), "observed"),
        ((1.5,), "observed"),
        ((float("nan"),), "observed"),
        ((10**6,), "observed"),
        ((1, -0.1), "background"),
        ((1, float("inf")), "background"),
        ((1, 1, float("nan")), "background error"),
        ((1, 1, 1, -0.1), "efficiency error"),
        ((0, 200_000), "background"),
        ((0, 1, 200_000), "background error"),
    ],
)
def test_numbers_that_cannot_be_are_refused(values, where):
    with pytest.raises(BadInput, match=f"^{where}: expected a"):
        Counting(*values)


def test_the_background_that_fits_best_is_found():
    for n, seen, m, ratio in [
        (5, 2, 9, 3),
        (0, 4, 2, 0.5),
        (7, 0, 0, 2),
        (3, 1, 0, 9),
        (0, 1, 0, 1),
    ]:
        found = float(fit_background(*(np.array(float(v)) for v in (n, seen, m)), ratio, 0.0))

        def loss(b, n=n, seen=seen, m=m, ratio=ratio):
            return -poisson.logpmf(n, seen + b) - poisson.logpmf(m, ratio * b)

        best = minimize_scalar(loss, bounds=(0, 20), method="bounded", options={"xatol": 1e-9})
        assert found == pytest.approx(best.x, abs=1e-4)


def test_the_ratio_is_0_at_the_best_fit_and_that_of_feldman_and_cousins():
    count, off = np.array(7.0), np.array(6.0)
    at_best = log_likelihood_ratio(count, np.array(4.0), off, 2.0, 0.0)
    assert at_best == pytest.approx(0, abs=1e-12)
    counts = np.arange(6.0)
    ratio = log_likelihood_ratio(counts, np.array(0.5), np.array(0.0), None, 3.0)
    # The column R of table I there, for μ = 0.5 and b = 3.
    assert np.exp(-ratio / 2) == pytest.approx([0.607, 0.708, 0.826, 0.963, 0.966, 0.753], abs=1e-3)


def test_a_lattice_holds_the_whole_probability_and_each_small_count():
    fine, coarse = make_lattice(0.5, 12.0), make_lattice(40.0, 6000.0)
    assert set(fine.size) == {1}
    assert coarse.value[coarse.size == 1].tolist() == list(range(3, 100))
    assert (coarse.size <= 0.2 * np.sqrt(coarse.value) + 1).all()
    assert len(coarse.value) < 900
    means = np.array([0.5, 3.0, 12.0])
    assert fine.weights(means) == pytest.approx(poisson.pmf(fine.value, means[:, None]))
    assert fine.weights(means).sum(1) == pytest.approx(1, abs=1e-5)
    for mean in (40.0, 500, 6000):
        weights = coarse.weights(np.array([mean]))[0]
        assert weights.sum() == pytest.approx(1, abs=1e-3)
        upto = weights[coarse.value <= mean + 2 * np.sqrt(mean)].sum()
        assert upto == pytest.approx(poisson.cdf(mean + 2 * np.sqrt(mean), mean), abs=5e-3)
