import numpy as np
import pandas as pd
import pytest

from etchscope.background.efficiency import (
    bin_efficiency,
    chance_stages,
    efficiency_of,
    reach_stages,
    weights_of,
)
from etchscope.background.signal import SignalPopulation, draw_particles
from etchscope.evaluation import proportion
from etchscope.foil import BadInput, PitFlag, as_pits

ENTRY, EXIT = np.array([[50.0, 50.0], [150.0, 50.0], [50.0, 150.0]]), np.array([10.0, 4.0])
PARTICLES = pd.DataFrame(
    {
        "tile": [1, 1, 2],
        "entry_x_px": ENTRY[:, 0],
        "entry_y_px": ENTRY[:, 1],
        "exit_x_px": ENTRY[:, 0] + EXIT[0],
        "exit_y_px": ENTRY[:, 1] + EXIT[1],
    }
)


def pits(*rows):
    """Tile, surface, x, y, partner and flags of each row."""
    columns = ("tile", "surface", "x_px", "y_px", "partner", "flags")
    table = pd.DataFrame(rows, columns=columns)
    return as_pits(table.assign(pit=np.arange(len(table))))


FOUND = pits(
    (1, "top", 51, 50, 1, 0),
    (1, "bottom", 61, 55, 0, 0),
    (1, "top", 150, 52, 3, 0),
    (1, "bottom", 170, 52, 2, 0),  # a partner far from the true exit pit
    (1, "top", 50, 150, None, 0),  # the place of the third particle, in another tile
)


def test_a_particle_is_found_by_its_entry_pit_and_paired_with_its_own_exit_pit():
    reached = reach_stages(PARTICLES, FOUND, 6.0)
    assert list(reached.columns) == ["found", "paired"]
    assert reached["found"].tolist() == [True, True, False]
    assert reached["paired"].tolist() == [True, False, False]
    unlikely = FOUND.assign(flags=int(PitFlag.UNLIKELY_PAIR))
    assert not reach_stages(PARTICLES, unlikely, 6.0)["paired"].any()
    best = FOUND.iloc[[0]]
    assert reach_stages(PARTICLES, FOUND, 6.0, candidates=best)["selected"].sum() == 1


def test_chance_is_what_is_there_without_injection():
    chance = chance_stages(PARTICLES, FOUND.iloc[:2], 6.0, (400, 400))
    # Only the unshifted place has a match; a shift that leaves the tile does not count.
    assert chance["found"].to_numpy() == pytest.approx([1 / 9, 0, 0], abs=0.05)
    assert 0 < chance["found"][0] < 0.2
    assert (chance["found"][1:] == 0).all()


def simulated(true, by_chance, *, tiles=60, each=40, seed=1, weight=1.0):
    rng = np.random.default_rng(seed)
    tile = np.repeat(np.arange(tiles), each)
    n = len(tile)
    hit = (rng.random(n) < true) | (rng.random(n) < by_chance)
    chance = np.full(n, by_chance)
    return efficiency_of(hit, chance, np.full(n, weight), tile, tile % 4)


def test_matches_by_chance_are_taken_off():
    one = simulated(0.7, 0.3)
    assert one.valid
    assert one.value == pytest.approx(0.7, abs=0.03)
    assert one.low < 0.7 < one.high
    assert one.chance == pytest.approx(0.3)
    assert simulated(0.0, 0.3).low == 0


def test_intervals_cover_the_truth():
    inside = 0
    for seed in range(60):
        one = simulated(0.9, 0.1, tiles=12, each=10, seed=seed)
        inside += one.low <= 0.9 <= one.high
    assert inside >= 54


def test_an_interval_is_as_wide_as_that_of_the_share_that_is_found():
    # All tiles agree: nine of ten found, of which chance alone would match eight.
    hit, tile = np.tile(np.arange(10) < 9, 10), np.repeat(np.arange(10), 10)
    ones = np.ones(100)
    one = efficiency_of(hit, 0.8 * ones, ones, tile, 0 * ones)
    found = proportion(90, 100)
    assert one.value == pytest.approx(0.5)
    assert one.low == pytest.approx((found.low - 0.8) / 0.2)
    assert one.high == pytest.approx((found.high - 0.8) / 0.2)
    plain = efficiency_of(hit, 0 * ones, ones, tile, 0 * ones)
    assert (plain.low, plain.high) == pytest.approx((found.low, found.high))


