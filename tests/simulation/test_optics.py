from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from etchscope.foil import BadInput, Channel
from etchscope.imaging import D4
from etchscope.simulation import (
    Fragments,
    Hips,
    Optics,
    Plane,
    Population,
    Scene,
    SimulatedScan,
    height_map,
    reference_channels,
    render,
)

SIZE = (48, 64)
STILL = Optics(image_size=SIZE, unevenness=0.0, vignetting=0.0)
LAMPS = np.arange(8)
FLAT = np.zeros(STILL.fine_size, np.float32)


def _pits(*rows, optics=STILL):
    names = ["x_px", "y_px", "v", "dip_rad", "azimuth_rad", "length_um"]
    pits = pd.DataFrame(rows, columns=names, dtype=float).assign(removed_um=58.0)
    return height_map(pits, optics.fine_size, optics.fine_um)


PIT = _pits((63.5, 47.5, 2.0, np.pi / 2, 0, 500))
ROUND = _pits((63.5, 47.5, 2.0, np.pi / 2, 0, 30))
CROWD = _pits(
    (40.2, 30.1, 4.0, 1.5, 0.3, 500),
    (52.7, 38.4, 2.0, 1.2, 2.0, 70),
    (90.0, 60.0, 1.6, 1.5, 4.0, 500),
)
OTHER = _pits((48.0, 36.0, 4.0, 1.5, 3.4, 500), (99.0, 20.0, 2.0, 1.1, 1.0, 100))


def _divergence(pictures, optics=STILL):
    """Signed divergence of the first harmonic, as the conventions have it, smoothed."""
    phi = optics.azimuths_rad[:, None, None]
    s = pictures[:8] / np.median(pictures[:8], axis=(1, 2), keepdims=True)
    a, b = 2 * (s * np.cos(phi)).mean(0), 2 * (s * np.sin(phi)).mean(0)
    return cv2.GaussianBlur(np.gradient(a, axis=1) - np.gradient(b, axis=0), (0, 0), 2)


@pytest.mark.parametrize("symmetry", D4)
def test_pictures_turn_with_the_scene_and_its_lamps(symmetry):
    """Rendering the turned foil is the turned pictures with rolled or permuted channels."""
    azimuths = np.rad2deg(STILL.azimuths_rad)
    opacity = np.zeros_like(FLAT)
    opacity[20:30, 70:90] = 0.7
    uneven = Optics(image_size=SIZE, unevenness=0.2, vignetting=0.2)

    def turned(stack):
        flipped = stack[..., ::-1] if symmetry.mirrored else stack
        return np.ascontiguousarray(np.rot90(flipped, symmetry.quarter_turns, (-2, -1)))

    moved, shade = [turned(m) for m in (CROWD, OTHER)], turned(opacity)
    here = symmetry.pictures(render(Scene(CROWD, OTHER, opacity=opacity), uneven), azimuths, LAMPS)
    size = here.shape[1:]
    there = render(Scene(*moved, opacity=shade), replace(uneven, image_size=size))
    apart = np.abs(here.astype(int) - there)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.01
    if symmetry.quarter_turns or symmetry.mirrored:  # forgetting the channels is seen
        forgotten = turned(render(Scene(CROWD, OTHER, opacity=opacity), uneven))
        assert np.abs(forgotten.astype(int) - there).max() > 20


@pytest.mark.parametrize("pit", [PIT, ROUND, _pits((63.5, 47.5, 1.3, 1.4, 0.4, 40))])
def test_a_bottom_pit_has_the_opposite_divergence_of_a_top_pit(pit):
    top, bottom = (_divergence(render(s, STILL)) for s in (Scene(pit, FLAT), Scene(FLAT, pit)))
    at = np.unravel_index(np.abs(top).argmax(), top.shape)
    assert top[at] < -0.03
    assert bottom[at] > 0.02
    # Weaker, and blurred.
    assert bottom.max() < -top.min()
    assert (bottom > bottom.max() / 2).sum() > (top < top.min() / 2).sum()


def test_the_far_wall_is_bright_and_the_near_one_dark():
    pictures = render(Scene(PIT, FLAT), STILL).astype(int)
    left = np.argmin(np.abs(np.rad2deg(STILL.azimuths_rad) % 360 - 202.5))
    bulk = pictures[left, 4, 4]
    # The lamp is on the left: the right wall faces it.
    assert pictures[left, 18:30, 33:39].max() > bulk + 10
    assert pictures[left, 24, 28] < bulk - 30


