"""Reading marks from maps that are known."""

import numpy as np
import pytest
from tests.preselect.maps import columns, empty, put


def test_what_openings_explain_is_no_mark():
    maps = empty()
    for k in range(8):
        maps[-1, 20, 16 + k] = maps[-1, 21, 16 + k] = 4
    assert columns(maps)["class"].tolist() == ["misc"]
    put(maps, "top", 20, 20, log_radius=np.log(10))
    assert columns(maps)["class"].tolist() == [None]


def test_a_long_thing_is_one_row_with_its_extent():
    maps = empty()
    for k in range(40):
        maps[-1, 10 + k // 2, 5 + k] = 4
    got = columns(maps)
    assert got["class"].tolist() == ["misc"]
    assert got["length_px"][0] == pytest.approx(2 * np.hypot(39, 19.5), rel=0.08)
    assert 1 <= got["width_px"][0] <= 5
    assert got["angle_deg"][0] == pytest.approx(180 - np.rad2deg(np.arctan(0.5)), abs=3)
    assert np.isnan(got["hip"][0])
