import numpy as np
import pandas as pd
import pytest

from etchscope.background.injection import (
    InjectionPlan,
    allowed_places,
    choose_places,
    inject_tile,
    particles_of_tiles,
    sample_tiles,
)
from etchscope.background.optics_fit import FittedOptics
from etchscope.background.signal import SignalPopulation
from etchscope.foil import BadInput
from etchscope.simulation import Optics, SimulatedScan

FOIL = SimulatedScan(seed=1, columns=1, rows=1, optics=Optics(image_size=(96, 128)))
PLAN = InjectionPlan(
    seed=5,
    population=SignalPopulation(v_low=3, v_high=4, max_zenith_deg=10),
    optics=(FittedOptics({}, 1.0, 0.0),),
    sheet=FOIL.sheet,
    foil=FOIL.foil_record,
    scan=FOIL.scan,
)
NONE = pd.DataFrame({n: pd.Series(dtype=float) for n in ("x_px", "y_px", "radius_px")}).assign(
    surface=""
)


def test_a_sample_is_spread_over_densities_and_its_weights_add_up():
    rng = np.random.default_rng(1)
    pits = np.r_[np.full(90, 20), np.full(10, 2000)]
    sample = sample_tiles(np.arange(100), pits, 20, None, rng)
    assert len(set(sample.number.tolist())) == 20
    dense = pits[sample.number] == 2000
    assert dense.sum() == 10  # all of them, though one tile in ten is dense
    assert sample.weight.sum() == pytest.approx(100)
    assert set(sample.weight[dense]) == {1.0}
    assert set(sample.weight[~dense]) == {9.0}
    assert (2 * sample.particles <= np.maximum(0.1 * pits[sample.number], 4)).all()
    assert set(sample.particles[dense]) == {10}


def test_an_injection_denser_than_the_foil_is_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(BadInput, match="fewer openings than the foil has"):
        sample_tiles(np.arange(3), np.array([5, 10, 30]), 3, 16, rng)
    assert sample_tiles(np.arange(3), np.array([5, 10, 30]), 3, 15, rng).particles.max() == 2
    with pytest.raises(BadInput, match="one searched tile"):
        sample_tiles(np.zeros(0, int), np.zeros(0, int), 3, None, rng)


def test_places_are_allowed_and_lie_apart():
    allowed = np.zeros((50, 80), bool)
    allowed[10:40, 20:70] = True
    places = choose_places(allowed, 6, 12.0, np.random.default_rng(2))
    assert len(places) == 6
    assert allowed[np.rint(places[:, 1]).astype(int), np.rint(places[:, 0]).astype(int)].all()
    apart = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    assert apart[~np.eye(6, dtype=bool)].min() >= 12
    assert choose_places(~allowed & allowed, 6, 12.0, np.random.default_rng(2)).shape == (0, 2)


def test_a_place_that_another_tile_shows_better_is_not_allowed():
    ground = np.ones((40, 60), bool)
    ground[:5] = False
    out = allowed_places(ground, (40, 60), np.array([[50.0, 0.0]]))
    assert not out[:5].any()
    assert out[20, :55].all()  # the overlap is 10 pixels wide, half of it this tile's
    assert not out[20, 55:].any()


def test_pits_are_put_where_the_table_says_and_nowhere_else():
    places = np.array([[40.0, 50.0], [90.0, 40.0]])
    openings = particles_of_tiles(PLAN, 1, 2.0, 0.5, places)
    assert sorted(openings["particle"].unique()) == [0, 1]
    assert openings["area_mm2"].unique() == pytest.approx([0.5])
    raw = np.full((10, 96, 128), 100, np.uint8)
    out = inject_tile(PLAN, 1, raw, openings, NONE, 0)
    assert (raw == 100).all()
    backlit = out[8].astype(float)
    for _, pit in openings.iterrows():
        row, column = round(pit["centre_y_px"]), round(pit["centre_x_px"])
        assert backlit[row, column] < 90
    changed = (out != 100).any(axis=0)
    rows, columns = np.nonzero(changed)
    distance = np.min([np.hypot(columns - x, rows - y) for x, y in places], axis=0)
    assert distance.max() < 45
    again = inject_tile(PLAN, 1, raw, openings, NONE, 0)
    assert (again == out).all()
    assert inject_tile(PLAN, 1, raw, openings, NONE, 104).max() == 104  # the camera's limit
