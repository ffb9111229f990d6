import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from etchscope.candidates import candidate_table, places_px, select_best
from etchscope.foil import as_pits

coordinate = st.integers(0, 20)
scored = st.tuples(coordinate, coordinate, st.integers(-3, 3))


def _naive(place, score, reach):
    """Best first, equal ones by row, each takes all within reach away."""
    best, left = np.zeros(len(score), bool), set(range(len(score)))
    for k in sorted(left, key=lambda k: (-score[k], k)):
        if k in left:
            best[k] = True
            left -= {j for j in left if np.hypot(*(place[j] - place[k])) <= reach}
    return best


@settings(deadline=None, max_examples=200)
@given(st.lists(scored, max_size=25), st.sampled_from([2.5, 7.0, 100.0]))
def test_the_best_of_each_place_is_what_a_loop_takes(rows, reach):
    given_rows = np.array(rows, float).reshape(-1, 3)
    place, score = given_rows[:, :2], given_rows[:, 2]
    best = select_best(place, score, reach)
    np.testing.assert_array_equal(best, _naive(place, score, reach))


def test_a_chain_of_openings_keeps_every_second():
    place = np.stack([6.0 * np.arange(5), np.zeros(5)], 1)
    assert select_best(place, np.array([5.0, 4, 3, 2, 1])).tolist() == [1, 0, 1, 0, 1]
    # The second is beaten by the first, so it takes nothing away from the third.
    assert select_best(place, np.array([1.0, 2, 3, 2, 1])).tolist() == [1, 0, 1, 0, 1]
    assert select_best(place, np.array([1.0, 5, 3, 2, 1])).tolist() == [0, 1, 0, 1, 0]
    assert select_best(np.empty((0, 2)), np.empty(0)).shape == (0,)


def test_places_are_in_pixels_of_the_foil_or_each_tile_by_itself():
    pits = as_pits(
        {"tile": [1, 2], "x_px": [3.0, 3], "y_px": [4.0, 4], "x_mm": [0.1, 0.2], "y_mm": [0.3, 0.3]}
    )
    np.testing.assert_allclose(places_px(pits, 10.0), [[10, 30], [20, 30]])
    for scale, table in ((None, pits), (10.0, pits.assign(x_mm=np.nan))):
        place = places_px(table, scale)
        assert np.hypot(*(place[1] - place[0])) > 1e5
        np.testing.assert_allclose(place[0] % 1e6, [3, 4])


def _scored(**columns):
    n = len(columns["score"])
    given_columns = {
        "pit": range(n),
        "tile": [1] * n,
        "x_px": 50.0 * np.arange(n),
        "y_px": [10.0] * n,
    }
    return as_pits(given_columns | columns)


def test_a_pair_is_one_candidate_at_its_entry_pit_and_the_best_come_first():
    pits = _scored(
        surface=["bottom", "top", "top", "bottom", "top", "bottom"],
        partner=[1, 0, None, None, 5, 4],
        score=[3.0, 3.0, 1.0, 2.0, 5.0, 4.0],
        **{"class": ["hip", "hip", "hip", "hip", "top", "bottom"]},
    )
    found = candidate_table(pits, pixel_size_um=None)
    # Those too far apart to be seen together are a candidate each.
    far = candidate_table(pits.assign(pair_dx_px=21.0, pair_dy_px=0.0), pixel_size_um=None)
    assert far["pit"].tolist() == [4, 5, 0, 1, 3, 2]
    # The exit pit of the pair goes though it lies far off; two of different scores stay two.
    assert found["pit"].tolist() == [4, 5, 1, 3, 2]
    assert found["score"].is_monotonic_decreasing
    assert found.index.tolist() == list(range(5))
    assert list(found.columns) == list(pits.columns)


def test_one_place_is_one_candidate_and_rows_that_no_model_saw_are_none():
    pits = _scored(
        x_px=[10.0, 13, 60, 61, 200],
        surface=["top", "bottom", "top", None, "top"],
        score=[1.0, 2.0, 4.0, np.nan, np.nan],
        **{"class": ["top", "hip", "hip", None, None]},
    )
    found = candidate_table(pits, pixel_size_um=None)
    assert found["pit"].tolist() == [2, 1]
    # On another tile the same pixel is another place.
    apart = candidate_table(pits.assign(tile=[1, 2, 1, 1, 1]), pixel_size_um=None)
    assert apart["pit"].tolist() == [2, 1, 0]
    none = candidate_table(pits.assign(score=np.nan), pixel_size_um=None)
    assert (len(none), list(none.columns)) == (0, list(pits.columns))
    assert len(candidate_table(as_pits({}), pixel_size_um=6.45)) == 0


def test_with_a_scale_a_pit_in_two_tiles_is_one_candidate():
    columns = {"score": [1.0, 2.0], "class": ["hip", "hip"], "tile": [1, 2]}
    pits = _scored(**columns, x_mm=[0.500, 0.510], y_mm=[0.1, 0.1])
    assert candidate_table(pits, pixel_size_um=6.45)["pit"].tolist() == [1]
    assert candidate_table(pits, pixel_size_um=None)["pit"].tolist() == [1, 0]


def test_a_pair_is_one_candidate_whatever_its_class():
    pits = _scored(
        surface=["top", "bottom"],
        partner=[1, 0],
        score=[2.0, 2.0],
        **{"class": ["top", "bottom"]},
    )
    assert candidate_table(pits, pixel_size_um=None)["pit"].tolist() == [0]
