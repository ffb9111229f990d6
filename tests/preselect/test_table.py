import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etchscope.foil import (
    COLUMNS,
    BadInput,
    PitFlag,
    Tile,
    as_pits,
    has_flag,
)
from etchscope.preselect import FindSettings, PitCounts, complete

SETTINGS = FindSettings()
EDGE, STEEP = int(PitFlag.EDGE), int(PitFlag.STEEP_PAIR)


def _columns(pits):
    return [(c, str(t)) for c, t in pits.dtypes.items()]


EXACT = [(c.name, c.dtype) for c in COLUMNS]


def _partners_are_mutual(pits):
    paired = pits[pits["partner"].notna()]
    other = pits.loc[paired["partner"].astype(int)]
    assert other["partner"].astype(int).tolist() == paired["pit"].tolist()
    for column in ("entry", "exit", "hip", "pair_dx_px", "pair_dy_px", "pair_p"):
        np.testing.assert_array_equal(other[column], paired[column])
    assert {*zip(paired["surface"], other["surface"], strict=True)} <= {
        ("top", "bottom"),
        ("bottom", "top"),
    }
    single = pits[pits["partner"].isna()]
    assert single[["pair_dx_px", "pair_dy_px", "pair_p"]].isna().all(axis=None)


def test_one_pit(make_scan, make_found):
    pits, counts = complete(make_found((1, "top", 100, 50)), make_scan(), SETTINGS)
    assert _columns(pits) == EXACT
    assert counts == PitCounts(raw=1, merged=0, outside_region=0, rows=1)
    row = pits.iloc[0]
    got = ["foil", "side", "scan", "tile", "pit", "surface", "x_px", "y_px", "radius_px"]
    assert row[got].tolist() == ["f", "front", "s", 1, 0, "top", 100, 50, 7]
    # Tile 1's centre, pixel (200, 150), is the frame's origin; 10 µm pixels, y up.
    assert [row["x_mm"], row["y_mm"]] == pytest.approx([-1, 1])
    assert row["density_per_mm2"] == 0
    assert row["regime"] == "low"
    assert pd.isna(row["partner"])
    assert row["entry"] == 20


def test_numbers_of_the_rows_are_their_places(make_scan, make_found):
    found = make_found(*[(t, "top", 50 * k + 40, 100) for t in (1, 2) for k in range(6)])
    pits, _ = complete(found, make_scan(), SETTINGS)
    assert pits["pit"].tolist() == list(range(len(pits))) == pits.index.tolist()


def test_a_pit_in_the_overlap_is_one_row(make_scan, make_found):
    # 3.8 mm are 380 px: x = 385 of tile 1 is x = 5 of tile 3.
    found = make_found((1, "top", 385, 50), (1, "bottom", 200, 50), (3, "top", 5.4, 50.3))
    pits, counts = complete(found, make_scan(), SETTINGS)
    assert counts == PitCounts(raw=3, merged=1, outside_region=0, rows=2)
    assert pits[["tile", "surface"]].to_numpy().tolist() == [[1, "top"], [1, "bottom"]]
    assert has_flag(pits, PitFlag.MERGED_DUPLICATE).tolist() == [True, False]


def test_a_pit_in_the_corner_of_four_tiles_is_one_row(make_scan, make_found):
    found = make_found(
        (1, "top", 388, 288), (2, "top", 388, 8), (3, "top", 8, 288), (4, "top", 8.3, 8)
    )
    pits, counts = complete(found, make_scan(), SETTINGS)
    assert (counts.merged, len(pits)) == (3, 1)


def test_a_cut_opening_that_the_other_tile_does_not_confirm_is_none(make_scan, make_found):
    # x = 397 of tile 1 is x = 17 of tile 3, farther from its edge.
    rows = [(1, "top", 397, 100), (1, "top", 100, 2)]
    pits, counts = complete(make_found(*rows, flags=[EDGE, EDGE]), make_scan(), SETTINGS)
    assert pits["x_px"].tolist() == [100]  # the scan's own edge: nobody else could tell
    assert counts == PitCounts(raw=2, merged=1, outside_region=0, rows=1)
    whole, _ = complete(make_found(*rows, flags=[0, 0]), make_scan(), SETTINGS)
    assert len(whole) == 2
    left = make_scan(tiles=make_scan().tiles[:2])
    alone, _ = complete(make_found(*rows, flags=[EDGE, EDGE]), left, SETTINGS)
    assert len(alone) == 2