def test_cast_shadow_darkens_what_a_wall_hides_from_the_lamp():
    deep = _pits((63.5, 47.5, 4.0, np.pi / 2, 0, 500))
    open_, shaded = (
        render(Scene(deep, FLAT), replace(STILL, shadow=s, gloss=0.0)).astype(int) for s in (0, 1)
    )
    assert (shaded <= open_).all()
    lost = (open_ - shaded)[:8].max(axis=0)
    assert lost.max() > 20
    assert lost[:, :18].max() == 0  # the bulk's own light is not touched
    low, high = (
        render(Scene(deep, FLAT), replace(STILL, shadow=1.0, elevation_deg=e))[:8].astype(float)
        for e in (25, 70)
    )
    assert (
        low[:, 24, 32].mean() / low[:, 4, 4].mean() < high[:, 24, 32].mean() / high[:, 4, 4].mean()
    )


def test_backlit_a_cone_is_a_disc_and_a_round_pit_a_ring():
    cone, round_ = (
        render(Scene(p, FLAT), replace(STILL, blur_um=1.0))[8].astype(int) for p in (PIT, ROUND)
    )
    bulk = cone[4, 4]
    assert cone[24, 32] < 0.15 * bulk
    ring = round_[24, 26:39]
    assert ring[6] > 0.8 * bulk  # bright centre
    assert ring.min() < 0.5 * bulk


def test_the_halo_shows_pits_brighter_than_the_bulk():
    for pit in (PIT, ROUND, CROWD):
        halo = render(Scene(pit, FLAT), STILL)[9].astype(int)
        assert halo.max() > halo[2, 2] + 20
        assert halo.min() > halo[2, 2] - 4


def test_focus_blurs_what_is_far_from_the_focal_plane():
    def sharpness(focus, scene):
        channels = (Channel(step=1, role="backlit", focus_um=focus),)
        picture = render(scene, replace(STILL, channels=channels))[0].astype(float)
        return np.abs(np.diff(picture, axis=1)).max()

    top, bottom = Scene(PIT, FLAT, thickness_um=400.0), Scene(FLAT, PIT, thickness_um=400.0)
    far = -400 / 1.585  # the apparent depth of the far surface
    assert sharpness(0, top) > 1.3 * sharpness(far, top)
    assert sharpness(far, bottom) > 1.3 * sharpness(0, bottom)
    assert sharpness(far, bottom) == pytest.approx(sharpness(0, top), rel=0.05)
    stack = tuple(Channel(step=n, role="backlit", focus_um=60.0 * n) for n in range(4))
    planes = render(top, replace(STILL, channels=stack)).astype(float)
    edges = np.abs(np.diff(planes, axis=2)).max(axis=(1, 2))
    assert (np.diff(edges) < 0).all()


def test_another_magnification_shows_the_same_pit():
    fine = replace(STILL, pixel_size_um=STILL.pixel_size_um / 2, image_size=(96, 128))
    same = _pits((127.5, 95.5, 2.0, np.pi / 2, 0, 500), optics=fine)
    large = render(Scene(same, np.zeros_like(same)), fine)
    small = render(Scene(PIT, FLAT), STILL)
    binned = large.reshape(10, 48, 2, 64, 2).mean(axis=(2, 4))
    assert np.abs(binned - small).mean() < 0.3
    assert np.abs(binned - small).max() < 25


def test_gains_azimuth_errors_and_depth_of_bits():
    scene = Scene(PIT, FLAT)
    plain = render(scene, STILL).astype(float)
    gains = tuple(np.linspace(0.8, 1.2, 10))
    bright = render(scene, replace(STILL, gains=gains)).astype(float)
    np.testing.assert_allclose(bright[:, 4, 4] / plain[:, 4, 4], gains, rtol=0.02)
    # A lamp that stands 45° off shows what the next one should.
    off = render(scene, replace(STILL, azimuth_errors_deg=(45.0,) * 8))
    assert np.abs(off[:7].astype(int) - plain[1:8]).max() <= 1
    deep = render(scene, replace(STILL, bit_depth=12))
    assert deep.dtype == np.uint16
    np.testing.assert_allclose(deep / 4095, plain / 255, atol=1 / 255)


def test_noise_is_that_of_the_camera():
    optics = Optics(
        image_size=(200, 200), unevenness=0, vignetting=0, texture=0, read_noise=3, shot_noise=0.05
    )
    flat = np.zeros(optics.fine_size, np.float32)
    pictures = render(Scene(flat, flat), optics, np.random.default_rng(1)).astype(float)
    expected = np.sqrt(9 + 0.05 * pictures.mean(axis=(1, 2)) + 1 / 12)
    np.testing.assert_allclose(pictures.std(axis=(1, 2)), expected, rtol=0.03)


