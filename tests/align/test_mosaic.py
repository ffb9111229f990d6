import numpy as np
import pytest

from etchscope.align import are_uncut, find_copies, solve_mosaic
from etchscope.foil import BadInput

WIDTH, HEIGHT = 4.0, 3.0  # of a tile, mm
STEP = (3.6, 2.7)


def _scan(rng, stage_mm, *, columns=8, rows=6, density=3.0, pit_mm=0.002):
    """Return places as the stage has them, tile numbers, true places, and the stage's errors."""
    size = np.array([(columns - 1) * STEP[0] + WIDTH, (rows - 1) * STEP[1] + HEIGHT])
    true = rng.uniform(0, size, (int(density * size.prod()), 2))
    errors = rng.normal(0, stage_mm, (columns * rows, 2))
    xy, tile, own = [], [], []
    for c in range(columns):
        for r in range(rows):
            corner = np.array([c * STEP[0], r * STEP[1]])
            inside = ((true >= corner) & (true < corner + np.array([WIDTH, HEIGHT]))).all(axis=1)
            number = c * rows + r
            noise = rng.normal(0, pit_mm, (inside.sum(), 2))
            xy.append(true[inside] - errors[number] + noise)
            tile.append(np.full(inside.sum(), number))
            own.append(true[inside])
    return np.concatenate(xy), np.concatenate(tile), np.concatenate(own), errors


def test_the_stages_errors_are_found_from_copies(rng):
    xy, tile, own, errors = _scan(rng, 0.02)
    mosaic = solve_mosaic(xy, tile)
    left = mosaic.correct(xy, tile) - own
    left -= left.mean(axis=0)  # the mosaic as a whole may lie anywhere
    before = xy - own - (xy - own).mean(axis=0)
    assert left.std() < 0.25 * before.std()
    assert mosaic.after_mm < 0.3 * mosaic.before_mm
    assert mosaic.stage_mm == pytest.approx(0.02, rel=0.3)
    assert mosaic.pit_mm == pytest.approx(0.002, rel=0.3)
    found = mosaic.shift_mm - mosaic.shift_mm.mean(axis=0)
    assert np.corrcoef(found.ravel(), (errors - errors.mean(axis=0)).ravel())[0, 1] > 0.95


def test_a_sound_stage_is_left_alone(rng):
    xy, tile, *_ = _scan(rng, 0.0)
    mosaic = solve_mosaic(xy, tile)
    assert np.abs(mosaic.shift_mm).max() < 0.002


def test_unrelated_neighbours_do_not_bend_the_mosaic(rng):
    xy, tile, own, _ = _scan(rng, 0.02)
    pairs = find_copies(xy, tile, 0.1)
    spoilt = xy.copy()
    some = rng.choice(pairs[:, 0], len(pairs) // 10, replace=False)
    spoilt[some] += rng.uniform(-0.05, 0.05, (len(some), 2))
    mosaic = solve_mosaic(spoilt, tile)
    left = mosaic.correct(xy, tile) - own
    assert (left - left.mean(axis=0)).std() < 0.4 * (xy - own).std()


def test_of_openings_that_an_edge_cuts_only_the_coordinate_along_it_counts(rng):
    xy, tile, *_ = _scan(rng, 0.0)
    corner = np.column_stack([tile // 6 * STEP[0], tile % 6 * STEP[1]])
    near_right = xy[:, 0] - corner[:, 0] > WIDTH - 0.4
    biased = xy - np.where(near_right, 0.02, 0.0)[:, None] * [1, 0]
    whole = np.column_stack([~near_right, np.ones(len(xy), bool)])
    assert np.abs(solve_mosaic(biased, tile, whole).shift_mm[:, 0]).max() < 0.002
    assert np.abs(solve_mosaic(biased, tile).shift_mm[:, 0]).max() > 0.005


def test_copies_are_each_others_nearest_of_another_tile():
    xy = np.array([[0, 0], [0.01, 0], [0.03, 0], [0, 0.01], [5, 5]])
    assert find_copies(xy, np.array([1, 2, 2, 1, 2]), 0.1).tolist() == [[0, 1], [2, 3]][:1]
    assert find_copies(xy[:1], np.array([1]), 0.1).shape == (0, 2)
    corner = np.array([[0, 0], [0.01, 0], [0, 0.01], [0.01, 0.01]])
    assert len(find_copies(corner, np.arange(4), 0.1)) == 6  # four tiles meet: each pair


def test_no_copies_no_correction():
    mosaic = solve_mosaic([[0, 0], [9, 9]], [1, 2])
    assert mosaic.pairs == 0
    assert mosaic.correct([[0, 0]], [1]).tolist() == [[0, 0]]
    assert mosaic.to_dict()["after_um"] is None
    assert solve_mosaic(np.empty((0, 2)), []).correct([[1, 2]], [7]).tolist() == [[1, 2]]
    with pytest.raises(BadInput, match="a finite place and a tile for each pit"):
        solve_mosaic([[0, 0]], [1, 2])


def test_a_tile_that_is_not_known_is_not_corrected(rng):
    xy, tile, *_ = _scan(rng, 0.02, columns=2, rows=2)
    mosaic = solve_mosaic(xy, tile)
    assert mosaic.correct([[1.0, 1.0]], [99]).tolist() == [[1, 1]]
    assert mosaic.table()["tile"].tolist() == [0, 1, 2, 3]


def test_what_an_edge_cuts():
    flags = are_uncut([5, 8, 320, 632], [240, 240, 3, 240], (480, 640), 8)
    assert flags.tolist() == [[False, True], [True, True], [True, False], [False, True]]


@pytest.mark.real_data
def test_the_real_stage_errs_by_less_than_a_pixel(real_lists):
    for given in real_lists.values():
        pits = given.pits
        whole = are_uncut(pits["x_px"], pits["y_px"], (480, 640), 8)
        mosaic = solve_mosaic(pits[["x_mm", "y_mm"]].to_numpy(), pits["tile"].to_numpy(), whole)
        assert mosaic.pairs > 200
        assert 1000 * mosaic.stage_mm < 6.45