def test_pairs_across_the_border_of_two_tiles(make_scan, make_found):
    found = make_found((1, "top", 375, 100), (3, "bottom", 3, 104))
    pits, _ = complete(found, make_scan(), SETTINGS)
    assert pits["partner"].tolist() == [1, 0]
    # x = 3 of tile 3 is x = 383 of tile 1; y down.
    np.testing.assert_allclose(pits[["pair_dx_px", "pair_dy_px"]], [[8, 4]] * 2)


def test_a_pair_shares_its_figures(make_scan, make_found):
    found = make_found((1, "bottom", 105, 103), (1, "top", 100, 100), (1, "top", 300, 100))
    pits, _ = complete(found, make_scan(), SETTINGS)
    assert pits["partner"].tolist() == [1, 0, pd.NA]
    _partners_are_mutual(pits)
    shared = pits.loc[0, ["pair_dx_px", "pair_dy_px", "entry", "exit"]].tolist()
    assert shared == pytest.approx([5, 3, 20, 15])
    assert 0 < pits.loc[0, "pair_p"] < 0.01
    assert pits.loc[0, "hip"] > pits.loc[2, "hip"] == -5
    assert pits.loc[2, ["entry", "exit"]].tolist() == [20, 2]


def test_steep_pairs_stay_pairs_after_merging(make_scan, make_found):
    found = make_found(
        (1, "top", 388, 100),
        (1, "bottom", 389, 100),
        (1, "bottom", 385, 100),  # nearer to an unrelated entry pit
        (3, "bottom", 9, 100),
        (3, "top", 8, 100),
        mate=[1, 0, -1, 1, 0],
        flags=[STEEP, STEEP, 0, STEEP, STEEP],
        hip=[9.0, 9, 0, 8, 8],
    )
    pits, counts = complete(found, make_scan(), SETTINGS)
    assert counts.merged == 2
    steep = pits[has_flag(pits, PitFlag.STEEP_PAIR)]
    assert len(steep) == 2
    assert steep["partner"].tolist() == steep["pit"].tolist()[::-1]
    assert steep["pair_p"].isna().all()  # split from one find: no density of others tells
    assert steep["hip"].tolist() == [9, 9]
    _partners_are_mutual(pits)


def test_mates_count_within_their_tile(make_scan, make_found):
    found = make_found(
        (1, "top", 100, 200),
        (2, "bottom", 99, 100),  # nearer to the entry pit than its mate
        (2, "top", 100, 100),
        (2, "bottom", 106, 100),
        mate=[-1, -1, 2, 1],
    )
    pits, _ = complete(found, make_scan(), SETTINGS)
    assert pits["partner"].tolist() == [pd.NA, pd.NA, 3, 2]


def test_a_mate_that_its_better_copy_does_not_know_is_an_ordinary_pit(make_scan, make_found):
    found = make_found(
        (1, "top", 378, 100),
        (1, "bottom", 385, 100),
        (3, "bottom", 5.5, 100),  # the same place, and farther from the edge than 385 − 400
        (3, "top", 6, 100),
        mate=[1, 0, -1, -1],
    )
    pits, _ = complete(found, make_scan(image_size=(300, 390)), SETTINGS)
    kept = pits[["tile", "surface"]].to_numpy().tolist()
    assert kept == [[1, "top"], [3, "bottom"], [3, "top"]]
    assert pits["partner"].tolist() == [pd.NA, 2, 1]


def test_a_cut_copy_still_confirms_the_other(make_scan, make_found):
    found = make_found((1, "top", 397, 100), (3, "top", 17.2, 100), flags=[EDGE, 0])
    pits, counts = complete(found, make_scan(), SETTINGS)
    assert pits["tile"].tolist() == [3]
    assert has_flag(pits, PitFlag.MERGED_DUPLICATE).tolist() == [True]
    assert counts.merged == 1


