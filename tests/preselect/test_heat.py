"""Reading openings from the heat of maps that are known."""

from dataclasses import replace

import numpy as np
import pytest
from tests.preselect.maps import columns, empty, finder, put

from etchscope.preselect import FindSettings
from etchscope.preselect.classifier import Trees
from etchscope.preselect.finder import CLASSIFIED
from etchscope.preselect.heat import read_openings


def test_two_peaks_of_one_opening_are_one_and_of_two_surfaces_two():
    maps = empty()
    put(maps, "top", 20, 20, heat=3.0)
    put(maps, "top", 20, 21, heat=2.0, dx=-1.0)  # a plateau: no peak of its own
    put(maps, "top", 22, 20, heat=2.5, dy=3.0)  # points at the same place
    put(maps, "bottom", 20, 20)
    got = columns(maps)
    assert sorted(got["surface"].tolist()) == ["bottom", "top"]
    assert np.nanmax(got["entry"]) == pytest.approx(3)


def test_a_second_opening_at_one_place_must_be_likelier_than_not():
    doubtful = Trees(  # heat up to 0 none, up to 1 doubtful, above sure
        np.array([[0, -1, 0, -1, -1]], np.int32),
        np.array([[0.0, 0, 1, 0, 0]]),
        np.array([[1, -1, 3, -1, -1]], np.int32),
        np.array([[2, -1, 4, -1, -1]], np.int32),
        np.array([[0, -9, 0, -0.2, 3]], np.float32),
    )
    maps = empty()
    put(maps, "top", 20, 20, heat=2.0)
    put(maps, "bottom", 20, 21, heat=0.5)  # the top one's other answer
    put(maps, "bottom", 40, 40, heat=0.5)  # as doubtful, alone
    judged = replace(finder(maps), classifiers=dict.fromkeys(CLASSIFIED, doubtful))
    peaks = read_openings(maps, judged, has_lamps=True)
    assert peaks["surface"].tolist() == ["top", "bottom"]
    assert peaks["x"][1] == pytest.approx(80.5)
    put(maps, "bottom", 20, 21, heat=2.0)  # a pair, seen on both
    assert len(read_openings(maps, judged, has_lamps=True)["x"]) == 3
    surer = FindSettings(least_probability=0.6).least_log_odds
    peaks = read_openings(maps, judged, has_lamps=True, least=surer)
    assert peaks["x"] == pytest.approx([40.5, 42.5])


def test_what_either_surface_says_counts_where_no_surface_explains_it():
    maps = empty()
    put(maps, "top", 20, 20)
    put(maps, "unknown", 20, 21)
    put(maps, "unknown", 40, 40)
    peaks = read_openings(maps, finder(maps, beside=1.0), has_lamps=True)
    assert peaks["surface"].tolist() == ["top", "unknown"]
    assert peaks["x"][1] == pytest.approx(80.5)
    put(maps, "unknown", 40, 40, heat=0.5)
    peaks = read_openings(maps, finder(maps, beside=1.0), has_lamps=True)
    assert peaks["surface"].tolist() == ["top"]
