"""Simulated scores whose true rates are known: false ones thin out as an exponential."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from etchscope.evaluation import (
    Asked,
    Ground,
    Search,
    density_edges,
    efficiency_at_rate,
    exchanged,
    halves,
    measured_elsewhere,
    thresholds_for,
)
from etchscope.foil import BadInput

FALSE, TRUE = 30.0, 3.0
"""Candidates a tile that are false, and particles."""
FOUND = 0.95
SPARSE, DENSE = 20.0, 200.0
WHOLE = Asked(false_per_tile=1.0)


def drawn(rng, tiles=40, dense=0):
    """A foil of which the last ``dense`` tiles have ten times as many false ones, of higher score.

    Tiles are numbered at random over a field of eight columns.
    """
    is_dense = np.arange(tiles) >= tiles - dense
    false_tile = np.repeat(np.arange(tiles), rng.poisson(FALSE * np.where(is_dense, 10, 1)))
    false = rng.exponential(1, len(false_tile)) + is_dense[false_tile]
    particle_tile = np.repeat(np.arange(tiles), rng.poisson(TRUE, tiles))
    true = rng.normal(4, 1.5, len(particle_tile)) + is_dense[particle_tile]
    found = rng.random(len(true)) < FOUND
    score, tile = np.r_[false, true[found]], np.r_[false_tile, particle_tile[found]]
    is_true = np.arange(len(score)) >= len(false)
    order = np.argsort(-score)
    density = np.where(is_dense, DENSE, SPARSE)
    place = np.column_stack(np.divmod(rng.permutation(tiles), 8)).astype(float)
    return Search(
        score[order],
        is_true[order],
        np.zeros(len(score)),
        len(true),
        tiles,
        0.1 * tiles,
        tile[order],
        particle_tile,
        np.ones(tiles),
        Ground(place, density[:, None], density[tile[order]], density[particle_tile]),
    )


def expected_false(threshold):
    """False candidates a tile that a threshold lets pass on any such foil."""
    return FALSE * np.exp(-threshold)


def expected_efficiency(rate):
    return FOUND * norm.sf((np.log(FALSE / rate) - 4) / 1.5)


def row_of(score, is_true, tile, tiles, particles=None):
    is_true, tile = np.asarray(is_true, bool), np.asarray(tile)
    there = tile[is_true] if particles is None else np.asarray(particles)
    nothing = np.zeros(len(is_true))
    score = np.asarray(score, float)
    return Search(
        score, is_true, nothing, len(there), tiles, 1.0, tile, there, np.ones(tiles), None
    )


# Chosen and measured ------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "tiles"), [(1.0, 40), (0.1, 40), (0.5, 20)])
def test_exchanged_halves_have_the_rate_that_was_asked_for(rate, tiles):
    rng = np.random.default_rng(5)
    foils = [drawn(rng, tiles) for _ in range(200)]
    asked = Asked(false_per_tile=rate)
    rates = np.array([exchanged(f, asked, draws=2)[0].false_per_tile[0] for f in foils])
    error = rates.std() / np.sqrt(len(rates))
    assert rates.mean() == pytest.approx(rate, abs=3 * error)
    assert error < 0.06 * rate


def test_a_threshold_that_allows_a_count_on_its_own_foil_lets_more_pass_on_others():
    # This is what 0.1 false a tile were before: on 10 tiles twice as many.
    rng = np.random.default_rng(6)
    foils = [drawn(rng, 10) for _ in range(400)]
    allowed = np.array([expected_false(f.threshold_for(false_per_tile=0.1)) for f in foils])
    assert allowed.mean() > 0.17
    (chosen,) = zip(*(thresholds_for(f, Asked(false_per_tile=0.1)) for f in foils), strict=True)
    now = expected_false(np.array(chosen))
    assert now.mean() == pytest.approx(0.1, abs=3 * now.std() / 20)


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
    measured = [exchanged(f, WHOLE, draws=100)[0] for f in foils]
    assert np.mean([m.false_per_tile[1] <= 1 <= m.false_per_tile[2] for m in measured]) >= 0.9
    truth = expected_efficiency(1.0)
    assert np.mean([m.efficiency[1] <= truth <= m.efficiency[2] for m in measured]) >= 0.9
    purity = TRUE * truth / (TRUE * truth + 1)
    assert np.mean([m.purity[1] <= purity <= m.purity[2] for m in measured]) >= 0.9


def test_an_efficiency_that_is_asked_for_is_reached_on_the_other_half():
    rng = np.random.default_rng(9)
    measured = [exchanged(drawn(rng), Asked(efficiency=0.6), draws=2)[0] for _ in range(100)]
    reached = np.array([m.efficiency[0] for m in measured])
    assert reached.mean() == pytest.approx(0.6, abs=0.02)
    rate = np.mean([m.false_per_tile[0] for m in measured])
    assert expected_efficiency(rate) == pytest.approx(0.6, abs=0.03)


def test_thresholds_are_measured_on_another_foil():
    rng = np.random.default_rng(10)
    measured = [
        measured_elsewhere(drawn(rng, 16), drawn(rng, 30), WHOLE, draws=2) for _ in range(200)
    ]
    rates = np.array([whole.false_per_tile[0] for whole, _ in measured])
    assert rates.mean() == pytest.approx(1, abs=3 * rates.std() / np.sqrt(200))
    whole, parts = measured[0]
    assert parts == (whole,)


# By density ---------------------------------------------------------------------------------


def test_each_class_of_density_has_the_rate_by_its_own_area():
    rng = np.random.default_rng(11)
    foils = [drawn(rng, 40, dense=20) for _ in range(60)]
    parts, one = [], []
    for foil in foils:
        edges = density_edges(foil, 1.0)
        assert edges == (DENSE,)
        parts.append([m.false_per_tile[0] for m in exchanged(foil, WHOLE, edges, draws=2)[1]])
        (everywhere,) = thresholds_for(foil, WHOLE)
        sparse, dense = thresholds_for(foil, WHOLE, edges)
        assert sparse < everywhere < dense
        passed = ~foil.is_true & (foil.score >= everywhere)
        one.append([(passed & (foil.ground.candidates == d)).sum() / 20 for d in (SPARSE, DENSE)])
    error = np.std(parts, axis=0) / np.sqrt(len(parts))
    assert np.abs(np.mean(parts, axis=0) - 1).max() < 3 * error.max()
    # With one threshold the crowd takes nearly all that is allowed.
    assert np.mean(one, axis=0) == pytest.approx([0.07, 1.93], abs=0.02)


def test_classes_that_are_too_small_are_joined_to_a_neighbour():
    foil = drawn(np.random.default_rng(12), 40, dense=4)
    assert density_edges(foil, 5.0) == (DENSE,)
    assert density_edges(foil, 0.5) == ()  # two false candidates in the crowd
    assert density_edges(foil, 0.05) == ()


def test_classes_keep_their_order_and_enough_area_in_both_halves():
    rng = np.random.default_rng(13)
    foil = drawn(rng, 64)
    density = np.sort(rng.uniform(1, 100, 64))
    ground = Ground(
        foil.ground.place,
        np.repeat(density[:, None], 4, axis=1),
        density[foil.tile],
        density[foil.particle_tile],
    )
    foil = Search(**{**vars(foil), "ground": ground})
    many, few = density_edges(foil, 2.0), density_edges(foil, 0.3)
    assert len(many) == 5
    assert 0 < len(few) < 5
    assert set(few) < set(many)
    assert sorted(many) == list(many)
    for edges, rate in ((many, 2.0), (few, 0.3)):
        counts = np.histogram(density, [0, *edges, 1e9])[0]
        assert (rate * counts >= 5).all()


def test_without_a_known_density_there_is_one_class():
    foil = drawn(np.random.default_rng(14), 40, dense=20)
    g = foil.ground
    unknown = Ground(g.place, *(np.full_like(v, np.nan) for v in list(vars(g).values())[1:]))
    for ground in (None, unknown):
        assert density_edges(Search(**{**vars(foil), "ground": ground}), 1.0) == ()
    none = np.zeros(0)
    empty = Ground(g.place, g.density, none, g.particles)
    bare = {"score": none, "is_true": none > 0, "by_chance": none, "tile": none.astype(int)}
    assert density_edges(Search(**{**vars(foil), **bare, "ground": empty}), 1.0) == ()


def test_the_efficiency_at_a_rate_is_that_of_all_classes():
    foil = drawn(np.random.default_rng(15), 40, dense=20)
    whole = efficiency_at_rate(foil, 1.0, draws=20)[0]
    parts = efficiency_at_rate(foil, 1.0, (DENSE,), draws=20)[0]
    assert parts > whole  # the sparse half is no longer judged by the crowd


# By hand ------------------------------------------------------------------------------------

TEN = row_of([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [1, 1, 0, 1, 0, 0, 1, 0, 0, 0], [0] * 10, 4, [0] * 5)


@pytest.mark.parametrize(
    ("rate", "threshold"),
    [
        (0.25, 7),  # one in four tiles
        (0.375, 6),  # halfway to the second, at 5
        (0.5, 5),
        (0.75, 4),
        (1.0, 2),
        (1.5, 0),  # all six
        (100, 0),
    ],
)
def test_thresholds_by_hand(rate, threshold):
    assert thresholds_for(TEN, Asked(false_per_tile=rate)) == (threshold,)


@pytest.mark.parametrize(
    ("rate", "found"),
    [(0.25, 2), (0.375, 2.5), (0.5, 3), (0.75, 3), (0.875, 3.5), (1.0, 4), (9, 4)],
)
def test_efficiencies_at_a_rate_by_hand(rate, found):
    value, low, high = efficiency_at_rate(TEN, rate, draws=20)
    assert value == pytest.approx(found / 5)
    assert low < value < high


def test_fewer_than_one_false_candidate_is_beyond_the_best_of_them():
    # The best five lie 3 above the last one on average: (5 + 4 + 3 + 2 + 1) / 5.
    foil = row_of(np.arange(6.0, 0, -1), [0] * 6, [0] * 6, 10, [0])
    (threshold,) = thresholds_for(foil, Asked(false_per_tile=0.05))
    assert threshold == pytest.approx(6 + 3 * math.log(2))
    one = row_of([3.0], [0], [0], 10, [0])
    (threshold,) = thresholds_for(one, Asked(false_per_tile=0.05))
    assert threshold == np.nextafter(3, 4)


def test_equal_scores_pass_together_or_not_at_all():
    foil = row_of([9, 8, 7, 7, 7, 5], [1, 0, 0, 0, 0, 0], [0] * 6, 1)
    (threshold,) = thresholds_for(foil, Asked(false_per_tile=2))
    assert 7 < threshold < 8
    assert thresholds_for(foil, Asked(false_per_tile=4)) == (7,)


def test_a_foil_on_which_nothing_is_found():
    nothing = row_of([], [], np.zeros(0, int), 4, [0, 1])
    assert thresholds_for(nothing, WHOLE) == (0,)
    measured, _ = exchanged(nothing, WHOLE, draws=5)
    assert measured.efficiency[0] == 0
    assert measured.false_per_tile == pytest.approx((0, 0, 3.689 / 4), abs=1e-3)
    assert math.isnan(measured.purity[0])
    assert efficiency_at_rate(nothing, 1.0, draws=5)[0] == 0
    assert np.isnan(efficiency_at_rate(row_of([], [], np.zeros(0, int), 4), 1.0)).all()


def test_one_tile_has_no_other_half():
    one = row_of([3, 2, 1], [1, 0, 0], [0] * 3, 1)
    whole, parts = exchanged(one, WHOLE)
    assert np.isnan([whole.efficiency, whole.false_per_tile, whole.purity]).all()
    assert len(parts) == 1
    value, low, high = efficiency_at_rate(one, 1.0, draws=5)
    assert (value, low, high) == pytest.approx((1, 0.025, 1))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({}, "working point: expected an efficiency or false candidates a tile, found not one"),
        ({"efficiency": 0.5, "false_per_tile": 1}, "expected an efficiency or false candidates"),
        ({"efficiency": 0.0}, "efficiency: expected above 0, at most 1, found 0"),
        ({"efficiency": math.nan}, "efficiency: expected above 0, at most 1, found nan"),
        ({"false_per_tile": 0.0}, r"false candidates: expected above 0, found 0\.0\. What passes"),
        ({"false_per_tile": math.nan}, "false candidates: expected above 0, found nan"),
        ({"false_per_tile": math.inf}, "false candidates: expected above 0, found inf"),
    ],
)
def test_what_cannot_be_asked_for(wanted, message):
    with pytest.raises(BadInput, match=message):
        Asked(**wanted)


def test_an_efficiency_that_is_never_reached():
    with pytest.raises(BadInput, match="found 4 of 5 particles have a candidate at all"):
        thresholds_for(TEN, Asked(efficiency=0.9))
    assert thresholds_for(TEN, Asked(efficiency=0.8)) == (3,)
    assert str(Asked(efficiency=0.8)) == "efficiency 0.8"


# Halves -------------------------------------------------------------------------------------


def test_halves_are_blocks_of_neighbours_as_on_a_chessboard():
    y, x = np.mgrid[:8, :8]
    second = halves(np.column_stack([4.0 * x.ravel(), 3.0 * y.ravel()])).reshape(8, 8)
    assert second.sum() == 32
    blocks = second.reshape(4, 2, 4, 2).transpose(0, 2, 1, 3).reshape(16, 4)
    assert (blocks == blocks[:, :1]).all()
    # Each half has as much of either side of the foil.
    assert second[:4].sum() == second[:, :4].sum() == 16
    # Blocks of a large foil have about eight tiles, so that most neighbours are of one half.
    y, x = np.mgrid[:25, :20]
    second = halves(np.column_stack([4.0 * x.ravel(), 3.0 * y.ravel()])).reshape(25, 20)
    assert abs(second.sum() - 250) <= 32
    alike = [np.mean(second[:, 1:] == second[:, :-1]), np.mean(second[1:] == second[:-1])]
    assert min(alike) > 0.6


def test_halves_do_not_depend_on_the_order_and_are_equal_on_any_foil():
    rng = np.random.default_rng(3)
    for place in (rng.uniform(0, 9, (57, 2)), np.repeat(np.arange(20.0)[:, None], 2, axis=1)):
        second, order = halves(place), rng.permutation(len(place))
        assert abs(second.sum() - (~second).sum()) <= 8
        np.testing.assert_array_equal(halves(place[order]), second[order])
    assert halves(np.zeros((1, 2))).tolist() == [False]
    assert halves(np.array([[0.0, 0], [1, 0]])).tolist() == [False, True]
    assert halves(np.empty((0, 2))).shape == (0,)


def test_equal_input_gives_equal_figures():
    foil = drawn(np.random.default_rng(16))
    assert exchanged(foil, WHOLE, draws=10) == exchanged(foil, WHOLE, draws=10)
