import numpy as np
import pytest

from etchscope.evaluation import (
    accidental_matches,
    chance_matches,
    in_box,
    local_shifts,
    match_nearest,
    match_one_to_one,
)

AREA = (40.0, 30.0)


def with_one_spot(rng, number, spot=(8.0, 8.0), share=0.8, size=2.5):
    """Points of which most lie in one spot of a foil, the others anywhere."""
    gathered = rng.random(number) < share
    return np.where(
        gathered[:, None], rng.normal(spot, size, (number, 2)), rng.uniform(0, AREA, (number, 2))
    )


@pytest.mark.parametrize("rule", ["one-to-one", "nearest"])
def test_unrelated_lists_with_one_hot_spot_agree_as_often_as_chance_says(rule):
    """Turned by 180° as a whole, the second list said 3 % where half agree."""
    rng = np.random.default_rng(1)
    one, other = with_one_spot(rng, 12000), with_one_spot(rng, 12000)
    matcher = match_one_to_one if rule == "one-to-one" else match_nearest
    agree = matcher(one, other, 0.06).truth_hit.mean()
    chance = chance_matches(one, other, 0.06, rule=rule)
    assert 0.4 < agree < 0.6
    # The shifts, of 0.6 and 1.2 mm, are not much smaller than the spot of 2.5 mm.
    assert chance.truth.mean() == pytest.approx(agree, abs=0.03)
    turned = np.array(AREA) - other
    assert matcher(one, turned, 0.06).truth_hit.mean() < 0.05


def test_shifts_are_local_and_go_all_ways():
    shifts = local_shifts(0.5)
    distance, angle = np.hypot(*shifts.T), np.arctan2(shifts[:, 1], shifts[:, 0])
    assert sorted(set(distance.round(9).tolist())) == [5, 10]
    assert len(set(zip(distance.round(6).tolist(), angle.round(6).tolist(), strict=True))) == 16
    np.testing.assert_allclose(shifts.sum(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("inside", [None, in_box((0, 0), (10, 10))])
def test_points_that_leave_the_area_do_not_lower_chance(inside):
    """A fifth of the shifts lead off an area of twenty tolerances' width on either side."""
    rng = np.random.default_rng(2)
    one, other = rng.uniform(0, 10, (2, 3000, 2))
    chance = chance_matches(one, other, 0.1, rule="nearest", inside=inside)
    expected = -np.expm1(-3000 / 10**2 * np.pi * 0.1**2)
    assert chance.truth.mean() == pytest.approx(expected, rel=0.05)
    assert chance.found.mean() == pytest.approx(expected, rel=0.05)
    shifted = [match_nearest(one, other + s, 0.1).truth_hit.mean() for s in local_shifts(0.1)]
    assert np.mean(shifted) < 0.93 * expected


def test_chance_is_that_of_the_local_densities():
    rng = np.random.default_rng(3)
    one = with_one_spot(rng, 3000, share=0.3, size=4.0)
    other = np.concatenate([one[:2500] + rng.normal(0, 0.01, (2500, 2)), with_one_spot(rng, 500)])
    chance = chance_matches(one, other, 0.05, rule="nearest").truth.sum()
    assert accidental_matches(one, other, 0.05).expected == pytest.approx(chance, rel=0.1)


def test_chance_keeps_to_its_group():
    xy = np.array([[100.0, 100.0]])
    found = xy - local_shifts(6)[[0, 9]]
    inside = in_box((0, 0), (639, 479))
    groups = {"truth_group": [1], "found_group": [1, 2]}
    chance = chance_matches(xy, found, 6, rule="nearest", inside=inside, **groups)
    # From beyond the edges, over 100 px to the left or above, come 2 of the 16 shifts.
    assert chance.truth.tolist() == [1 / 14]
    assert chance.found[1] == 0


def test_a_list_smaller_than_a_shift_has_no_chance():
    square = np.array([[0, 0], [3, 0], [3, 3], [0, 3.0]])
    chance = chance_matches(square, square[:3], 1.0, rule="nearest")
    assert np.isnan(chance.truth).all()
    assert np.isnan(chance.found).all()
    none = chance_matches(np.empty((0, 2)), np.empty((0, 2)), 1.0, rule="nearest")
    assert (len(none.truth), len(none.found)) == (0, 0)