def test_a_region_keeps_what_lies_inside(make_scan, make_found):
    found = make_found((1, "top", 100, 50), (1, "bottom", 104, 50), (1, "top", 300, 250))
    region = np.array([[-2.0, 0], [0, 0], [0, 2], [-2, 2]])  # foil mm, origin pixel (200, 150)
    pits, counts = complete(found, make_scan(), SETTINGS, region)
    assert counts == PitCounts(raw=3, merged=0, outside_region=1, rows=2)
    assert pits["partner"].tolist() == [1, 0]
    # Cut between the two, the entry pit is alone.
    half = np.array([[-2.0, 0], [-0.98, 0], [-0.98, 2], [-2, 2]])
    pits, counts = complete(found, make_scan(), SETTINGS, half)
    assert counts == PitCounts(raw=3, merged=0, outside_region=2, rows=1)
    assert pits["partner"].isna().all()
    with pytest.raises(BadInput, match="at least three"):
        complete(found, make_scan(), SETTINGS, region[:2])


def test_a_region_with_half_of_a_steep_pair(make_scan, make_found):
    found = make_found(
        (1, "top", 300, 250), (1, "top", 100, 50), (1, "bottom", 104, 50), mate=[-1, 2, 1]
    )
    half = np.array([[-2.0, 0], [-0.98, 0], [-0.98, 2], [-2, 2]])
    pits, _ = complete(found, make_scan(), SETTINGS, half)
    assert pits["surface"].tolist() == ["top"]
    assert pits["partner"].isna().all()


def test_density_of_the_region_counts_its_surroundings(make_scan, make_found):
    rng = np.random.default_rng(1)
    rows = [(1, "top", x, y) for x, y in rng.uniform(0, [380, 280], (500, 2))]
    found, region = (
        make_found(*rows),
        np.array([[-0.2, -0.2], [0.2, -0.2], [0.2, 0.2], [-0.2, 0.2]]),
    )
    everywhere, _ = complete(found, make_scan(), SETTINGS)
    pits, _ = complete(found, make_scan(), SETTINGS, region)
    same = everywhere.merge(pits, on=["x_px", "y_px"])
    assert len(same) == len(pits) > 3
    assert same["density_per_mm2_x"].tolist() == same["density_per_mm2_y"].tolist()


@pytest.mark.parametrize(("pits_per_mm2", "regime"), [(3, "low"), (30, "medium"), (200, "high")])
def test_density_and_regime(make_scan, make_found, pits_per_mm2, regime):
    rng = np.random.default_rng(2)
    n = round(pits_per_mm2 * 6.8 * 5.8)
    x_mm, y_mm = rng.uniform(0, 6.8, n), rng.uniform(0, 5.8, n)
    columns, rows = (x_mm > 3.8).astype(int), (y_mm > 2.8).astype(int)
    tile = 1 + 2 * columns + rows
    x, y = (x_mm - 3.8 * columns) * 100, (y_mm - 2.8 * rows) * 100
    listed = sorted(zip(tile.tolist(), ["top"] * n, x.tolist(), y.tolist(), strict=True))
    pits, _ = complete(make_found(*listed), make_scan(), FindSettings(merge_px=0.1))
    assert pits["density_per_mm2"].mean() == pytest.approx(pits_per_mm2, rel=0.15)
    assert pits["regime"].mode().tolist() == [regime]


def test_a_back_scan_has_its_x_reversed(make_scan, make_found):
    pits, _ = complete(make_found((1, "top", 100, 50)), make_scan(side="back"), SETTINGS)
    assert pits.loc[0, ["x_mm", "y_mm"]].tolist() == pytest.approx([1, 1])
    assert pits.loc[0, "side"] == "back"


@pytest.mark.parametrize("numbers", [(1, 2), (7, 123_456_789)])
def test_tiles_without_positions(make_scan, make_found, numbers):
    scan = make_scan(tiles=tuple(Tile(number=n) for n in numbers), layout="montage")
    found = make_found(
        (numbers[0], "top", 395, 100), (numbers[0], "bottom", 390, 100), (numbers[1], "top", 5, 100)
    )
    pits, counts = complete(found, scan, SETTINGS)
    assert counts == PitCounts(raw=3, merged=0, outside_region=0, rows=3)
    assert pits[["x_mm", "y_mm", "density_per_mm2"]].isna().all(axis=None)
    assert pits["regime"].tolist() == ["unknown"] * 3
    assert pits["partner"].tolist() == [1, 0, pd.NA]
    assert np.isfinite(pits["pair_p"][:2]).all()
    region = np.array([[-9.0, -9], [9, -9], [9, 9], [-9, 9]])
    pits, counts = complete(found, scan, SETTINGS, region)
    assert counts == PitCounts(raw=3, merged=0, outside_region=3, rows=0)


