import json

import numpy as np
import pytest

from etchscope.background.density_maps import REASONS, PitPoints, Window, integrate, map_density
from etchscope.background.grid import grid_over
from etchscope.background.hidden import HiddenPits
from etchscope.background.kernel_density import rate_interval
from etchscope.background.map_tables import MapUnits, density_table, summarise_map
from etchscope.background.polygons import polygon_area
from etchscope.background.tile_counts import map_tiles

SIDE = 10.0
SQUARE = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]])
GRID = grid_over((0, SIDE, 0, SIDE), 0.1)
WINDOW = Window(polygon_area([SQUARE], GRID), GRID)
MM = MapUnits("mm", "mm2", 1.0)


@pytest.fixture
def crowd():
    """A dense left half, a thin right half, and a spot where the finder gave up."""
    rng = np.random.default_rng(1)
    x, y = np.concatenate([rng.uniform(0, [5, SIDE], (4000, 2)), rng.uniform(0, SIDE, (400, 2))]).T
    return PitPoints(x.copy(), y.copy(), np.hypot(x - 2, y - 2) < 1)


def test_a_cell_has_a_row_and_says_why_it_is_not_valid(crowd):
    found = map_density(crowd, WINDOW, bandwidth=0.5, hidden=HiddenPits(0.006))
    table = density_table(found, MM)
    assert list(table.columns) == [
        "x_mm",
        "y_mm",
        "found",
        "seen_mm2",
        "density_per_mm2",
        "low",
        "high",
        "kernel_per_mm2",
        "valid",
        "reason",
    ]
    assert len(table) == found.grid.shape[0] * found.grid.shape[1]
    assert set(table["reason"]) == set(REASONS)
    assert (table["valid"] == (table["reason"] == "")).all()
    at = table.set_index(["x_mm", "y_mm"])
    near = table.iloc[((table["x_mm"] - 2) ** 2 + (table["y_mm"] - 2) ** 2).argmin()]
    assert near["reason"] == "too crowded for the finder"
    assert at["found"].sum() == len(crowd)
    assert at["seen_mm2"].sum() == pytest.approx(SIDE**2, rel=1e-6)
    unknown = table["reason"] == "too many hidden pits"
    assert np.isinf(table.loc[unknown, "high"]).all()
    assert (table.loc[unknown, "x_mm"] < 6).all()


def test_the_summary_states_the_total_in_valid_cells(crowd):
    found = map_density(crowd, WINDOW, bandwidth=0.5, hidden=HiddenPits(0.001))
    said = summarise_map(found, MM)
    json.dumps(said, allow_nan=False)
    total = integrate(found)
    assert said["valid"]["pits"] == [total.value, total.low, total.high]
    # 81 pits per mm² hide 8 % of themselves where the area is 0.001 mm².
    assert total.value > 1.04 * total.found
    assert total.low < total.found * 1.04 < total.high
    assert said["found"] == 4400
    assert said["valid"]["found"] < 4400
    assert said["cells_not_valid"]["too crowded for the finder"] > 20


def test_a_part_of_the_pits_is_hidden_as_all_of_them_are(crowd):
    whole = map_density(crowd, WINDOW, bandwidth=0.5, hidden=HiddenPits(0.001))
    rng = np.random.default_rng(2)
    some = rng.uniform(size=len(crowd)) < 0.3
    part = map_density(crowd.take(some), WINDOW, bandwidth=0.5, part_of=whole)
    rest = map_density(crowd.take(~some), WINDOW, bandwidth=0.5, part_of=whole)
    assert (part.reason == whole.reason).all()
    inside = whole.valid & (part.all_pits.value > 0) & (rest.all_pits.value > 0)
    both = part.all_pits.value + rest.all_pits.value
    np.testing.assert_allclose(both[inside], whole.all_pits.value[inside], rtol=1e-9)
    np.testing.assert_allclose(part.kernel + rest.kernel, whole.kernel)


def test_tiles_without_positions_have_a_count_each():
    found = map_tiles(
        np.array([4, 0, 9, 30]), np.array([0, 0, 0, 20]), np.array([1, 0.5, 0, 1]), columns=3
    )
    table = density_table(found, MapUnits("tile", "megapixel", 0.01))
    assert table["reason"].tolist() == [
        "",
        "",
        "not seen",
        "too crowded for the finder",
        "not seen",
        "not seen",
    ]
    assert table["density_per_megapixel"].tolist()[:2] == [400, 0]
    assert table["high"][1] == pytest.approx(3.689 / 0.005, rel=1e-3)
    assert table[["column", "row"]].values.tolist()[3] == [0, 1]


def test_pairs_widen_the_interval_of_a_tile():
    count, none, seen = np.array([100, 0]), np.zeros(2, int), np.ones(2)
    plain = map_tiles(count, none, seen, columns=2)
    paired = map_tiles(count, none, seen, columns=2, variance=1.5)
    low, high = rate_interval(np.array([100.0]), np.array([1.5]))
    assert (paired.all_pits.low[0, 0], paired.all_pits.high[0, 0]) == (low[0], high[0])
    assert paired.variance == 1.5
    for name in ("low", "high"):
        away = [abs(getattr(m.all_pits, name)[0, 0] - 100) for m in (plain, paired)]
        assert away[1] == pytest.approx(np.sqrt(1.5) * away[0], rel=0.03)
    totals = [integrate(m) for m in (plain, paired)]
    assert totals[1].high - totals[1].low > 1.2 * (totals[0].high - totals[0].low)
