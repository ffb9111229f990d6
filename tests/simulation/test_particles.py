from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from etchscope.foil import BadInput
from etchscope.simulation import (
    Density,
    Fragments,
    Hips,
    HotSpot,
    Population,
    Sheet,
    Stars,
    etch_ratio,
    get_material,
)
from etchscope.simulation.cells import CELL_MM
from etchscope.simulation.particles import draw_tracks, etch, reach_mm, select_near
from etchscope.simulation.populations import REFERENCE_TILE_MM2

EVEN = Sheet(removed_spread=0.0)
NOTHING = Population.of(0, 0)
PER_CELL = CELL_MM**2 / REFERENCE_TILE_MM2


def _pits_of_cell(seed, cell, population, sheet, **more):
    return etch([draw_tracks(seed, cell, population, sheet, **more)], sheet)


def _draw(population, sheet=EVEN, seed=1, cells=9, **more):
    parts = [_pits_of_cell(seed, (k % 3, k // 3), population, sheet, **more) for k in range(cells)]
    return pd.concat(parts, ignore_index=True)


def _pairs(pits):
    front, back = pits[pits["front"]], pits[~pits["front"]]
    return front.merge(back, on="particle", suffixes=("", "_back"))


def test_a_cell_depends_on_seed_and_place_alone():
    one, again = _draw(Population.of(50, 5), cells=1), _draw(Population.of(50, 5), cells=1)
    pd.testing.assert_frame_equal(one, again)
    other = _pits_of_cell(1, (-3, 7), Population.of(50, 5), EVEN)
    singles = other[other["kind"] == "fragment"]
    assert singles["entered_x_mm"].between(-12, -8).all()
    assert singles["entered_y_mm"].between(28, 32).all()
    assert not set(other["particle"]) & set(one["particle"])


def test_through_going_particles_leave_a_pair_displaced_by_the_etched_thickness():
    hips = Hips(per_tile=40, zenith_deg=12, azimuth_deg=30, spread_deg=0, v_spread=0)
    pairs = _pairs(_draw(Population(hips, Fragments(per_tile=0))))
    assert len(pairs) > 300
    dx, dy = pairs["x_mm_back"] - pairs["x_mm"], pairs["y_mm_back"] - pairs["y_mm"]
    # The track's ends are 500 µm apart in depth; each opening's centre lies inwards of its end.
    zenith = np.deg2rad(12)
    v, h = pairs["v"].iloc[0], 0.058
    shift = h * np.sin(zenith) / (np.cos(zenith) + 1 / v)
    expected = 0.5 * np.tan(zenith) - 2 * shift
    np.testing.assert_allclose(np.hypot(dx, dy), expected, rtol=1e-6)
    np.testing.assert_allclose(np.rad2deg(np.arctan2(dy, dx)), 30, atol=1e-6)
    assert (pairs["dip_rad"] == pairs["dip_rad_back"]).all()
    turned = (pairs["azimuth_rad_back"] - pairs["azimuth_rad"] + 4 * np.pi) % (2 * np.pi)
    np.testing.assert_allclose(turned, np.pi)


def test_an_isotropic_flux_is_one():
    hips = Hips(per_tile=200, direction="isotropic", max_zenith_deg=60)
    pits = _draw(Population(hips, Fragments(per_tile=0)))
    fronts = pits[pits["front"]]
    # Through a plane cos²(zenith) is uniform, here from 1/4 to 1.
    assert kstest((np.sin(fronts["dip_rad"]) ** 2 - 0.25) / 0.75, "uniform").pvalue > 0.01
    azimuth = fronts["azimuth_rad"] % (2 * np.pi) / (2 * np.pi)
    assert kstest(azimuth, "uniform").pvalue > 0.01


def test_numbers_are_those_asked_for():
    population = Population.of(80, 10)
    pits = _draw(population)
    expected = {"fragment": 80 * 9 * PER_CELL, "hip": 2 * 10 * 9 * PER_CELL}
    for kind, number in expected.items():
        got = (pits["kind"] == kind).sum()
        assert got == pytest.approx(number, abs=4 * np.sqrt(2 * number))
    fragments = pits[pits["kind"] == "fragment"]
    assert fragments["particle"].is_unique
    assert fragments["front"].mean() == pytest.approx(0.45, abs=0.06)


def test_every_pit_is_above_the_threshold_and_sizes_overlap_the_signal_s():
    pits = _draw(replace(Population.of(150, 10), stars=Stars(per_tile=30)), Sheet())
    assert (pits["v"] * np.sin(pits["dip_rad"]) > 1).all()
    assert (pits[["major_um", "minor_um", "depth_um", "length_um"]] > 0).all().all()
    size = np.sqrt(pits["major_um"] * pits["minor_um"])
    signal, rest = size[pits["kind"] == "hip"], size[pits["kind"] == "fragment"]
    assert 0.02 < (rest > signal.quantile(0.05)).mean() < 0.5
    assert rest.std() > 3 * signal.std()


def test_prongs_of_a_star_come_from_one_vertex():
    stars = Stars(per_tile=60, range_um=400, v=8.0)
    pits = _draw(replace(NOTHING, stars=stars))
    assert set(pits["kind"]) == {"spallation"}
    assert len(pits) > 200
    assert 0.3 < pits["front"].mean() < 0.7
    # Forward prongs are seen on the back only.
    forward = _draw(replace(NOTHING, stars=replace(stars, kinds=("forward",))))
    ends = forward[~forward["front"]]
    assert len(ends) > 0.7 * len(forward)
    two = _draw(replace(NOTHING, stars=replace(stars, kinds=("back-to-back",), range_um=2000)))
    # The two prongs of a star follow each other in number; both seen, they are one line.
    both = two.merge(two.assign(particle=two["particle"] - 1), on="particle", suffixes=("", "_o"))
    both = both[both["front"] != both["front_o"]]
    dip, azimuth = both["dip_rad"] - both["dip_rad_o"], both["azimuth_rad"] - both["azimuth_rad_o"]
    same = (np.abs(dip) < 1e-9) & (np.abs((azimuth + 4 * np.pi) % (2 * np.pi) - np.pi) < 1e-6)
    assert same.sum() > 10


def test_doubtful_pits_lie_on_each_other_on_both_surfaces():
    fragments = Fragments(per_tile=0, doubtful_per_tile=20)
    pits = _draw(Population(Hips(per_tile=0), fragments))
    assert set(pits["kind"]) == {"maybe"}
    front = pits[pits["front"]].sort_values("particle")
    back = pits[~pits["front"]].sort_values("particle")
    assert len(front) == len(back) > 100
    apart = np.hypot(
        front["entered_x_mm"].to_numpy() - back["entered_x_mm"].to_numpy(),
        front["entered_y_mm"].to_numpy() - back["entered_y_mm"].to_numpy(),
    )
    assert np.median(apart) < 0.045  # a signal pit's radius


def test_foils_of_a_stack_share_their_ions_and_nothing_else():
    hips = Hips(per_tile=10, zenith_deg=3, azimuth_deg=30, spread_deg=0.5)
    population = Population(hips, Fragments(per_tile=20))
    first, next_ = (_draw(population, replace(EVEN, depth_mm=0.6 * n), exposure=n) for n in (0, 1))
    both = first[first["kind"] == "hip"].merge(
        next_[next_["kind"] == "hip"], on=["particle", "front"], suffixes=("", "_next")
    )
    assert len(both) == (first["kind"] == "hip").sum() > 100
    shift = both["entered_x_mm_next"] - both["entered_x_mm"]
    expected = 0.6 * np.tan(np.deg2rad(3)) * np.cos(np.deg2rad(30))
    assert shift.mean() == pytest.approx(expected, abs=0.003)
    assert (both["v"] != both["v_next"]).all()
    places = [set(p.loc[p["kind"] == "fragment", "x_mm"]) for p in (first, next_)]
    assert not places[0] & places[1]


def test_density_follows_gradient_and_hot_spots():
    spot = HotSpot(x_mm=6.0, y_mm=6.0, radius_mm=1.0, factor=20.0)
    density = Density(gradient_per_mm=0.1, gradient_deg=0.0, hot=(spot,))
    population = replace(Population.of(300, 0), density=density)
    pits = _draw(population)
    x, y = pits["entered_x_mm"].to_numpy(), pits["entered_y_mm"].to_numpy()
    away = np.hypot(x - 6, y - 6) > 4.5
    left, right = away & (x < 3), away & (x > 9)
    # Means of 1 + 0.1 x over 0 to 3 and over 9 to 12 mm.
    assert right.sum() / left.sum() == pytest.approx(2.05 / 1.15, rel=0.1)
    core = np.hypot(x - 6, y - 6) < 0.5
    nominal = 300 / REFERENCE_TILE_MM2 * np.pi * 0.25
    assert core.sum() / nominal == pytest.approx(1.6 * 18.8, rel=0.15)


def test_no_particle_reaches_farther_than_is_said():
    stars = Stars(per_tile=20, range_um=1000, v=16.0)
    for hips in (
        Hips(per_tile=50, spread_deg=15),
        Hips(per_tile=50, direction="isotropic", max_zenith_deg=75),
    ):
        population = Population(hips, stars=stars)
        sheet = Sheet(thickness_um=1000, depth_mm=0.5)
        pits = _pits_of_cell(3, (0, 0), population, sheet)
        reach = reach_mm(population, sheet)
        edge = pits[["x_mm", "y_mm"]].to_numpy()
        outside = np.maximum(-edge, edge - CELL_MM).max()
        assert 0 < outside + pits["major_um"].max() / 2000 < reach


def test_tracks_far_from_a_place_are_left_out_and_no_pit_there_is_lost():
    population = Population.of(3000, 40)
    tracks = draw_tracks(3, (0, 0), population, EVEN)
    every, some = etch([tracks], EVEN), select_near(tracks, 2.0, 2.0, 0.5)
    assert len(some["x_mm"]) < 0.8 * len(tracks["x_mm"])
    here = np.hypot(every["x_mm"] - 2, every["y_mm"] - 2) < 0.5
    assert here.sum() > 100
    kept = etch([some], EVEN)
    pd.testing.assert_frame_equal(
        every[here].reset_index(drop=True),
        kept[np.hypot(kept["x_mm"] - 2, kept["y_mm"] - 2) < 0.5].reset_index(drop=True),
    )


def test_a_shorter_track_inside_the_removed_layer_leaves_a_smaller_pit():
    """A prong that ends 30 µm under the surface is reached when 28 of 58 µm are left to remove."""
    tracks = {
        "x_mm": [1.0, 1.0],
        "y_mm": [1.0, 1.0],
        "z_um": [0.0, 30.0],
        "dx_um": [0.0, 0.0],
        "dy_um": [0.0, 0.0],
        "dz_um": [300.0, 300.0],
        "v_front": [2.0, 2.0],
        "v_back": [2.0, 2.0],
        "kind": [1.0, 1.0],
        "particle": [0.0, 1.0],
        "uneven_front": [1.0, 1.0],
        "uneven_back": [1.0, 1.0],
    }
    pits = etch([{name: np.array(values) for name, values in tracks.items()}], EVEN)
    whole, less = pits["minor_um"]
    assert less / whole == pytest.approx(28 / 58)


def test_response_decides_v():
    hips = Hips(rel_mev_cm2_g=4000.0)
    assert hips.ratio(EVEN) == pytest.approx(float(etch_ratio(4000, get_material("makrofol"))))
    assert hips.ratio(Sheet(material="cr39")) > hips.ratio(EVEN)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hips(per_tile=-1), r"hips\.per_tile: expected 0 to 20000, found -1"),
        (lambda: Hips(zenith_deg=90), r"hips\.zenith_deg: expected 0 to 80, found 90"),
        (lambda: Hips(max_zenith_deg=90), r"hips\.max_zenith_deg: expected 1 to 80"),
        (lambda: Hips(direction="up"), r"hips\.direction: expected beam or isotropic, found 'up'"),
        (lambda: Hips(rel_mev_cm2_g=-5.0), r"hips\.rel_mev_cm2_g: expected 0"),
        (lambda: Fragments(per_tile=float("nan")), r"fragments\.per_tile: .* found nan"),
        (lambda: Fragments(top_fraction=1.5), r"fragments\.top_fraction: expected 0 to 1"),
        (lambda: Stars(max_prongs=21), r"stars\.max_prongs: expected 2 to 20, found 21"),
        (lambda: Stars(kinds=()), r"number of stars\.kinds: expected 1 to 3, found 0"),
        (lambda: Stars(kinds=("odd",)), r"stars\.kinds: expected isotropic or forward"),
        (lambda: HotSpot(0, 0, 0, 2), r"hotspot\.radius_mm: expected 0\.1"),
        (lambda: Density(gradient_per_mm=11), r"density\.gradient_per_mm: expected -10 to 10"),
        (lambda: Sheet(removed_um=300), r"sheet\.removed_um: expected 1 to 225, found 300"),
        (lambda: Sheet(material="glass"), "material: expected makrofol or cr39"),
    ],
)
def test_impossible_parameters_are_refused(make, message):
    with pytest.raises(BadInput, match=message):
        make()
