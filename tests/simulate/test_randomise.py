from dataclasses import replace

import numpy as np
import pytest

from etchscope.simulate import RANGES, SimulatedScan, draw_parameters, parameters_of, randomised

SCAN = SimulatedScan(seed=1, columns=2, rows=2)


def test_a_seed_is_a_draw_and_both_sides_share_it():
    one, again, other = (randomised(replace(SCAN, seed=s)) for s in (5, 5, 6))
    assert one == again
    assert one.optics != other.optics
    back = randomised(replace(SCAN, seed=5, side="back"))
    assert (back.optics, back.population, back.sheet) == (one.optics, one.population, one.sheet)


def test_draws_fill_their_ranges():
    drawn = [draw_parameters(np.random.default_rng(s), SCAN) for s in range(200)]
    for name, allowed in RANGES.items():
        values = np.array([d[name] for d in drawn])
        scale = np.log if allowed.is_log else np.asarray
        low, high = scale(allowed.low), scale(allowed.high)
        where = (scale(values) - low) / (high - low)
        assert where.min() >= 0
        assert where.max() <= 1
        assert where.mean() == pytest.approx(0.5, abs=0.09), name
        assert np.ptp(where) > 0.9
    materials = {d["sheet.material"] for d in drawn}
    assert materials == {"cr39", "makrofol"}
    assert {d["hips.direction"] for d in drawn} == {"beam", "isotropic"}


def test_every_draw_is_a_possible_foil_with_pits_of_the_range():
    for seed in range(30):
        scan = randomised(replace(SCAN, seed=seed))
        v = scan.population.hips.ratio(scan.sheet)
        assert RANGES["hips.v"].low - 1e-9 <= v <= RANGES["hips.v"].high + 1e-9
        told = parameters_of(scan)
        assert told["optics"]["gains"]
        assert told["optics"]["azimuth_errors_deg"]
    truth = randomised(replace(SCAN, seed=3)).truth()
    assert len(truth) > 10
    assert randomised(replace(SCAN, seed=3)).read_tile(1).shape == (10, 480, 640)
