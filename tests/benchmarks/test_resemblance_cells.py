import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.benchmarks.drawn_cells import DARK, GROUND, draw_cells, draw_disc

from etchscope.foil import BadInput
from resemblance_cells import (
    CELL_PX,
    CURVES,
    RADII_PX,
    VISIBLE,
    barred,
    cut_cells,
    distinct,
    measure,
)


def test_a_known_cell_has_its_known_measures():
    cell = np.full((CELL_PX, CELL_PX), GROUND)
    cell = draw_disc(cell, 33, 28, 7)
    cell = draw_disc(cell, 12, 12, 6)
    cell = draw_disc(draw_disc(cell, 50, 40, 4.5, 90), 50, 40, 2.5, GROUND)
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
    cells = draw_cells(4)
    blacked = cells.copy()
    blacked[:, VISIBLE[0].stop :] = 0
    blacked[:, :, VISIBLE[1].stop :] = 0
    blacked[:, 0] = blacked[:, :, 0] = 0
    a, b = measure(cells), measure(blacked)
    assert a.table.equals(b.table)
    for name in CURVES:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_a_cell_without_a_pit_keeps_its_row():
    cells = draw_cells(3, others=0, rings=0)
    cells[1] = int(GROUND)
    m = measure(cells)
    assert len(m) == 3
    assert m.found.tolist() == [True, False, True]
    assert np.isnan(m.profile[1]).all()
    assert m.table["discs"].tolist() == [0, 0, 0]
    assert np.isfinite(m.spectrum).all()


def test_cells_are_cut_around_accepted_discs_only():
    picture = np.full((200, 260), GROUND)
    picture = draw_disc(picture, 60, 70, 7)  # accepted
    picture = draw_disc(picture, 20, 150, 7)  # too near to the edge
    picture = draw_disc(picture, 130, 100, 3)  # too small
    picture = draw_disc(picture, 200, 100, 18)  # too large
    picture = draw_disc(draw_disc(picture, 130, 50, 8), 130, 50, 6, GROUND)  # a ring
    picture = picture.astype(np.uint8)
    cells = cut_cells(picture)
    np.testing.assert_array_equal(cells, picture[None, 39:102, 29:92])
    offsets = measure(cells).table[["offset_x_px", "offset_y_px"]]
    np.testing.assert_allclose(offsets, 0, atol=0.2)


def test_the_scanner_misses_by_what_is_said_and_never_loses_the_pit():
    picture = np.full((400, 400), GROUND)
    for x in range(70, 340, 40):
        for y in range(70, 340, 40):
            picture = draw_disc(picture, x, y, 7)
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
    other = draw_cells(2, seed=5, noise=20)
    cells = np.stack([other[0], wide[5:68, 10:73], other[1], wide[9:72, 14:77]])
    assert distinct(cells).tolist() == [0, 1, 2]
    assert distinct(cells[:0]).tolist() == []


def test_a_black_bar_is_seen_and_a_dark_edge_is_none():
    cells = draw_cells(3)
    cells[0, :, 0] = cells[0, 0] = 0
    cells[2, 56:60] = 0
    assert barred(cells).tolist() == [False, False, True]


def test_wrong_cells_are_refused():
    with pytest.raises(BadInput, match=r"cells: expected some of 63 × 63 px"):
        measure(np.zeros((2, 28, 28), np.uint8))
    with pytest.raises(BadInput, match=r"cells: expected some of 63 × 63 px"):
        measure(np.zeros((0, 63, 63), np.uint8))
    with pytest.raises(BadInput, match=r"picture: expected at least 63 px a side"):
        cut_cells(np.zeros((40, 80), np.uint8))
