import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from etchscope.evaluation import (
    Ground,
    Search,
    free_response,
    match_particles,
    poisson_interval,
    proportion,
    roc_curve,
)
from etchscope.foil import BadInput

# Coarse scores, so that many are equal, and some that differ in the last bit only.
score = st.sampled_from([-2.0, -1.0, 0.0, 1.0, float(np.nextafter(1, 2)), 1e12, 5.5])
cases = st.lists(st.tuples(score, st.booleans()), max_size=12)


def _search(
    score,
    is_true,
    *,
    particles=None,
    tiles=4,
    area_cm2=0.5,
    by_chance=None,
    tile=None,
    there=None,
    ground=None,
):
    """A search whose candidates and particles all lie on the first tile, or as they say."""
    is_true = np.asarray(is_true, bool)
    n, particles = len(is_true), int(is_true.sum()) if particles is None else particles
    return Search(
        np.asarray(score, float),
        is_true,
        np.zeros(n) if by_chance is None else np.asarray(by_chance, float),
        particles,
        tiles,
        area_cm2,
        np.zeros(n, int) if tile is None else np.asarray(tile, int),
        np.zeros(particles, int) if there is None else np.asarray(there, int),
        np.ones(tiles),
        ground,
    )


def _ranked(cases, **others):
    ranked = sorted(cases, key=lambda c: -c[0])
    return _search([c[0] for c in ranked], [c[1] for c in ranked], **others)


