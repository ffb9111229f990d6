import numpy as np
import pytest

from etchscope.background.hidden import Corrected, EfficiencyCurve, HiddenPits, excluded_area
from etchscope.foil import BadInput

AREA = 2e-3
EXACT = HiddenPits(AREA, relative_error=0.0)


def test_pits_that_others_hide_are_counted_back():
    true = np.array([0.0, 1.0, 50.0, 300.0])
    found = true * np.exp(-true * AREA)
    back = EXACT.undo(found, 0.9 * found, 1.05 * found)
    np.testing.assert_allclose(back.value, true, rtol=1e-9)
    assert back.known.all()
    np.testing.assert_allclose(back.factor[0][1:], true[1:] / found[1:])
    assert (back.low[1:] < true[1:]).all()
    assert (back.high[1:] > true[1:]).all()
    # In a crowd an error of the found pits is a larger one of all pits.
    assert back.high[3] / true[3] - 1 > 2 * 0.05


def test_simulated_pits_follow_the_law():
    rng = np.random.default_rng(1)
    true, side = 120.0, 30.0
    at = rng.uniform(0, side, (rng.poisson(true * side**2), 2))
    from scipy.spatial import cKDTree

    nearest = cKDTree(at).query(at, k=2)[0][:, 1]
    found = np.array([(nearest > np.sqrt(AREA / np.pi)).sum() / side**2])
    assert found[0] < 0.85 * true
    assert EXACT.undo(found, found, found).value[0] == pytest.approx(true, rel=0.02)


def test_from_half_of_hidden_pits_on_nothing_is_known():
    found = np.array([0.30, np.exp(-1), 0.5]) / AREA
    back = EXACT.undo(found, 0.9 * found, 1.01 * found)
    assert back.known.tolist() == [True, False, False]
    np.testing.assert_allclose(back.value[1:], found[1:])
    assert np.isinf(back.high[1:]).all()
    assert (back.low > 0).all()


def test_the_error_of_the_area_widens_the_interval():
    found = np.array([100.0])
    back = HiddenPits(AREA, 0.3).undo(found, found, found)
    assert back.low[0] < back.value[0] - 5
    assert back.high[0] > back.value[0] + 5
    part = back.of_part(found / 2, found / 2, found / 2)
    assert part.value[0] == pytest.approx(back.value[0] / 2)
    assert part.high[0] == pytest.approx(back.high[0] / 2)


def test_no_area_hides_nothing():
    found = np.array([3.0, 1e6])
    back = HiddenPits(excluded_area(np.array([np.nan]), np.array([1.0]))).undo(found, found, found)
    np.testing.assert_array_equal(back.value, found)


def test_a_measured_efficiency_is_undone_and_not_extrapolated():
    density = np.array([10.0, 100.0, 300.0, 1000.0])
    efficiency = np.array([0.9, 0.8, 0.6, 0.1])
    curve = EfficiencyCurve(
        density, efficiency, efficiency * 0.95, np.minimum(efficiency * 1.05, 1)
    )
    found = np.array([0.0, 4.5, 9.0, 80.0, 170.0, 190.0])
    back = curve.undo(found, found, found)
    np.testing.assert_allclose(back.value[:4], [0, 5, 10, 100])
    # At 300 the found density is 180; it falls beyond.
    assert back.known.tolist() == [True, True, True, True, True, False]
    assert back.low[3] == pytest.approx(80 / 0.84, rel=0.01)


@pytest.mark.parametrize(
    ("density", "efficiency"), [([], []), ([2.0, 1.0], [0.5, 0.5]), ([1.0, 2.0], [0.5, 1.2])]
)
def test_a_curve_that_cannot_be(density, efficiency):
    values = [np.array(v) for v in (density, efficiency, efficiency, efficiency)]
    with pytest.raises(BadInput, match="efficiency"):
        EfficiencyCurve(*values)


def test_densities_without_hidden_pits_stay():
    found = np.array([1.0, np.nan])
    same = Corrected.of_found(found, found, found)
    assert same.known.tolist() == [True, False]
    assert same.factor.tolist() == [[1, 1]] * 3