def test_texture_is_smooth_rough_and_seen_by_the_lamps():
    optics = Optics(image_size=(200, 200), read_noise=0, shot_noise=0, unevenness=0, vignetting=0)
    flat = np.zeros(optics.fine_size, np.float32)

    def seen(**change):
        changed = replace(optics, **change)
        return render(Scene(flat, flat), changed, np.random.default_rng(1)).astype(float)

    rough, rougher = seen(texture=0.03)[:8].std(), seen(texture=0.06)[:8].std()
    assert rougher / rough == pytest.approx(2, rel=0.1)

    def neighbours(pictures):
        return np.corrcoef(pictures[0, :, :-3].ravel(), pictures[0, :, 3:].ravel())[0, 1]

    assert neighbours(seen(texture_um=40)) > neighbours(seen(texture_um=8)) + 0.3
    assert seen(texture=0.0).std(axis=(1, 2)).max() == 0


def test_light_falls_off_towards_the_corners_and_away_from_the_lamp():
    uneven = render(Scene(FLAT, FLAT), Optics(image_size=SIZE, unevenness=0.2, vignetting=0.3))
    middle = uneven[8, 24, 32]
    assert all(uneven[8, y, x] < 0.8 * middle for y in (0, -1) for x in (0, -1))
    left = np.argmin(np.abs(np.rad2deg(STILL.azimuths_rad) % 360 - 202.5))
    assert uneven[left, 24, 1] > uneven[left, 24, -2] + 10


def test_opacity_darkens_the_backlight_and_a_hole_lets_it_through():
    opacity, hole = np.zeros_like(FLAT), np.zeros_like(FLAT)
    opacity[10:30, 10:30] = 0.8
    hole[50:80, 60:110] = 1.0
    pictures = render(Scene(FLAT, FLAT, opacity=opacity, hole=hole), STILL).astype(float)
    assert pictures[8, 10, 10] < 0.35 * pictures[8, 40, 10]
    assert pictures[9, 10, 10] > 1.5 * pictures[9, 40, 10]
    assert pictures[8, 32, 42] > pictures[8, 40, 10]
    assert (pictures[:8, 32, 42] < 0.2 * pictures[:8, 40, 10]).all()