TEN = _search(
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    [1, 1, 0, 1, 0, 0, 1, 0, 0, 0],
    particles=5,
    by_chance=[0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    # Garwood 1936; as in the PDG's table of Poisson limits at 95 % central.
    [
        (0, 0.0, 3.689),
        (1, 0.0253, 5.572),
        (2, 0.242, 7.225),
        (5, 1.623, 11.668),
        (10, 4.795, 18.39),
    ],
)
def test_poisson_intervals_are_the_published_ones(count, low, high):
    assert poisson_interval(count) == pytest.approx((low, high), abs=6e-4)


@given(st.integers(0, 500), st.sampled_from([0.6827, 0.9, 0.95]))
def test_a_poisson_interval_ends_where_the_count_becomes_improbable(count, confidence):
    low, high = poisson_interval(count, confidence=confidence)
    tail = (1 - confidence) / 2
    assert poisson.cdf(count, high) == pytest.approx(tail, rel=1e-6)
    if count:
        assert poisson.sf(count - 1, low) == pytest.approx(tail, rel=1e-6)
    else:
        assert low == 0


def test_a_roc_by_hand():
    roc = roc_curve(np.array([3, 1, 2, 2, 0.5]), np.array([1, 1, 0, 1, 0], bool))
    assert roc["threshold"].tolist() == [3, 2, 1, 0.5]
    assert roc["efficiency"].tolist() == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert roc["false_positive_rate"].tolist() == [0, 0.5, 0.5, 1]
    exact = [proportion(k, 3) for k in (1, 2, 3, 3)]
    assert roc["low"].tolist() == pytest.approx([p.low for p in exact])
    assert roc["high"].tolist() == pytest.approx([p.high for p in exact])


@given(st.lists(st.tuples(score | st.sampled_from([-np.inf, np.inf]), st.booleans()), min_size=2))
def test_every_row_of_a_roc_is_what_passes_its_threshold(cases):
    scores, target = (np.array(v) for v in zip(*cases, strict=True))
    if target.all() or not target.any():
        with pytest.raises(BadInput, match="ROC: expected cases of the target and other cases"):
            roc_curve(scores, target)
        return
    roc = roc_curve(scores, target)
    assert roc["threshold"].tolist() == sorted(set(scores.tolist()), reverse=True)
    for row in roc.itertuples():
        passed = scores >= row.threshold
        assert row.efficiency == pytest.approx(passed[target].mean())
        assert row.false_positive_rate == pytest.approx(passed[~target].mean())
        assert row.low <= row.efficiency <= row.high


def test_candidates_near_an_opening_are_true_once_a_particle():
    openings = np.array([[0.0, 0], [4, 0], [50, 50]])  # in and out of particle 7; particle 3
    candidates = np.array([[4.5, 0], [0.5, 0], [56, 50], [50, 54], [2, 5.5]])
    is_true, which = match_particles(openings, np.array([7, 7, 3]), candidates, 6)
    # The third is at the tolerance itself; the second and the last are particle 7's once more.
    assert is_true.tolist() == [True, False, False, True, False]
    assert which.tolist() == [7, -1, -1, 3, -1]


def test_without_candidates_or_particles_nothing_is_true():
    none, some = np.empty((0, 2)), np.zeros((2, 2))
    for openings, candidates in ((none, some), (some, none), (none, none)):
        number = np.zeros(len(openings), int)
        is_true, which = match_particles(openings, number, candidates, 6)
        assert is_true.tolist() == [False] * len(candidates)
        assert which.tolist() == [-1] * len(candidates)


place = st.tuples(st.integers(0, 15), st.integers(0, 15))


@settings(deadline=None)
@given(
    st.lists(st.tuples(place, st.integers(0, 3)), max_size=6, unique_by=lambda o: o[0]),
    st.lists(place, max_size=8),
)
def test_matching_is_what_a_loop_over_candidates_does(openings, candidates):
    at = np.array([p for p, _ in openings], float).reshape(-1, 2)
    at = at + np.array([math.e / 20, math.pi / 9])  # no two as near
    number = np.array([n for _, n in openings], int)
    given_places = np.array(candidates, float).reshape(-1, 2)
    is_true, which = match_particles(at, number, given_places, 4.0)
    taken = set()
    for k, candidate in enumerate(given_places):
        apart = np.hypot(*(at - candidate).T)
        found = -1
        if len(at) and apart.min() < 4:
            nearest = int(number[apart.argmin()])
            found = -1 if nearest in taken else nearest
            taken.add(nearest)
        assert which[k] == found
        assert is_true[k] == (found >= 0)


def test_figures_at_a_threshold_by_hand():
    assert TEN.efficiency(4) == proportion(3, 5)
    assert TEN.purity(4) == proportion(3, 6)
    assert (TEN.false(4), TEN.false(7), TEN.false(8)) == (3, 1, 0)
    assert TEN.chance(7) == proportion(1, 5)
    assert TEN.chance(7.5) == proportion(0, 5)
    assert TEN.efficiency(-1) == proportion(4, 5)
    assert math.isnan(TEN.purity(10).value)


def test_chance_may_have_a_threshold_for_each_candidate():
    everywhere = np.full(10, 7.0)
    assert TEN.chance(everywhere) == TEN.chance(7)
    everywhere[2] = 7.5
    assert TEN.chance(everywhere).successes == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": [0]}, "search: tile: expected 2 candidates, 1 particles"),
        ({"there": [0, 1]}, "search: tile: expected 2 candidates, 1 particles"),
        ({"tile": [0, 4]}, "expected numbers of 4 tiles from 0 on, found 0 to 4"),
        (
            {"ground": Ground(np.zeros((4, 2)), np.zeros((4, 1)), np.zeros(3), np.zeros(1))},
            r"search: ground: expected 4 tiles, 2 candidates, 1 particles, found \[4, 4, 3, 1\]",
        ),
    ],
)
def test_a_search_knows_the_place_of_everything(change, message):
    with pytest.raises(BadInput, match=message):
        _search([2, 1], [1, 0], particles=1, **change)