def test_where_chance_matches_all_nothing_is_known():
    ones = np.ones(60)
    one = efficiency_of(ones > 0, ones, ones, np.arange(60) // 10, 0 * ones)
    assert (one.valid, one.low, one.high) == (False, 0.0, 1.0)
    assert one.why == "chance alone would match every particle"


def test_a_spread_between_fits_of_the_optics_widens_the_interval():
    rng = np.random.default_rng(1)
    tile = np.repeat(np.arange(80), 20)
    of = tile % 4
    true = np.array([0.95, 0.85, 0.75, 0.65])[of]
    hit = rng.random(len(tile)) < true
    none, one = np.zeros(len(tile)), np.ones(len(tile))
    wide = efficiency_of(hit, none, one, tile, of)
    narrow = efficiency_of(hit, none, one, tile, np.zeros(len(tile)))
    assert wide.spread == pytest.approx(np.std([0.95, 0.85, 0.75, 0.65], ddof=1), abs=0.03)
    assert narrow.spread == 0
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_few_particles_and_few_tiles_give_no_efficiency():
    few = simulated(0.9, 0.0, tiles=5, each=3)
    assert (few.valid, few.low, few.high) == (False, 0.0, 1.0)
    assert "15 effective particles" in few.why
    assert "2 tiles" in simulated(0.9, 0.0, tiles=2, each=40).why
    assert few.to_dict()["value"] is None
    nothing = efficiency_of(*(np.zeros(0) for _ in range(5)))
    assert not nothing.valid


def test_bins_hold_their_own_particles():
    rng = np.random.default_rng(1)
    n = 4000
    density = rng.uniform(0, 100, n)
    particles = pd.DataFrame(
        {"tile": np.arange(n) // 20, "optics": 0, "area_mm2": 1.0, "density": density}
    )
    reached = pd.DataFrame({"found": rng.random(n) < 1 - density / 200})
    chance = pd.DataFrame({"found": np.zeros(n)})
    table = bin_efficiency(particles, reached, chance, {"density": [0.0, 50.0, 100.0]})
    assert table["axis"].tolist() == ["all", "density", "density"]
    assert table["value"].to_numpy() == pytest.approx([0.75, 0.875, 0.625], abs=0.04)
    assert table["particles"].iloc[1:].sum() == n


def test_weights_make_another_population_of_the_same_particles():
    wide = SignalPopulation(v_low=1.6, v_high=6, max_zenith_deg=40)
    narrow = SignalPopulation(v_low=2, v_high=5, max_zenith_deg=25)
    drawn = draw_particles(np.random.default_rng(1), wide, 20_000, None)
    drawn = drawn.rename(columns={"v": "drawn_v"}).assign(area_mm2=2.0)
    weight = weights_of(drawn, wide, narrow)
    assert weight.mean() == pytest.approx(2.0, rel=0.05)  # densities integrate to 1
    inside = weight > 0
    assert drawn["drawn_v"][inside].between(2, 5).all()
    own = draw_particles(np.random.default_rng(2), narrow, 20_000, None)
    mean = np.average(drawn["drawn_v"], weights=weight)
    assert mean == pytest.approx(own["v"].mean(), abs=0.05)
    with pytest.raises(BadInput, match="as it was injected"):
        weights_of(drawn, wide, SignalPopulation(v_low=2, v_high=7, max_zenith_deg=25))
    with pytest.raises(BadInput, match="zenith angle"):
        weights_of(drawn, wide, SignalPopulation(v_low=2, v_high=5, max_zenith_deg=50))
    uneven = SignalPopulation(v_low=2, v_high=5, max_zenith_deg=25, v_spread=0.2)
    with pytest.raises(BadInput, match=r"a spread of V of 0\.08, as it was injected, found 0\.2"):
        weights_of(drawn, wide, uneven)
