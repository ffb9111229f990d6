from dataclasses import replace

import numpy as np

from etchscope.ensemble import Domain

DOMAIN = Domain("r", (5.0, 7.0), 30.0, 2.0, 4.0)


def test_a_pit_is_inside_up_to_the_limit_and_the_density():
    distance = np.array([1.0, 4.0, 4.1, 1.0, 1.0, 1.0, np.nan])
    density = np.array([10.0, 10, 10, 30, 31, np.nan, 10])
    assert DOMAIN.holds(distance, density).tolist() == [1, 1, 0, 1, 0, 1, 0]
    anywhere = replace(DOMAIN, density_per_mm2=None)
    assert anywhere.holds(distance, density).tolist() == [1, 1, 0, 1, 1, 1, 0]


def test_a_scan_is_foreign_where_one_pit_in_twenty_is_unusual():
    few = [np.r_[np.full(100 - n, 1.0), np.full(n, 3.0)] for n in (5, 10, 13)]
    # Ten of a hundred may be one in twenty; ten times as many are not.
    assert [DOMAIN.is_foreign(d) for d in few] == [False, False, True]
    assert DOMAIN.is_foreign(np.tile(few[1], 10))
    assert not DOMAIN.is_foreign(np.tile(few[0], 10))
    assert not DOMAIN.is_foreign(np.full(19, 9.0))  # too few to say
    assert DOMAIN.is_foreign(np.full(20, 9.0))
    assert not DOMAIN.is_foreign(np.empty(0))


def test_a_scale_is_known_in_the_range_or_where_neither_has_one():
    assert [DOMAIN.knows_scale(s) for s in (4.9, 5.0, 7.0, 7.1, None)] == [0, 1, 1, 0, 0]
    bare = replace(DOMAIN, pixel_size_um=None)
    assert [bare.knows_scale(s) for s in (6.0, None)] == [False, True]
