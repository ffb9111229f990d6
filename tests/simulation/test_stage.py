import numpy as np
import pytest

from etchscope.simulation import SimulatedScan, Stage


@pytest.mark.parametrize("side", ["front", "back"])
def test_the_way_to_the_stage_and_back_ends_where_it_began(side):
    stage = Stage(rotation_deg=30.0, offset_mm=(1.0, -2.0))
    x, y = np.array([3.0, -4.0]), np.array([0.5, 6.0])
    there = stage.from_sheet(x, y, side)
    np.testing.assert_allclose(stage.to_sheet(*there, side), (x, y))
    np.testing.assert_allclose(np.hypot(there[0] - 1.0, there[1] + 2.0), np.hypot(x, y))


def test_the_back_is_seen_turned_over():
    x, y = Stage().from_sheet(np.array([3.0]), np.array([0.5]), "back")
    assert (x.tolist(), y.tolist()) == ([-3.0], [0.5])


def test_a_tilted_stage_puts_each_tile_at_another_focus():
    tilted = SimulatedScan(seed=1, columns=3, rows=1, stage=Stage(tilt_x_um_per_mm=50.0))
    planes = [tilted._plane(tile) for tile in tilted.scan.tiles]
    assert [round(p.offset_um) for p in planes] == [-200, 0, 200]
    assert all(p.slope_x == pytest.approx(0.05) for p in planes)
    bent = SimulatedScan(seed=1, columns=3, rows=1, stage=Stage(bend_um_per_mm2=2.0))
    planes = [bent._plane(tile) for tile in bent.scan.tiles]
    assert planes[0].offset_um == pytest.approx(planes[2].offset_um) == pytest.approx(32, abs=1)
    assert planes[0].slope_x == pytest.approx(-planes[2].slope_x)