def test_same_seed_same_pictures_and_inputs_stay():
    top = CROWD.copy()
    optics = Optics(image_size=SIZE)
    one, again, other = (
        render(Scene(top, OTHER), optics, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    np.testing.assert_array_equal(top, CROWD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elevation_deg": 90.0}, r"optics\.elevation_deg: expected 5 to 85, found 90"),
        ({"blur_um": -1.0}, r"optics\.blur_um: expected 0 to 200"),
        ({"texture": float("nan")}, r"optics\.texture: expected 0 to 1, found nan"),
        ({"bit_depth": 7}, r"optics\.bit_depth: expected 8 to 16"),
        ({"image_size": (8, 64)}, r"optics\.image_size: expected 16 to 20000, found 8"),
        ({"image_size": (64,)}, r"optics\.image_size: expected 2 numbers"),
        ({"gains": (1.0,)}, r"optics\.gains: expected 10 numbers"),
        ({"gains": (0.0,) * 10}, r"optics\.gains: expected 0\.05 to 20, found 0"),
        ({"azimuth_errors_deg": (1.0,) * 3}, r"azimuth_errors_deg: expected 8 numbers"),
    ],
)
def test_impossible_optics_are_refused(change, message):
    with pytest.raises(BadInput, match=message):
        Optics(**change)


def test_a_scene_of_another_size_is_refused():
    with pytest.raises(BadInput, match=r"scene\.bottom_um: expected \(96, 128\), found \(4, 4\)"):
        render(Scene(FLAT, np.zeros((4, 4), np.float32)), STILL)
    assert len(reference_channels()) == 10


def test_a_steep_pair_s_gradients_cancel_unless_its_near_wall_hides_the_far_one():
    """The conventions' steep particles; what remains is the blur of the far pit."""

    def size(hiding, bottom):
        pictures = render(Scene(PIT, bottom), replace(STILL, hiding=hiding, far_weight=1.0))
        return np.abs(_divergence(pictures)).max()

    alone = size(0.0, FLAT)
    assert size(0.0, PIT) < 0.5 * alone
    assert size(1.0, PIT) > 0.7 * alone


def _one_hip(**optics):
    still = {"texture": 0.0, "read_noise": 0.0, "shot_noise": 0.0, **optics}
    return SimulatedScan(
        seed=4,
        columns=1,
        rows=1,
        population=Population(
            Hips(per_tile=40, v=2.0, spread_deg=0.0, v_spread=0.05), Fragments(per_tile=0)
        ),
        optics=Optics(image_size=(240, 320), unevenness=0, vignetting=0, **still),
    )


def test_a_bright_centre_is_brighter_than_the_ring_around_it():
    dark, bright = (
        _one_hip(centre_share=s, centre=1.5, centre_lamps=1.5, centre_um=7.0) for s in (0.0, 1.0)
    )
    truth = bright.truth()
    # One surface's spot beside the other's pit would be seen as well: all are in the middle.
    top = truth[(truth["surface"] == "top") & truth["x_px"].between(20, 300)]
    top = top[top["y_px"].between(20, 220)]
    assert len(top) > 10
    y, x = np.mgrid[:240, :320]
    for channel in (0, 8, 9):
        with_spot, without = (s.read_tile(1)[channel].astype(float) for s in (bright, dark))
        for pit in top.itertuples():
            r = np.hypot(x - pit.x_px, y - pit.y_px)
            assert with_spot[r < 1.5].mean() > without[r < 1.5].mean() + 5
            if channel == 8:
                ring = (r > 0.55 * pit.radius_px) & (r < 0.8 * pit.radius_px)
                assert with_spot[r < 1.5].mean() > with_spot[ring].mean()


def test_a_share_of_the_pits_has_a_bright_centre():
    some = _one_hip(centre_share=0.5, centre=3.0, centre_um=5.0).scene(1)
    every = _one_hip(centre_share=1.0, centre=3.0, centre_um=5.0).scene(1)
    counts = [
        cv2.connectedComponents((s.near_spots > 0.1).astype(np.uint8))[0] - 1 for s in (some, every)
    ]
    assert 0.2 < counts[0] / counts[1] < 0.8
    assert _one_hip().scene(1).near_spots is None


def test_steep_walls_go_black_under_every_lamp():
    plain, black = (
        render(Scene(PIT, FLAT), replace(STILL, dark_near_deg=d))[:8].astype(float).mean(axis=0)
        for d in (90.0, 40.0)
    )
    assert black.min() < 0.35 * np.median(black) < plain.min()
    assert np.median(black) == np.median(plain)
    shallow = _pits((63.5, 47.5, 1.1, np.pi / 2, 0, 500))  # walls of 24°
    same, as_well = (
        render(Scene(shallow, FLAT), replace(STILL, dark_near_deg=d)) for d in (90.0, 40.0)
    )
    np.testing.assert_array_equal(same, as_well)
    far, dark_far = (
        render(Scene(FLAT, PIT), replace(STILL, dark_far_deg=d))[:8].astype(float).mean(axis=0)
        for d in (90.0, 40.0)
    )
    assert dark_far.min() < far.min() - 10


def test_a_mirror_lobe_lights_the_facets_that_face_the_lamp():
    # A cone of 22.5°: half of the lamps' 45°.
    pit = _pits((63.5, 47.5, 1 / np.cos(np.deg2rad(22.5)), np.pi / 2, 0, 5000))
    plain, mirror = (
        render(Scene(pit, FLAT), replace(STILL, mirror=m, mirror_width=0.2, gloss=0)).astype(float)
        for m in (0.0, 3.0)
    )
    gain = mirror[:8].max(axis=(1, 2)) / plain[:8].max(axis=(1, 2))
    assert (gain > 1.2).all()
    assert np.abs(np.median(mirror[0]) - np.median(plain[0])) <= 1


def test_a_tilted_foil_is_blurred_more_on_one_side():
    optics = replace(STILL, aperture=0.05, blur_um=3.0)
    rng = np.random.default_rng(1)
    bumpy = (3 * rng.standard_normal(optics.fine_size)).astype(np.float32)
    sharp = render(Scene(bumpy, FLAT), optics)[0].astype(float)
    tilted = render(
        Scene(bumpy, FLAT), optics, plane=Plane(offset_um=200.0, slope_x=1.0, slope_y=0.0)
    )[0].astype(float)

    def detail(picture, columns):
        return np.abs(np.diff(picture[:, columns], axis=0)).mean()

    left, right = slice(2, 20), slice(-20, -2)
    assert detail(sharp, left) == pytest.approx(detail(sharp, right), rel=0.15)
    assert detail(tilted, right) < 0.8 * detail(tilted, left)
    even = render(Scene(bumpy, FLAT), optics, plane=Plane(slope_x=1e-9))
    np.testing.assert_array_equal(even[0], sharp)


@pytest.mark.parametrize("lamps", [3, 5, 12])
def test_any_number_of_lamps_at_any_azimuth(lamps):
    azimuths = (10.0 + 47.0 * np.arange(lamps)) % 360
    channels = tuple(
        Channel(step=k + 1, role="directional", azimuth_deg=float(a))
        for k, a in enumerate(azimuths)
    )
    optics = replace(STILL, channels=(*channels, Channel(step=lamps + 1, role="backlit")))
    pictures = render(Scene(PIT, FLAT), optics).astype(float)
    assert pictures.shape == (lamps + 1, *SIZE)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for picture, azimuth in zip(pictures, np.deg2rad(azimuths), strict=False):
        towards = (x - 31.5) * np.cos(azimuth) - (y - 23.5) * np.sin(azimuth)
        excess = picture - np.median(picture)
        assert (excess * towards).sum() < 0  # the far wall is bright