@pytest.mark.parametrize(
    ("wanted", "threshold"),
    [
        ({"efficiency": 0.2}, 9),
        ({"efficiency": 0.21}, 8),
        ({"efficiency": 0.6}, 6),
        ({"efficiency": 0.8}, 3),
        ({"false_per_tile": 0}, 7.5),
        ({"false_per_tile": 0.25}, 5.5),  # one in four tiles
        ({"false_per_tile": 0.49}, 5.5),
        ({"false_per_tile": 0.75}, 3.5 - 1),  # the fourth false one has score 2
        ({"false_per_tile": 1.5}, 0),
        ({"false_per_tile": 100}, 0),
    ],
)
def test_thresholds_by_hand(wanted, threshold):
    assert TEN.threshold_for(**wanted) == threshold


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({}, "working point: expected an efficiency or false candidates per tile, found not one"),
        ({"efficiency": 0.5, "false_per_tile": 1}, "expected an efficiency or false candidates"),
        ({"efficiency": 0.0}, "efficiency: expected above 0, at most 1, found 0"),
        ({"efficiency": 1.01}, "efficiency: expected above 0, at most 1, found 1.01"),
        ({"efficiency": math.nan}, "efficiency: expected above 0, at most 1, found nan"),
        ({"efficiency": 0.81}, "expected 0.81, reached, found 4 of 5 particles have a candidate"),
        ({"false_per_tile": -1}, "false candidates: expected 0 or more, found -1"),
        ({"false_per_tile": math.nan}, "false candidates: expected 0 or more, found nan"),
        ({"false_per_tile": math.inf}, "false candidates: expected 0 or more, found inf"),
    ],
)
def test_working_points_that_cannot_be_are_refused(wanted, message):
    with pytest.raises(BadInput, match=message):
        TEN.threshold_for(**wanted)


@given(cases, st.floats(0, 3))
def test_a_threshold_for_false_candidates_keeps_to_them_and_wastes_none(cases, per_tile):
    search = _ranked(cases)
    threshold = search.threshold_for(false_per_tile=per_tile)
    assert search.false(threshold) <= per_tile * search.tiles
    # No lower threshold passes more true ones without too many false ones.
    for lower in {s for s in search.score.tolist() if s < threshold}:
        more = search.efficiency(lower).successes > search.efficiency(threshold).successes
        assert not more or search.false(lower) > per_tile * search.tiles


@given(cases, st.integers(0, 4), st.floats(0.01, 1))
def test_a_threshold_for_an_efficiency_is_the_highest_that_reaches_it(cases, missed, efficiency):
    search = _ranked(cases)
    search = _ranked(cases, particles=search.particles + missed)
    try:
        threshold = search.threshold_for(efficiency=efficiency)
    except BadInput:
        reached = search.efficiency(-np.inf)
        assert reached.trials == 0 or reached.value < efficiency - 1e-9
        return
    assert search.efficiency(threshold).value >= efficiency - 1e-9
    for higher in {s for s in search.score.tolist() if s > threshold}:
        assert search.efficiency(higher).value < efficiency


def test_a_free_response_by_hand():
    shifted = [0, 1, 0, 0, 1]
    curve = free_response(_search([9, 8, 7, 6, 5], [1, 0, 0, 1, 0], particles=4, by_chance=shifted))
    assert curve["chance"].tolist() == [0, 0.25, 0.25, 0.5]
    assert curve["threshold"].tolist() == [9, 8, 6, 5]
    assert curve["false"].tolist() == [0, 1, 2, 3]
    assert curve["false_per_tile"].tolist() == [0, 0.25, 0.5, 0.75]
    assert curve["false_per_cm2"].tolist() == [0, 2, 4, 6]
    assert curve["efficiency"].tolist() == [0.25, 0.25, 0.5, 0.5]
    assert curve["low"].tolist() == pytest.approx([proportion(k, 4).low for k in (1, 1, 2, 2)])
    assert curve["high"].tolist() == pytest.approx([proportion(k, 4).high for k in (1, 1, 2, 2)])
    interval = curve[["false_per_tile_low", "false_per_tile_high"]].to_numpy() * 4
    # All of them on one tile of four, which may be drawn not at all, or two or more times.
    exact = np.array([poisson_interval(k) for k in range(4)])
    assert (interval[:, 0] <= exact[:, 0]).all()
    assert (interval[:, 1] >= exact[:, 1]).all()
    np.testing.assert_allclose(interval[0], exact[0])