def test_positions_without_a_scale(make_scan, make_found):
    pits, _ = complete(make_found((1, "top", 100, 50)), make_scan(pixel_size_um=None), SETTINGS)
    assert pits["x_mm"].isna().all()
    assert pits["regime"].tolist() == ["unknown"]


def test_unplaced_tiles_do_not_see_each_other(make_scan, make_found):
    """The chance of a pair in one tile does not depend on how crowded the next tile is.

    What pits look like is found on the whole scan, which alone makes a small difference.
    """
    scan = make_scan(tiles=(Tile(number=1), Tile(number=2)))
    pair = [(1, "top", 396, 100), (1, "bottom", 390, 100)]
    crowd = [(2, "bottom", x, y) for x in range(2, 400, 8) for y in range(2, 300, 8)]
    wide = FindSettings(density_mm=5.0)
    alone, _ = complete(make_found(*pair), scan, wide)
    beside, _ = complete(make_found(*pair, *crowd), scan, wide)
    assert beside.loc[0, "pair_p"] == pytest.approx(alone.loc[0, "pair_p"], rel=0.05)


def test_unknown_surfaces_are_not_paired(make_scan, make_found):
    found = make_found((1, "unknown", 100, 100), (1, "unknown", 104, 100), (1, "top", 102, 99))
    pits, _ = complete(found, make_scan(), SETTINGS)
    assert pits["partner"].isna().all()


@pytest.mark.parametrize("region", [None, np.array([[0.0, 0], [1, 0], [1, 1]])])
def test_no_pits(make_scan, make_found, region):
    pits, counts = complete(make_found(), make_scan(), SETTINGS, region)
    assert counts == PitCounts(0, 0, 0, 0)
    assert _columns(pits) == EXACT
    assert len(pits) == 0


def test_input_is_unchanged(make_scan, make_found):
    found = make_found((1, "top", 385, 50), (3, "top", 5, 50), (3, "bottom", 9, 50))
    before = found.copy()
    complete(found, make_scan(), SETTINGS)
    pd.testing.assert_frame_equal(found, before)


detections = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 3, 4]),
        st.sampled_from(["top", "bottom", "unknown"]),
        st.one_of(st.integers(0, 40), st.integers(360, 399)).map(float),
        st.one_of(st.integers(0, 20), st.integers(280, 299)).map(float),
    ),
    max_size=25,
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(detections, st.booleans(), st.integers(0, 99))
def test_every_detection_is_accounted_for(make_scan, make_found, rows, with_region, seed):
    rng = np.random.default_rng(seed)
    # Some top and bottom pits of a tile are steep pairs.
    mate, first = np.full(len(rows), -1), {}
    for k, row in enumerate(rows):
        start = first.setdefault(row[0], k)
        other = k + 1
        if other < len(rows) and rows[other][0] == row[0] and mate[k] < 0 and rng.random() < 0.5:
            mate[k], mate[other] = other - start, k - start
    flags = np.where(rng.random(len(rows)) < 0.3, EDGE, 0)
    region = np.array([[-2.0, -2], [2.1, -2], [2.1, 2], [-2, 2]]) if with_region else None
    found = make_found(*rows, mate=mate, flags=flags)
    pits, counts = complete(found, make_scan(), SETTINGS, region)
    assert counts.raw == len(rows) == counts.rows + counts.merged + counts.outside_region
    assert counts.rows == len(pits)
    assert min(counts.merged, counts.outside_region) >= 0
    assert _columns(pits) == EXACT
    _partners_are_mutual(pits)
    detected = {(r[0], r[1], r[2], r[3]) for r in rows}
    kept = [tuple(r) for r in pits[["tile", "surface", "x_px", "y_px"]].to_numpy().tolist()]
    assert set(kept) <= detected
    pd.testing.assert_frame_equal(as_pits(pits), pits)
