from dataclasses import replace

import numpy as np
import pytest

from etchscope.simulation import (
    RANGES,
    Optics,
    SimulatedScan,
    draw_parameters,
    list_parameters,
    randomise_scan,
)
from etchscope.simulation.randomise import COUNTED, SCALED

SCAN = SimulatedScan(seed=1, columns=2, rows=2)


def test_a_seed_is_a_draw_and_both_sides_share_it():
    one, again, other = (randomise_scan(replace(SCAN, seed=s)) for s in (5, 5, 6))
    assert one == again
    assert one.optics != other.optics
    back = randomise_scan(replace(SCAN, seed=5, side="back"))
    assert (back.optics, back.population, back.sheet) == (one.optics, one.population, one.sheet)


def test_draws_fill_their_ranges():
    drawn = [draw_parameters(np.random.default_rng(s), SCAN) for s in range(200)]
    for name, allowed in RANGES.items():
        unit = [d["optics.pixel_size_um"] / 6.4516 if name in SCALED else 1.0 for d in drawn]
        values = np.array([d[name] for d in drawn]) / unit
        if name in COUNTED:
            values *= [(d["optics.pixel_size_um"] / 6.4516) ** 2 for d in drawn]
        absent = np.abs(values - allowed.rest) < 1e-9 if allowed.off else np.zeros(200, bool)
        assert absent.mean() == pytest.approx(allowed.off, abs=0.12), name
        values = values[~absent]
        if name in ("sheet.removed_um", "fragments.per_tile"):  # limited by others
            assert values.max() <= allowed.high
            continue
        slack = 1e-9 + 0.5 * allowed.is_whole
        scale = np.log if allowed.is_log else np.asarray
        low, high = scale(allowed.low), scale(allowed.high)
        where = (scale(values) - low) / (high - low)
        assert where.min() >= -slack
        assert where.max() <= 1 + slack
        assert where.mean() == pytest.approx(0.5, abs=0.14), name
        assert np.ptp(where) > 0.85
    materials = {d["sheet.material"] for d in drawn}
    assert materials == {"cr39", "makrofol"}
    assert {d["hips.direction"] for d in drawn} == {"beam", "isotropic"}


def test_every_draw_is_a_possible_foil_with_pits_of_the_range():
    for seed in range(30):
        scan = randomise_scan(replace(SCAN, seed=seed))
        v = scan.population.hips.ratio(scan.sheet)
        assert RANGES["hips.v"].low - 1e-9 <= v <= RANGES["hips.v"].high + 1e-9
        parameters = list_parameters(scan)
        assert parameters["optics"]["gains"]
        assert parameters["optics"]["azimuth_errors_deg"]
    truth = randomise_scan(replace(SCAN, seed=3)).truth()
    assert len(truth) > 0
    assert randomise_scan(replace(SCAN, seed=3)).read_tile(1).shape == (10, 480, 640)


def test_a_good_share_of_draws_is_clean_and_deep_pictures_keep_no_jpeg():
    drawn = [draw_parameters(np.random.default_rng(s), SCAN) for s in range(200)]
    smooth = [d["surface.roughness"] == 0 == d["surface.peel"] for d in drawn]
    assert np.mean(smooth) > 0.15
    assert any(min(d["optics.gains"]) < 0.4 for d in drawn)
    deep = replace(SCAN, optics=Optics(bit_depth=12))
    some = [draw_parameters(np.random.default_rng(s), deep) for s in range(20)]
    assert {d["camera.jpeg_quality"] for d in some} == {0}
