import math

import numpy as np
import pytest
from tests.evaluation.drawn_searches import (
    DENSE,
    SPARSE,
    TEN,
    TRUE,
    WHOLE,
    drawn,
    expected_efficiency,
    row_of,
)

from etchscope.evaluation import (
    Requirement,
    choose_thresholds,
    density_edges,
    efficiency_at_rate,
    measure_by_halves,
    measure_on_other,
)


@pytest.mark.parametrize(("rate", "tiles"), [(1.0, 40), (0.1, 40), (0.5, 20)])
def test_exchanged_halves_have_the_rate_that_was_asked_for(rate, tiles):
    rng = np.random.default_rng(5)
    foils = [drawn(rng, tiles) for _ in range(200)]
    asked = Requirement(false_per_tile=rate)
    rates = np.array([measure_by_halves(f, asked, draws=2)[0].false_per_tile[0] for f in foils])
    error = rates.std() / np.sqrt(len(rates))
    assert rates.mean() == pytest.approx(rate, abs=3 * error)
    assert error < 0.06 * rate


def test_the_efficiency_at_exactly_a_rate_is_unbiased_and_its_interval_covers_it():
    rng = np.random.default_rng(7)
    for rate in (0.125, 0.7):
        truth, foils = expected_efficiency(rate), [drawn(rng) for _ in range(200)]
        efficiencies = np.array([efficiency_at_rate(f, rate, draws=100) for f in foils])
        error = efficiencies[:, 0].std() / np.sqrt(len(efficiencies))
        assert efficiencies[:, 0].mean() == pytest.approx(truth, abs=3 * error + 0.005)
        assert ((efficiencies[:, 1] <= truth) & (truth <= efficiencies[:, 2])).mean() >= 0.9
        quoted = [f.efficiency(f.threshold_for(false_per_tile=rate)) for f in foils]
        if rate == 0.125:  # chosen and measured on the same flatters
            assert np.mean([p.value for p in quoted]) > truth + 4 * error


def test_the_intervals_of_exchanged_figures_cover_what_they_are_of():
    rng = np.random.default_rng(8)
    foils = [drawn(rng, 24) for _ in range(100)]
    measured = [measure_by_halves(f, WHOLE, draws=100)[0] for f in foils]
    assert np.mean([m.false_per_tile[1] <= 1 <= m.false_per_tile[2] for m in measured]) >= 0.9
    truth = expected_efficiency(1.0)
    assert np.mean([m.efficiency[1] <= truth <= m.efficiency[2] for m in measured]) >= 0.9
    purity = TRUE * truth / (TRUE * truth + 1)
    assert np.mean([m.purity[1] <= purity <= m.purity[2] for m in measured]) >= 0.9


def test_an_efficiency_that_is_asked_for_is_reached_on_the_other_half():
    rng = np.random.default_rng(9)
    measured = [
        measure_by_halves(drawn(rng), Requirement(efficiency=0.6), draws=2)[0] for _ in range(100)
    ]
    reached = np.array([m.efficiency[0] for m in measured])
    assert reached.mean() == pytest.approx(0.6, abs=0.02)
    rate = np.mean([m.false_per_tile[0] for m in measured])
    assert expected_efficiency(rate) == pytest.approx(0.6, abs=0.03)


def test_thresholds_are_measured_on_another_foil():
    rng = np.random.default_rng(10)
    measured = [
        measure_on_other(drawn(rng, 16), drawn(rng, 30), WHOLE, draws=2) for _ in range(200)
    ]
    rates = np.array([whole.false_per_tile[0] for whole, _ in measured])
    assert rates.mean() == pytest.approx(1, abs=3 * rates.std() / np.sqrt(200))
    whole, parts = measured[0]
    assert parts == (whole,)


def test_each_class_of_density_has_the_rate_by_its_own_area():
    rng = np.random.default_rng(11)
    foils = [drawn(rng, 40, dense=20) for _ in range(60)]
    parts, one = [], []
    for foil in foils:
        edges = density_edges(foil, 1.0)
        assert edges == (DENSE,)
        parts.append(
            [m.false_per_tile[0] for m in measure_by_halves(foil, WHOLE, edges, draws=2)[1]]
        )
        (everywhere,) = choose_thresholds(foil, WHOLE)
        sparse, dense = choose_thresholds(foil, WHOLE, edges)
        assert sparse < everywhere < dense
        passed = ~foil.is_true & (foil.score >= everywhere)
        one.append([(passed & (foil.ground.candidates == d)).sum() / 20 for d in (SPARSE, DENSE)])
    error = np.std(parts, axis=0) / np.sqrt(len(parts))
    assert np.abs(np.mean(parts, axis=0) - 1).max() < 3 * error.max()
    # With one threshold the crowd takes nearly all that is allowed.
    assert np.mean(one, axis=0) == pytest.approx([0.07, 1.93], abs=0.02)


def test_the_efficiency_at_a_rate_is_that_of_all_classes():
    foil = drawn(np.random.default_rng(15), 40, dense=20)
    whole = efficiency_at_rate(foil, 1.0, draws=20)[0]
    parts = efficiency_at_rate(foil, 1.0, (DENSE,), draws=20)[0]
    assert parts > whole  # the sparse half is no longer judged by the crowd


@pytest.mark.parametrize(
    ("rate", "found"),
    [(0.25, 2), (0.375, 2.5), (0.5, 3), (0.75, 3), (0.875, 3.5), (1.0, 4), (9, 4)],
)
def test_efficiencies_at_a_rate_by_hand(rate, found):
    value, low, high = efficiency_at_rate(TEN, rate, draws=20)
    assert value == pytest.approx(found / 5)
    assert low < value < high


def test_a_foil_on_which_nothing_is_found():
    nothing = row_of([], [], np.zeros(0, int), 4, [0, 1])
    assert choose_thresholds(nothing, WHOLE) == (0,)
    measured, _ = measure_by_halves(nothing, WHOLE, draws=5)
    assert measured.efficiency[0] == 0
    assert measured.false_per_tile == pytest.approx((0, 0, 3.689 / 4), abs=1e-3)
    assert math.isnan(measured.purity[0])
    assert efficiency_at_rate(nothing, 1.0, draws=5)[0] == 0
    assert np.isnan(efficiency_at_rate(row_of([], [], np.zeros(0, int), 4), 1.0)).all()


def test_one_tile_has_no_other_half():
    one = row_of([3, 2, 1], [1, 0, 0], [0] * 3, 1)
    whole, parts = measure_by_halves(one, WHOLE)
    assert np.isnan([whole.efficiency, whole.false_per_tile, whole.purity]).all()
    assert len(parts) == 1
    value, low, high = efficiency_at_rate(one, 1.0, draws=5)
    assert (value, low, high) == pytest.approx((1, 0.025, 1))


def test_equal_input_gives_equal_figures():
    foil = drawn(np.random.default_rng(16))
    assert measure_by_halves(foil, WHOLE, draws=10) == measure_by_halves(foil, WHOLE, draws=10)
