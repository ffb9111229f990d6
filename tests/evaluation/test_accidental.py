import numpy as np
import pytest

from etchscope.evaluation import (
    Accidental,
    accidental_matches,
    chance_matches,
    convex_hull,
    in_hull,
    local_rate,
    match_nearest,
)
from etchscope.foil import BadInput

AREA = (40.0, 30.0)


@pytest.mark.parametrize("rule", ["nearest", "one-to-one"])
def test_unrelated_lists_match_as_often_as_expected(rule):
    rng = np.random.default_rng(3)
    one, other = (rng.uniform(0, AREA, (n, 2)) for n in (2000, 1500))
    counted = match_nearest(one, other, 0.2).true_pos
    expected = accidental_matches(one, other, 0.2, rule=rule)
    assert expected.low <= counted <= expected.high
    assert expected.low < expected.expected < expected.high


def test_a_uniform_density_expects_too_few_where_points_gather():
    rng = np.random.default_rng(4)
    one, other = (
        np.column_stack([AREA[0] * rng.random(n) ** 2, rng.uniform(0, AREA[1], n)])
        for n in (2000, 2000)
    )
    counted = chance_matches(one, other, 0.1, rule="nearest").truth.sum()
    expected = accidental_matches(one, other, 0.1).expected
    uniform = 2000 * 2000 / (AREA[0] * AREA[1]) * np.pi * 0.1**2
    assert expected == pytest.approx(counted, rel=0.12)
    assert uniform < 0.8 * counted


def test_true_partners_are_no_accidents():
    rng = np.random.default_rng(5)
    one = rng.uniform(0, AREA, (1000, 2))
    other = one + rng.normal(0, 0.02, one.shape)
    expected = accidental_matches(one, other, 0.1).expected
    shifted = chance_matches(one, other, 0.1, rule="nearest").truth.sum()
    assert expected < 60
    assert expected == pytest.approx(shifted, rel=0.25)


def test_the_edge_of_a_scan_is_no_low_density():
    rng = np.random.default_rng(6)
    others = rng.uniform(0, 20, (8000, 2))
    edge = np.column_stack([np.full(400, 0.05), np.linspace(1, 19, 400)])
    expected = 8000 / 20**2 * np.pi * 0.05**2  # half of a ring lies outside
    assert local_rate(edge, others, 0.05).mean() == pytest.approx(expected, rel=0.15)


def test_one_to_one_expects_no_more_than_the_smaller_side():
    rng = np.random.default_rng(7)
    many, few = rng.uniform(0, 5, (2000, 2)), rng.uniform(0, 5, (50, 2))
    assert accidental_matches(many, few, 0.5, rule="one-to-one").expected <= 50


def test_nothing_to_match_with():
    assert accidental_matches(np.empty((0, 2)), np.empty((0, 2)), 1.0).expected == 0
    assert accidental_matches([[0, 0]], np.empty((0, 2)), 1.0).to_dict() == {
        "expected": 0,
        "low": 0,
        "high": 0,
    }
    assert str(Accidental.of(4.0)) == "4.0 [1, 8]"
    with pytest.raises(BadInput, match="tolerance: expected a positive number, found 0"):
        local_rate([[0, 0]], [[0, 0]], 0)


def test_hull():
    square = convex_hull(np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]], float))
    assert in_hull(np.array([[0.5, 0.2], [1.5, 0.5]]), square).tolist() == [True, False]
    line = convex_hull(np.array([[0, 0], [1, 1], [2, 2.0]]))
    assert in_hull(np.array([[9.0, 9]]), line).tolist() == [True]
