import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from etchscope.foil import BadInput
from etchscope.simulate.resemblance import (
    CELL_PX,
    CURVES,
    MEASURES,
    RADII_PX,
    SCALARS,
    VISIBLE,
    barred,
    compare,
    cut_cells,
    discriminate,
    distances,
    distinct,
    measure,
)

GROUND, DARK = 250.0, 30.0


def _disc(picture, x, y, radius_px, grey=DARK):
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    inside = np.clip(radius_px + 0.5 - np.hypot(columns - x, rows - y), 0, 1)
    return picture + inside * (grey - picture)


def _cells(n=16, seed=0, *, radius_px=7.0, grey=DARK, others=1, rings=2, noise=3.0, grain=0.0):
    """Dark discs near the centre, others and rings around them, on a bright ground."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        cell = np.full((CELL_PX, CELL_PX), GROUND)
        for _ in range(rng.poisson(rings)):
            x, y = rng.choice([8, 54]) + rng.uniform(-2, 2), rng.uniform(8, 44)
            cell = _disc(_disc(cell, x, y, 4.5, 90), x, y, 2.5, GROUND)
        for _ in range(rng.poisson(others)):
            x, y = rng.choice([10, 52]), rng.uniform(8, 44)
            cell = _disc(cell, x, y, radius_px + rng.normal(0, 0.5), grey)
        cell -= grain * np.abs(gaussian_filter(rng.standard_normal(cell.shape), 1.0))
        x, y = 31 + rng.normal(0, 1.5, 2)
        cell = _disc(cell, x, y, radius_px + rng.normal(0, 0.5), grey)
        out.append(np.clip(np.rint(cell + rng.normal(0, noise, cell.shape)), 0, 255))
    return np.array(out).astype(np.uint8)


def test_a_known_cell_has_its_known_measures():
    cell = np.full((CELL_PX, CELL_PX), GROUND)
    cell = _disc(cell, 33, 28, 7)
    cell = _disc(cell, 12, 12, 6)
    cell = _disc(_disc(cell, 50, 40, 4.5, 90), 50, 40, 2.5, GROUND)
    m = measure(cell[None].astype(np.uint8))
    row = m.table.iloc[0]
    assert row["diameter_px"] == pytest.approx(14, abs=1.5)
    assert row["contrast"] == pytest.approx(1 - DARK / GROUND, abs=0.01)
    assert row["glints"] == pytest.approx(0, abs=1e-3)
    assert row[["discs", "rings"]].tolist() == [1, 1]
    assert row["ring_px"] == pytest.approx(5, abs=1)
    assert row[["offset_x_px", "offset_y_px"]].tolist() == pytest.approx([2, -3], abs=0.2)
    profile = m.profile[0]
    np.testing.assert_allclose(profile[:5], DARK / GROUND, atol=0.01)
    np.testing.assert_allclose(profile[10:15], 1, atol=0.01)
    assert m.profile.shape == (1, len(RADII_PX))
    assert m.greys[0].sum() == pytest.approx(1)
    assert m.greys[0, -1] > 0.9


def test_what_is_masked_changes_no_measure():
    cells = _cells(4)
    blacked = cells.copy()
    blacked[:, VISIBLE[0].stop :] = 0
    blacked[:, :, VISIBLE[1].stop :] = 0
    blacked[:, 0] = blacked[:, :, 0] = 0
    a, b = measure(cells), measure(blacked)
    assert a.table.equals(b.table)
    for name in CURVES:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_a_cell_without_a_pit_keeps_its_row():
    cells = _cells(3, others=0, rings=0)
    cells[1] = int(GROUND)
    m = measure(cells)
    assert len(m) == 3
    assert m.found.tolist() == [True, False, True]
    assert np.isnan(m.profile[1]).all()
    assert m.table["discs"].tolist() == [0, 0, 0]
    assert np.isfinite(m.spectrum).all()
    assert np.isfinite(distances(m, m)["profile"])


def test_the_same_cells_are_no_distance_away():
    m = measure(_cells())
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
    real = measure(_cells(24, seed=1))
    same, other = (distances(real, measure(_cells(24, seed=2, **c))) for c in ({}, change))
    for name in expected:
        assert other[name] > 2 * same[name], name
        assert other[name] > 0.8, name


def test_distance_of_one_number_is_in_real_spreads():
    a = measure(_cells(30, seed=3, others=0, rings=0))
    b = a.take(np.arange(30))
    spread = a.table["diameter_px"].std()
    b.table["diameter_px"] += 1.5 * spread
    assert distances(a, b)["diameter_px"] == pytest.approx(1.5)


def test_cells_are_cut_around_accepted_discs_only():
    picture = np.full((200, 260), GROUND)
    picture = _disc(picture, 60, 70, 7)  # accepted
    picture = _disc(picture, 20, 150, 7)  # too near to the edge
    picture = _disc(picture, 130, 100, 3)  # too small
    picture = _disc(picture, 200, 100, 18)  # too large
    picture = _disc(_disc(picture, 130, 50, 8), 130, 50, 6, GROUND)  # a ring
    picture = picture.astype(np.uint8)
    cells = cut_cells(picture)
    np.testing.assert_array_equal(cells, picture[None, 39:102, 29:92])
    offsets = measure(cells).table[["offset_x_px", "offset_y_px"]]
    np.testing.assert_allclose(offsets, 0, atol=0.2)


def test_the_scanner_misses_by_what_is_said_and_never_loses_the_pit():
    picture = np.full((400, 400), GROUND)
    for x in range(70, 340, 40):
        for y in range(70, 340, 40):
            picture = _disc(picture, x, y, 7)
    cells = cut_cells(picture.astype(np.uint8), rng=np.random.default_rng(1), wander_px=3.0)
    assert len(cells) == 49
    m = measure(cells)
    assert m.found.all()
    assert m.table["offset_x_px"].std() == pytest.approx(3.0, rel=0.3)
    assert len(cut_cells(np.full((80, 80), 200, np.uint8))) == 0


def test_a_pit_seen_twice_counts_once():
    wide = np.random.default_rng(4).integers(60, 250, (80, 90))
    wide = gaussian_filter(wide.astype(float), 1.5)
    wide = ((wide - wide.min()) / np.ptp(wide) * 250).astype(np.uint8)
    other = _cells(2, seed=5, noise=20)
    cells = np.stack([other[0], wide[5:68, 10:73], other[1], wide[9:72, 14:77]])
    assert distinct(cells).tolist() == [0, 1, 2]
    assert distinct(cells[:0]).tolist() == []


def test_a_black_bar_is_seen_and_a_dark_edge_is_none():
    cells = _cells(3)
    cells[0, :, 0] = cells[0, 0] = 0
    cells[2, 56:60] = 0
    assert barred(cells).tolist() == [False, False, True]


def test_the_table_has_a_floor_and_a_ceiling():
    real, near = measure(_cells(24, seed=6)), measure(_cells(24, seed=7))
    far = measure(_cells(24, seed=8, radius_px=10, grey=80, others=5, rings=7, grain=600))
    t = compare(real, near, far, rng=np.random.default_rng(1), rounds=30)
    assert t.index.tolist() == list(MEASURES) == [*SCALARS, *CURVES]
    assert (t["floor_low"] <= t["floor"]).all()
    assert (t["low"] <= t["high"]).all()
    assert (t["ceiling"] > t["distance"]).all()
    again = compare(real, near, far, rng=np.random.default_rng(1), rounds=30)
    assert t.equals(again)
    assert compare(real, near, rng=np.random.default_rng(1), rounds=5)["ceiling"].isna().all()


def test_the_discriminant_guesses_among_equals_and_knows_strangers():
    real, same = measure(_cells(30, seed=9)), measure(_cells(30, seed=10))
    far = measure(_cells(30, seed=11, grey=80))
    rng = np.random.default_rng(1)
    assert discriminate(real, same, rng) < 0.75
    assert discriminate(real, far, rng) > 0.97


def test_wrong_cells_are_refused():
    with pytest.raises(BadInput, match=r"cells: expected some of 63 × 63 px"):
        measure(np.zeros((2, 28, 28), np.uint8))
    with pytest.raises(BadInput, match=r"cells: expected some of 63 × 63 px"):
        measure(np.zeros((0, 63, 63), np.uint8))
    with pytest.raises(BadInput, match=r"picture: expected at least 63 px a side"):
        cut_cells(np.zeros((40, 80), np.uint8))
    few = measure(_cells(3))
    with pytest.raises(BadInput, match="4 or more real and simulated"):
        compare(few, few, rng=np.random.default_rng(1))
