"""Reading openings and marks from maps that are known."""

from dataclasses import replace

import numpy as np
import pytest

from etchscope.foil import PitFlag
from etchscope.foil.openings import MAPS, map_index
from etchscope.imaging import Lighting, Recipe, fit_normalisation
from etchscope.preselect import FindSettings
from etchscope.preselect.gauge import Gauge
from etchscope.preselect.judge import Trees
from etchscope.preselect.learned import (
    JUDGED,
    Finder,
    LearnedConstants,
    find_openings,
    fit_scale,
    read_openings,
)
from etchscope.simulation import Population, SimulatedScan, with_parameters

FOIL = with_parameters(
    SimulatedScan(seed=3, columns=1, rows=1, population=Population.of(50, 2)),
    {"optics.image_size": (128, 128)},
)
RAW = FOIL.read_tile(1)
LIGHTING = Lighting.of_scan(FOIL.scan)
NORMALISATION = fit_normalisation([RAW], Recipe())


def empty():
    maps = np.zeros((len(MAPS), 64, 64), np.float32)
    for k, name in enumerate(MAPS):
        if name.endswith("heat") or name == "mark":
            maps[k] = -9
    return maps


def put(maps, surface, y, x, heat=3.0, **values):
    maps[map_index(surface, "heat"), y, x] = heat
    told = {"log_radius": np.log(6), "log_depth": np.log(4), "s_depth": -1.0} | values
    for name, value in told.items():
        maps[map_index(surface, name), y, x] = value


def hotter_than(least):
    """Return a judge that looks at the heat alone."""
    leaf = [[1, -1, -1], [2, -1, -1]]
    left, right = (np.array([row], np.int32) for row in leaf)
    values = np.array([[0, -9, 3]], np.float32)
    return Trees(
        np.array([[0, -1, -1]], np.int32), np.array([[least, 0.0, 0]]), left, right, values
    )


def finder(maps, **least):
    judges = {k: hotter_than(least.get(k, 0.0)) for k in JUDGED}
    return Finder(lambda planes: maps, judges, least.get("mark", 0.0), Gauge.plain(), "test")


def columns(maps, scale=1.0, lighting=LIGHTING, raw=RAW):
    return find_openings(
        raw, NORMALISATION, lighting, finder(maps), LearnedConstants(scale), FindSettings()
    )


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
    judged = replace(finder(maps), judges=dict.fromkeys(JUDGED, doubtful))
    said = read_openings(maps, judged, has_lamps=True)
    assert said["surface"].tolist() == ["top", "bottom"]
    assert said["x"][1] == pytest.approx(80.5)
    put(maps, "bottom", 20, 21, heat=2.0)  # a pair, seen on both
    assert len(read_openings(maps, judged, has_lamps=True)["x"]) == 3
    surer = FindSettings(least_probability=0.6).least_log_odds
    said = read_openings(maps, judged, has_lamps=True, least=surer)
    assert said["x"] == pytest.approx([40.5, 42.5])


def test_what_openings_explain_is_no_mark():
    maps = empty()
    for k in range(8):
        maps[-1, 20, 16 + k] = maps[-1, 21, 16 + k] = 4
    assert columns(maps)["class"].tolist() == ["misc"]
    put(maps, "top", 20, 20, log_radius=np.log(10))
    assert columns(maps)["class"].tolist() == [None]


def test_what_either_surface_says_counts_where_no_surface_explains_it():
    maps = empty()
    put(maps, "top", 20, 20)
    put(maps, "unknown", 20, 21)
    put(maps, "unknown", 40, 40)
    said = read_openings(maps, finder(maps, beside=1.0), has_lamps=True)
    assert said["surface"].tolist() == ["top", "unknown"]
    assert said["x"][1] == pytest.approx(80.5)
    put(maps, "unknown", 40, 40, heat=0.5)
    said = read_openings(maps, finder(maps, beside=1.0), has_lamps=True)
    assert said["surface"].tolist() == ["top"]


def test_one_light_leaves_the_surface_open():
    maps = empty()
    put(maps, "top", 20, 20)
    put(maps, "unknown", 40, 40)
    none = np.empty(0, np.int64)
    backlit = replace(LIGHTING, directional=none, azimuths_deg=np.empty(0), bright=none)
    got = columns(maps, lighting=backlit)
    assert got["surface"].tolist() == ["unknown"]
    assert got["hip"][0] == pytest.approx(3)


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
