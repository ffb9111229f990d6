import numpy as np
import pytest
from tests.benchmarks.drawn_cells import GROUND, draw_cells

from etchscope.foil import BadInput
from resemblance_cells import CURVES, MEASURES, SCALARS, measure
from resemblance_distances import compare, discriminate, distances


def test_the_same_cells_are_no_distance_away():
    m = measure(draw_cells())
    assert distances(m, m) == pytest.approx(dict.fromkeys(MEASURES, 0.0))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"radius_px": 10.0}, {"diameter_px", "profile"}),
        ({"grey": 70.0}, {"contrast", "profile"}),
        ({"others": 4}, {"discs"}),
        ({"rings": 6}, {"rings", "dark_share"}),
        ({"noise": 12.0}, {"spectrum", "glints"}),
        ({"grain": 600.0}, {"spectrum", "greys", "dark_share"}),
    ],
)
def test_each_measure_sees_its_deliberate_change(change, expected):
    real = measure(draw_cells(24, seed=1))
    same, other = (distances(real, measure(draw_cells(24, seed=2, **c))) for c in ({}, change))
    for name in expected:
        assert other[name] > 2 * same[name], name
        assert other[name] > 0.8, name


def test_distance_of_one_number_is_in_real_spreads():
    a = measure(draw_cells(30, seed=3, others=0, rings=0))
    b = a.take(np.arange(30))
    spread = a.table["diameter_px"].std()
    b.table["diameter_px"] += 1.5 * spread
    assert distances(a, b)["diameter_px"] == pytest.approx(1.5)


def test_the_table_has_a_floor_and_a_ceiling():
    real, near = measure(draw_cells(24, seed=6)), measure(draw_cells(24, seed=7))
    far = measure(draw_cells(24, seed=8, radius_px=10, grey=80, others=5, rings=7, grain=600))
    t = compare(real, near, far, rng=np.random.default_rng(1), rounds=30)
    assert t.index.tolist() == list(MEASURES) == [*SCALARS, *CURVES]
    assert (t["floor_low"] <= t["floor"]).all()
    assert (t["low"] <= t["high"]).all()
    assert (t["ceiling"] > t["distance"]).all()
    again = compare(real, near, far, rng=np.random.default_rng(1), rounds=30)
    assert t.equals(again)
    assert compare(real, near, rng=np.random.default_rng(1), rounds=5)["ceiling"].isna().all()


def test_the_discriminant_guesses_among_equals_and_knows_strangers():
    real, same = measure(draw_cells(30, seed=9)), measure(draw_cells(30, seed=10))
    far = measure(draw_cells(30, seed=11, grey=80))
    rng = np.random.default_rng(1)
    assert discriminate(real, same, rng) < 0.75
    assert discriminate(real, far, rng) > 0.97


def test_the_distance_leaves_out_the_profile_of_a_cell_without_a_pit():
    cells = draw_cells(3, others=0, rings=0)
    cells[1] = int(GROUND)
    m = measure(cells)
    assert np.isfinite(distances(m, m)["profile"])


def test_too_few_cells_are_not_compared():
    few = measure(draw_cells(3))
    with pytest.raises(BadInput, match="4 or more real and simulated"):
        compare(few, few, rng=np.random.default_rng(1))