@given(cases)
def test_every_row_of_a_free_response_is_what_passes_its_threshold(cases):
    search = _ranked(cases)
    curve = free_response(search)
    assert curve["false"].max() == search.false(-np.inf)
    assert curve["threshold"].is_monotonic_decreasing
    for row in curve.itertuples():
        assert search.false(row.threshold) == row.false
        passed = search.efficiency(row.threshold).successes
        assert row.efficiency == pytest.approx(passed / max(search.particles, 1))


def test_a_search_that_found_nothing_has_a_curve_of_one_point():
    curve = free_response(_search([], [], particles=3, area_cm2=math.nan))
    assert curve["efficiency"].tolist() == [0]
    assert curve["threshold"].tolist() == [math.inf]
    assert curve["false_per_cm2"].isna().all()
    assert _search([], []).threshold_for(false_per_tile=1) == 0


def test_equal_scores_pass_together_in_a_free_response():
    curve = free_response(_search([9, 8, 8, 8, 5], [1, 1, 0, 0, 1], particles=4))
    assert curve["threshold"].tolist() == [9, 5]
    assert curve["false"].tolist() == [0, 2]
    assert curve["efficiency"].tolist() == [0.25, 0.75]


def _chained(rng, tiles=40, chains=12):
    """Candidates whose false ones come in chains of ten on some tiles, and those particles."""
    there = np.repeat(np.arange(tiles), 5)
    false = np.repeat(rng.choice(tiles, chains, replace=False), 10)
    tile = np.concatenate([there[: 4 * len(there) // 5], false])
    is_true = np.arange(len(tile)) < len(tile) - len(false)
    order = rng.permutation(len(tile))
    return _search(
        np.arange(len(tile), 0.0, -1),
        is_true[order],
        tiles=tiles,
        tile=tile[order],
        there=there,
        particles=len(there),
    )


def test_figures_have_intervals_over_tiles():
    search = _chained(np.random.default_rng(1))
    assert search.false_chi2_ndf(0) == pytest.approx(7, abs=1)
    exact = proportion(160, 280)
    assert search.purity(0).value == exact.value
    assert search.purity(0).high - search.purity(0).low > 1.7 * (exact.high - exact.low)
    value, low, high = search.false_per_tile(0)
    least, most = (v / 40 for v in poisson_interval(120))
    assert value == 3
    assert high - low > 2 * (most - least)
    # A fifth of the tiles shows none of its particles.
    found, exact = search.efficiency(0), proportion(160, 200)
    assert (found.successes, found.trials) == (160, 200)
    assert found.high - found.low > 1.7 * (exact.high - exact.low)
    assert math.isnan(search.false_chi2_ndf(1000))


def test_the_bands_of_a_free_response_are_those_of_its_thresholds():
    search = _chained(np.random.default_rng(2))
    curve = free_response(search)
    for row in curve.iloc[::11].itertuples():
        p, rate = search.efficiency(row.threshold), search.false_per_tile(row.threshold)
        assert (row.low, row.high) == pytest.approx((p.low, p.high))
        bounds = (row.false_per_tile, row.false_per_tile_low, row.false_per_tile_high)
        assert bounds == pytest.approx(rate)


def test_the_bands_of_a_long_free_response_are_interpolated():
    search = _chained(np.random.default_rng(3), tiles=300, chains=90)
    curve = free_response(search)
    assert len(curve) > 800
    row = curve.iloc[len(curve) // 2 + 3]
    p, rate = search.efficiency(row["threshold"]), search.false_per_tile(row["threshold"])
    assert (row["low"], row["high"]) == pytest.approx((p.low, p.high), abs=0.01)
    interval = row[["false_per_tile_low", "false_per_tile_high"]].tolist()
    assert interval == pytest.approx(rate[1:], rel=0.02)


def test_chance_is_a_mean_over_shifts():
    search = _search([3, 2, 1], [1, 0, 0], particles=2, by_chance=[0.25, 0.5, 0])
    assert search.chance(2).value == 0.375
    assert search.chance(3).successes == 0.25
    assert free_response(search)["chance"].tolist() == [0.125, 0.375, 0.375]
