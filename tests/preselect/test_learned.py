"""From maps that are known to the columns of openings and marks."""

from dataclasses import replace

import numpy as np
import pytest
from tests.preselect.maps import LIGHTING, NORMALISATION, RAW, columns, empty, finder, put

from etchscope.foil import PitFlag
from etchscope.preselect import FindSettings
from etchscope.preselect.learned import fit_scale


def test_an_opening_is_read_with_its_shape_and_errors():
    maps = empty()
    put(maps, "top", 20, 30, dx=0.7, dy=0.4, e_cos=0.0, e_sin=0.2, s_place=-1.0, s_radius=-2.0)
    got = columns(maps)
    assert got["surface"].tolist() == ["top"]
    assert got["x_px"][0] == pytest.approx(2 * 30 + 0.5 + 0.7, abs=1e-5)
    assert got["y_px"][0] == pytest.approx(2 * 20 + 0.5 - 0.4, abs=1e-5)
    assert got["radius_px"][0] == pytest.approx(6, rel=1e-5)
    assert got["angle_deg"][0] == pytest.approx(45)
    assert got["ellipticity"][0] == pytest.approx(0.2, rel=1e-5)
    assert got["x_px_err"][0] == pytest.approx(np.exp(-1), rel=1e-5)
    assert got["radius_px_err"][0] == pytest.approx(6 * np.exp(-2), rel=1e-5)
    assert got["depth_px_err"][0] == pytest.approx(4 * np.exp(-1), rel=1e-5)
    assert got["entry"][0] == pytest.approx(3)
    assert got["class"].tolist() == [None]


def test_a_scale_enlarges_places_and_sizes():
    maps = empty()
    put(maps, "bottom", 10, 10, s_place=0.0)
    got = columns(maps, scale=2.0)
    assert got["x_px"][0] == pytest.approx(2 * (20.5 + 0.5) - 0.5)
    assert got["radius_px"][0] == pytest.approx(12, rel=1e-5)
    assert got["x_px_err"][0] == pytest.approx(2)


def test_one_light_leaves_the_surface_open():
    maps = empty()
    put(maps, "top", 20, 20)
    put(maps, "unknown", 40, 40)
    none = np.empty(0, np.int64)
    backlit = replace(LIGHTING, directional=none, azimuths_deg=np.empty(0), bright=none)
    got = columns(maps, lighting=backlit)
    assert got["surface"].tolist() == ["unknown"]
    assert got["hip"][0] == pytest.approx(3)


def test_flags_tell_edges_neighbours_and_sizes():
    maps = empty()
    put(maps, "top", 1, 30)
    put(maps, "top", 30, 30)
    put(maps, "top", 30, 32)
    put(maps, "bottom", 50, 50, log_radius=np.log(25))
    got = columns(maps)
    values = got["flags"].tolist()
    assert sum(bool(v & PitFlag.EDGE) for v in values) == 1
    assert sum(bool(v & PitFlag.TOO_CLOSE) for v in values) == 2
    assert sum(bool(v & PitFlag.SIZE_LIMIT) for v in values) == 1


def test_openings_of_both_surfaces_at_one_place_are_mates():
    maps = empty()
    put(maps, "top", 20, 20, heat=3.0)
    put(maps, "bottom", 20, 20, heat=2.0, dx=0.5)
    put(maps, "top", 40, 40, heat=3.0)
    put(maps, "bottom", 40, 42, heat=3.0)  # a pair 4 px apart, whose chance the density tells
    got = columns(maps)
    place, mate = got["x_px"].round(1).tolist(), got["mate"].tolist()
    here, there = (place.index(x) for x in (40.5, 41.0))
    assert (mate[here], mate[there]) == (there, here)
    assert sorted(mate)[:2] == [-1, -1]
    steep = (got["flags"] & PitFlag.STEEP_PAIR) > 0
    assert steep.tolist() == [m >= 0 for m in mate]
    odds = np.fmax(got["entry"], got["exit"])
    assert got["hip"].tolist() == [odds[[here, there]].min() if s else 0 for s in steep]


def test_what_is_much_smaller_than_asked_for_is_no_row():
    maps = empty()
    for k, radius in enumerate((1.5, 2.0, 2.6, 5.0)):
        put(maps, "top", 10 + 12 * k, 30, log_radius=np.log(radius))
    assert columns(maps)["radius_px"] == pytest.approx([2.6, 5.0])
    assert columns(maps, scale=2.0)["radius_px"] == pytest.approx([3.0, 4.0, 5.2, 10.0])


def test_saturation_is_read_from_the_pictures():
    maps = empty()
    put(maps, "top", 30, 30)
    raw = RAW.copy()
    raw[8, 55:67, 55:67] = 255
    assert columns(maps, raw=raw)["flags"][0] & PitFlag.SATURATED
    assert not columns(maps)["flags"][0] & PitFlag.SATURATED


def test_pits_too_large_for_the_network_are_looked_at_on_halved_pictures():
    def at(maps):
        return fit_scale([RAW], NORMALISATION, LIGHTING, finder(maps), FindSettings()).scale

    maps = empty()
    for k in range(6):
        put(maps, "top", 5 + 8 * k, 20, log_radius=np.log(4))
    assert at(maps) == 1
    for k in range(7):
        put(maps, "bottom", 5 + 8 * k, 40, log_radius=np.log(11))
    assert at(maps) == 2
    many = empty()  # at full size there are many more: what is large is but what is blurred
    for k in range(16):
        put(many, "top", 5 + 8 * (k % 8), 10 + 8 * (k // 8), log_radius=np.log(4))
        put(many, "bottom", 5 + 8 * (k % 8), 40 + 8 * (k // 8), log_radius=np.log(4))
    both = replace(finder(maps), maps=lambda p: many if p.shape[1] == RAW.shape[1] else maps)
    assert fit_scale([RAW], NORMALISATION, LIGHTING, both, FindSettings()).scale == 1
    small = FindSettings(smallest_radius_px=1.0, binning=1)
    assert fit_scale([RAW], NORMALISATION, LIGHTING, finder(maps), small).scale == 0.5
