import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etchscope.evaluation import (
    number_cells,
    overdispersion,
    poisson_interval,
    proportion,
    proportion_over_tiles,
    rate_over_tiles,
    ratio_over_tiles,
)
from etchscope.evaluation.tiles import draw_tiles, expanded_interval
from etchscope.foil import BadInput

TILES = 60


def chained(rng, experiments):
    """True and false finds per tile; false ones come in chains of a dozen, as on a scratch."""
    true = rng.poisson(20, (experiments, TILES))
    false = 12 * rng.poisson(0.4, (experiments, TILES))
    return true, false


def test_the_interval_of_purity_covers_it_where_false_finds_come_in_chains():
    """Of independent finds, Clopper and Pearson's interval covers it in half of the cases."""
    true, false = chained(np.random.default_rng(1), 200)
    purity = 20 / (20 + 12 * 0.4)
    over_tiles = [proportion_over_tiles(t, t + f) for t, f in zip(true, false, strict=True)]
    exact = [proportion(int(t.sum()), int((t + f).sum())) for t, f in zip(true, false, strict=True)]
    covers = [np.mean([p.low <= purity <= p.high for p in some]) for some in (over_tiles, exact)]
    assert covers[0] >= 0.9
    assert covers[1] < 0.7


def test_the_interval_of_a_rate_covers_it_where_false_finds_come_in_chains():
    _, false = chained(np.random.default_rng(2), 200)
    covers = []
    for counts in false:
        _, low, high = rate_over_tiles(counts, np.ones(TILES))
        exact = np.array(poisson_interval(int(counts.sum()))) / TILES
        covers.append([low <= 12 * 0.4 <= high, exact[0] <= 12 * 0.4 <= exact[1]])
    over_tiles, independent = np.mean(covers, axis=0)
    assert over_tiles >= 0.9
    assert independent < 0.7


@pytest.mark.parametrize("tiles", [5, 10, 30])
def test_few_tiles_have_intervals_as_wide_as_they_need(tiles):
    rng = np.random.default_rng(3)
    true = rng.poisson(50, (300, tiles))
    false = rng.poisson(rng.gamma(2, 10, (300, tiles)))
    over = [proportion_over_tiles(t, t + f) for t, f in zip(true, false, strict=True)]
    assert np.mean([p.low <= 50 / 70 <= p.high for p in over]) >= 0.88


def test_independent_finds_have_about_the_exact_interval():
    rng = np.random.default_rng(4)
    true, all_ = rng.binomial(30, 0.8, 200), np.full(200, 30)
    over, exact = proportion_over_tiles(true, all_), proportion(int(true.sum()), 6000)
    assert exact.high - exact.low <= over.high - over.low < 1.25 * (exact.high - exact.low)
    assert (over.successes, over.trials, over.value) == (true.sum(), 6000, exact.value)


tile = st.tuples(st.integers(0, 30), st.integers(0, 30))


@given(st.lists(tile, min_size=1, max_size=12), st.sampled_from([0.6827, 0.95]))
def test_an_interval_over_tiles_is_never_narrower_than_the_exact_one(counts, confidence):
    k, misses = np.array(counts).T
    over = proportion_over_tiles(k, k + misses, confidence=confidence)
    exact = proportion(int(k.sum()), int((k + misses).sum()), confidence=confidence)
    assert 0 <= over.low <= exact.low <= exact.high <= over.high <= 1
    value, low, high = rate_over_tiles(k, np.full(len(k), 2.0), confidence=confidence)
    garwood = np.array(poisson_interval(int(k.sum()), confidence=confidence)) / (2 * len(k))
    assert value == pytest.approx(k.sum() / (2 * len(k)))
    assert low <= garwood[0] < garwood[1] <= high


def test_one_tile_or_none_has_the_exact_interval():
    assert proportion_over_tiles([9], [10]) == proportion(9, 10)
    assert proportion_over_tiles([9, 0], [10, 0]) == proportion(9, 10)  # nothing on the second
    nothing = proportion_over_tiles([], [])
    assert (nothing.trials, nothing.low, nothing.high) == (0, 0, 1)
    assert rate_over_tiles([3], [2.0])[1:] == pytest.approx([v / 2 for v in poisson_interval(3)])
    assert np.isnan(ratio_over_tiles([1], [2])).all()


