import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etchscope.geometry.overlaps import are_better_seen_elsewhere, merge_copies

REACH = 6.0


def _merge(rows, reach=REACH):
    """Rows of (x, y, tile, surface, margin)."""
    table = np.array(rows, float).reshape(-1, 5)
    tile, surface = table[:, 2].astype(int), table[:, 3].astype(int)
    return merge_copies(table[:, :2], tile, surface, table[:, 4], reach).tolist()


def test_the_copy_farther_from_its_edge_stays():
    assert _merge([(0, 0, 1, 0, 3), (1, 1, 2, 0, 9)]) == [1, 1]
    assert _merge([(0, 0, 1, 0, 9), (1, 1, 2, 0, 3)]) == [0, 0]
    assert _merge([(0, 0, 1, 0, 5), (1, 1, 2, 0, 5)]) == [0, 0]


@pytest.mark.parametrize(
    "other", [(1, 0, 1, 0, 9), (1, 0, 2, 1, 9), (6.1, 0, 2, 0, 9)], ids=["tile", "surface", "far"]
)
def test_what_is_no_copy_stays(other):
    assert _merge([(0, 0, 1, 0, 5), other]) == [0, 1]


def test_just_within_reach():
    assert _merge([(0, 0, 1, 0, 5), (5.9, 0, 2, 0, 9)]) == [1, 1]


def test_corner_of_four_tiles():
    rows = [(0, 0, 1, 0, 4), (0.5, 0.4, 2, 0, 6), (-0.6, 0.2, 3, 0, 8), (0.1, -0.8, 4, 0, 5)]
    assert _merge(rows) == [2, 2, 2, 2]
    assert _merge(rows[::-1]) == [1, 1, 1, 1]


def test_two_pits_of_one_tile_stay_two():
    close = [(0, 0, 1, 0, 9), (4, 0, 1, 0, 9)]
    copies = [(0.3, 0.1, 2, 0, 5), (4.2, 0.2, 2, 0, 5)]
    assert _merge(close + copies) == [0, 1, 0, 1]


def test_two_pits_of_one_tile_are_not_merged_by_way_of_a_third():
    rows = [(0, 0, 1, 0, 3), (4, 0, 1, 0, 3), (1.5, 0, 2, 0, 9)]
    assert _merge(rows) == [2, 1, 2]


def test_copies_do_not_chain():
    rows = [(0, 0, 1, 0, 9), (5, 0, 2, 0, 5), (10, 0, 3, 0, 5)]
    assert _merge(rows) == [0, 0, 2]


def test_no_pits():
    assert _merge([]) == []


pits = st.lists(
    st.tuples(
        st.integers(0, 25).map(float),
        st.integers(0, 6).map(float),
        st.integers(1, 4),
        st.integers(0, 1),
        st.integers(0, 9).map(float),
    ),
    max_size=14,
)


@settings(deadline=None)
@given(pits)
def test_rules(rows):
    stands = np.array(_merge(rows), int)
    assert (stands[stands] == stands).all()
    for i, j in enumerate(stands.tolist()):
        copies = np.flatnonzero(stands == j)
        assert len({rows[k][2] for k in copies}) == len(copies)  # one per tile
        assert len({rows[k][3] for k in copies}) == 1  # one surface
        assert max(rows[k][4] for k in copies) == rows[j][4]  # the best
        assert np.hypot(rows[i][0] - rows[j][0], rows[i][1] - rows[j][1]) <= REACH
    # What is left could not be merged any more: it has no copy that is itself alone.
    alone = [k for k in range(len(rows)) if (stands == k).sum() == 1]
    for i in alone:
        for j in alone:
            near = np.hypot(rows[i][0] - rows[j][0], rows[i][1] - rows[j][1]) <= REACH
            assert i == j or not near or rows[i][2] == rows[j][2] or rows[i][3] != rows[j][3]


def test_better_seen_asks_the_other_tiles():
    tiles = np.array([[0, 100, 0, 80], [80, 180, 0, 80]], float)
    place = np.array([[97.0, 40], [83, 40], [92, 40], [90, 40], [90.4, 40], [40, 2], [97, 1]])
    tile = np.array([1, 2, 1, 1, 1, 1, 1])
    margin = np.array([3.0, 3, 8, 10, 9.6, 2, 1])
    seen = are_better_seen_elsewhere(place, tile, margin, np.array([1, 2]), tiles)
    assert seen.tolist() == [True, True, True, False, False, False, False]
    none = are_better_seen_elsewhere(place[:0], tile[:0], margin[:0], np.array([1, 2]), tiles)
    assert none.tolist() == []
