import numpy as np
import pytest

from etchscope.preselect.peaks import Cuts, are_near, extract
from etchscope.preselect.responses import Radii, field_kernels

RADII = Radii(3.0, 9.0)
SHAPE = (120, 150)
NOISE = np.full(len(RADII.scales), 0.01)


def _maps(*pits):
    """Responses of ideal pits (x, y, index of the modelled radius, amplitude), whole pixels."""
    kernels = field_kernels(RADII)
    half = kernels.half
    maps = np.zeros((len(RADII.scales), SHAPE[0] + 2 * half, SHAPE[1] + 2 * half), np.float32)
    for x, y, r, amplitude in pits:
        maps[:, y : y + 2 * half + 1, x : x + 2 * half + 1] += amplitude * kernels.values[r]
    return np.ascontiguousarray(maps[:, half:-half, half:-half])


def _extract(maps, cuts=None, *, signed=True):
    return extract(maps, NOISE, field_kernels(RADII), cuts or Cuts(), signed=signed)


@pytest.mark.parametrize("amplitude", [1.0, -1.0, 0.3])
@pytest.mark.parametrize("index", [0, 2, 4])
def test_a_planted_pit_is_found_with_place_radius_and_amplitude(index, amplitude):
    maps = _maps((60, 50, index, amplitude))
    finds = _extract(maps)
    assert len(finds) == 1
    assert [finds.x_px[0], finds.y_px[0]] == pytest.approx([60, 50], abs=0.05)
    assert finds.radius_px[0] == pytest.approx(RADII.modelled[index])
    assert finds.amplitude[0] == pytest.approx(amplitude, rel=0.02)
    assert np.abs(maps).max() < 0.1 * abs(amplitude)  # taken out


def test_side_lobes_are_no_pits_of_the_other_sign():
    finds = _extract(_maps((40, 40, 3, 1.0), (100, 80, 2, -0.8), (100, 30, 4, 0.5)))
    found = sorted(
        zip(finds.x_px.round(), finds.y_px.round(), np.sign(finds.amplitude), strict=True)
    )
    assert found == [(40, 40, 1), (100, 30, 1), (100, 80, -1)]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_overlapping_pits_are_told_apart(sign):
    finds = _extract(_maps((60, 50, 2, 1.0), (69, 50, 2, sign * 0.8)))
    places = sorted(zip(finds.x_px, np.sign(finds.amplitude), strict=True))
    assert len(places) == 2
    assert [p[0] for p in places] == pytest.approx([60, 69], abs=1)
    assert [p[1] for p in places] == [1, sign]


def test_threshold_has_two_sides():
    peak = field_kernels(RADII).peak[2].max()
    limit = 6 * 0.01 / peak
    assert len(_extract(_maps((60, 50, 2, 1.05 * limit)))) == 1
    assert len(_extract(_maps((60, 50, 2, 0.95 * limit)))) == 0
    assert len(_extract(_maps((60, 50, 2, 0.95 * limit)), Cuts(threshold=5.0))) == 1


def test_dips_count_only_where_there_is_a_sign():
    assert len(_extract(_maps((60, 50, 2, -1.0)), signed=True)) == 1
    dips = _extract(_maps((60, 50, 2, -1.0)), Cuts(residual=0.9, residual_same=0.9), signed=False)
    assert (np.hypot(dips.x_px - 60, dips.y_px - 50) > 5).all()


def test_strength_is_in_units_of_the_noise():
    finds = _extract(_maps((60, 50, 2, 1.0)))
    assert finds.snr[0] == pytest.approx(field_kernels(RADII).peak[2].max() / 0.01, rel=0.01)


def test_empty_maps_hold_nothing():
    assert len(_extract(np.zeros((len(RADII.scales), 40, 50), np.float32))) == 0


def test_near_is_within_reach():
    finds = _extract(_maps((40, 40, 2, 1.0), (100, 80, 2, 1.0)))
    near = are_near(finds, finds, np.array([[10.0], [10.0]]))
    assert near.tolist() == np.eye(2, dtype=bool).tolist()
    assert are_near(finds, finds, np.array([[100.0], [100.0]])).all()