def test_without_a_false_find_there_is_still_an_upper_limit():
    value, low, high = rate_over_tiles(np.zeros(40), np.ones(40))
    assert (value, low) == (0, 0)
    assert high == pytest.approx(3.689 / 40, abs=1e-4)
    assert proportion_over_tiles(np.full(9, 5), np.full(9, 5)) == proportion(45, 45)


def test_many_ratios_are_each_as_if_alone():
    rng = np.random.default_rng(5)
    counts, exposure = rng.poisson(3, (20, 4)), rng.uniform(0.5, 1, 20)
    together = ratio_over_tiles(counts, exposure)
    for k in range(4):
        alone = ratio_over_tiles(counts[:, k], exposure)
        np.testing.assert_allclose([v[k] for v in together], np.ravel(alone))
    again = ratio_over_tiles(counts, exposure)
    np.testing.assert_array_equal(together, again)  # of a fixed seed


def test_as_many_tiles_are_drawn_as_there_are_each_as_often_as_the_others():
    times = draw_tiles(np.random.default_rng(6), 5, 4000)
    assert times.shape == (4000, 5)
    assert (times.sum(axis=1) == 5).all()
    assert times.mean(axis=0) == pytest.approx(np.ones(5), abs=0.06)
    assert times.var(axis=0) == pytest.approx(np.full(5, 4 / 5), abs=0.08)  # binomial


def test_draws_that_say_nothing_are_left_out_of_an_interval():
    few = np.arange(2001.0)
    drawn = np.column_stack([few, np.where(few % 2, np.nan, few), np.where(few % 2, np.inf, few)])
    low, high = expanded_interval(np.column_stack([drawn, np.full(2001, np.nan)]), 40)
    alone = [expanded_interval(v[:, None], 40) for v in (few, few[::2], few[::2])]
    np.testing.assert_allclose([low[:3], high[:3]], np.array(alone)[:, :, 0].T)
    assert np.isnan([low[3], high[3]]).all()
    assert np.isnan(expanded_interval(drawn, 1)).all()


def test_overdispersion_by_hand():
    assert overdispersion([4, 6]) == pytest.approx((1 / 5 + 1 / 5) / 1)
    # 6 counts on 3 tiles' worth: 2, 2, 2 expected of the halves and the whole.
    assert overdispersion([2, 4], [1, 2]) == 0
    assert overdispersion([2, 4, 7], [1, 2, 0]) == 0
    assert np.isnan(overdispersion([5]))
    assert np.isnan(overdispersion([0, 0, 0]))


def test_overdispersion_is_one_of_independent_counts_and_the_chain_of_chains():
    rng = np.random.default_rng(6)
    assert overdispersion(rng.poisson(2, 4000)) == pytest.approx(1, abs=0.1)
    assert overdispersion(12 * rng.poisson(0.4, 4000)) == pytest.approx(12, rel=0.1)


def test_cells_cut_the_box_into_equal_parts_of_about_a_size():
    rng = np.random.default_rng(7)
    xy = rng.uniform((-20, 5), (20.4, 14), (4000, 2))
    number = number_cells(xy, (4, 3))
    assert np.unique(number).tolist() == list(range(30))
    counts = np.bincount(number)
    assert overdispersion(counts) < 2
    assert number_cells([[1, 1], [1, 1]], (4, 3)).tolist() == [0, 0]
    assert len(number_cells(np.empty((0, 2)), (4, 3))) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ratio_over_tiles([1, 2], [1]), "counts of tiles: expected as many values"),
        (lambda: overdispersion([1, -2]), "found shapes .* least -2"),
        (lambda: ratio_over_tiles([1], [1], confidence=1), "confidence: expected a number between"),
    ],
)
def test_counts_that_do_not_go_together_are_refused(call, message):
    with pytest.raises(BadInput, match=message):
        call()
