"""Painted margins, holes and field stops are found; pits, crowds and real pictures are left."""

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from etchscope.files.foreign_pictures import read_picture
from etchscope.foil import BadInput
from etchscope.imaging import find_foil_ground, usable_area_px
from etchscope.ingest.montage import find_cells
from etchscope.simulation import (
    Fragments,
    Hips,
    Optics,
    Population,
    Sheet,
    SimulatedScan,
    randomise_scan,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
ROLES = ["directional"] * 8 + ["backlit", "halo"]
SUBSETS = {"all": range(10), "lamps": range(8), "one lamp": [2], "backlit": [8], "halo": [9]}
y, x = np.mgrid[:480, :640]
rng = np.random.default_rng(0)


@lru_cache
def _tile(pits: float, bits: int = 8, seed: int = 7) -> np.ndarray:
    population = Population.of(pits, 5)
    optics = Optics(bit_depth=bits)
    return SimulatedScan(
        seed=seed, columns=1, rows=1, population=population, optics=optics
    ).read_tile(1)


def _ground(tile, subset="all", **given):
    chosen = list(SUBSETS[subset])
    return find_foil_ground(tile[chosen], [ROLES[k] for k in chosen], **given)


def _darkened(tile, where, level=2.0, bits=8):
    """The tile without light in some places: a dark level and the camera's noise."""
    out, scale = tile.copy(), 2 ** (bits - 8)
    for picture in out:
        noise = rng.normal(level, 1, where.sum()) * scale
        picture[where] = noise.round().clip(0).astype(tile.dtype)
    return out


AREAS = {
    "margin": x < 250,
    "narrow margin": y >= 468,
    "slanted rim": 0.3 * x + y > 450,
    "corner": x + y < 150,
    "field stop": np.hypot(x - 320, y - 240) > 230,
    "hole": np.hypot(x - 300, y - 200) < 42,
}


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("subset", ["all", "lamps", "one lamp", "backlit"])
@pytest.mark.parametrize("pits", [0, 1000])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_what_has_no_light_is_no_foil(bits, pits, subset, area):
    tile, dark = _tile(pits, bits)[list(SUBSETS[subset])], AREAS[area]
    roles = [ROLES[k] for k in SUBSETS[subset]]
    ground = find_foil_ground(_darkened(tile, dark, bits=bits), roles)
    assert (~ground & dark).sum() > 0.95 * dark.sum()
    far = ~cv2.dilate(dark.astype(np.uint8), np.ones((33, 33))).astype(bool)
    assert (~ground & far).sum() < 0.01 * far.size


@pytest.mark.parametrize("pits", [0, 100, 1000, 3000])
@pytest.mark.parametrize("subset", SUBSETS)
@pytest.mark.parametrize("bits", [8, 16])
def test_pits_and_crowds_are_left_alone(bits, subset, pits):
    assert _ground(_tile(pits, bits), subset).all()


@pytest.mark.parametrize("per_tile", [5, 50])
@pytest.mark.parametrize("removed_um", [100, 190])
def test_large_pits_that_touch_are_left_alone(removed_um, per_tile):
    population = Population(Hips(per_tile=per_tile, v=6, zenith_deg=2), Fragments(per_tile))
    sheet = Sheet(removed_um=removed_um, thickness_um=1000)
    foil = SimulatedScan(seed=7, columns=1, rows=1, population=population, sheet=sheet)
    assert foil.truth()["radius_px"].max() > removed_um / 8
    tile = foil.read_tile(1)
    for subset in SUBSETS:
        assert _ground(tile, subset).all()


@pytest.mark.parametrize("radius_px", [12, 20, 30])
@pytest.mark.parametrize("at", [(320, 240), (0, 240), (0, 0)])
def test_one_dark_disc_is_a_pit_up_to_the_largest_radius(at, radius_px):
    disc = np.hypot(x - at[0], y - at[1]) < radius_px
    tile = _darkened(_tile(0), disc)
    assert _ground(tile, "backlit").all()
    wide = np.hypot(x - at[0], y - at[1]) < 3 * radius_px
    small = _ground(_darkened(_tile(0), wide), "backlit", largest_radius_px=radius_px)
    assert (~small & wide).sum() > 0.9 * wide.sum()


@pytest.mark.parametrize("seed", range(6))
def test_random_foils_are_left_alone(seed):
    foil = randomise_scan(SimulatedScan(seed=seed, columns=1, rows=1))
    tile = foil.read_tile(1)
    # One lamp alone is no search; its far corners may be as dark as no foil.
    for subset in set(SUBSETS) - {"one lamp"}:
        assert _ground(tile, subset).mean() > 0.995


@pytest.mark.parametrize("step", [4, 16])
@pytest.mark.parametrize("pits", [0, 1000])
def test_coarse_grey_steps_and_jpeg_change_nothing(pits, step):
    tile = _tile(pits)
    assert _ground(tile // step * step).all()
    coded = cv2.imencode(".jpg", tile[8], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    assert find_foil_ground(cv2.imdecode(coded, 0)[None], ["backlit"]).all()


@pytest.mark.parametrize("backlit_level", [0.75, 1.05])
def test_vignetting_a_weak_lamp_and_clipped_ground_are_left_alone(backlit_level):
    optics = Optics(
        vignetting=0.3, unevenness=0.35, gains=(0.3, *[1.0] * 9), backlit_level=backlit_level
    )
    population = Population.of(100, 5)
    foil = SimulatedScan(seed=2, columns=1, rows=1, optics=optics, population=population)
    tile = foil.read_tile(1)
    for subset in SUBSETS:
        assert _ground(tile, subset).all()


def _dark_field(pits):
    picture = rng.normal(2, 1, (480, 640))
    for u, v in rng.uniform([0, 0], [640, 480], (pits, 2)):
        # The square that holds the disc, for the whole picture takes 5 ms.
        near = np.s_[max(int(v) - 8, 0) : int(v) + 10, max(int(u) - 8, 0) : int(u) + 10]
        picture[near] += 100 * (np.hypot(x[near] - u, y[near] - v) < 8)
    return picture.round().clip(0, 255).astype(np.uint8)[None]


def test_a_dark_field_is_left_alone_and_a_tile_without_light_is_not():
    for pits in (0, 20, 800):
        assert find_foil_ground(_dark_field(pits), ["halo"]).all()
    assert find_foil_ground(_dark_field(800), ["backlit"]).all()
    dark = _darkened(_tile(0), np.ones((480, 640), bool))
    assert not _ground(dark).any()
    # On a scan whose foil is as dark, nothing is known to be wrong with this tile.
    assert _ground(dark, levels=np.full(10, 3.0)).all()
    assert not _ground(dark, levels=np.full(10, 110.0)).any()


def test_levels_of_the_scan_tell_of_a_tile_with_little_foil():
    tile = _darkened(_tile(0), x > 12)
    usual = np.median(_tile(0), axis=(1, 2))
    assert _ground(tile, levels=usual).mean() < 0.01


def test_a_clipped_hole_and_a_holder_are_no_foil():
    hole = AREAS["hole"]
    tile = _tile(100).copy()
    tile[8, hole] = 255
    ground = _ground(tile, "backlit")
    assert (~ground & hole).sum() > 0.95 * hole.sum()
    assert (~ground).mean() < 0.04
    holder = x > 500
    tile = _tile(100).copy()
    tile[8, holder] = 2  # lit by the lamps
    ground = _ground(tile)
    assert (~ground & holder).sum() > 0.95 * holder.sum()
    assert ground[:, :480].all()


def test_a_drilled_hole_of_the_simulator_is_no_foil():
    foil = SimulatedScan(seed=1, columns=1, rows=1, population=_drilled())
    assert foil.scan.datum
    _, x_px, y_px = foil.scan.datum[0]
    ground = _ground(foil.read_tile(1))
    hole = np.hypot(x - x_px, y - y_px) < 36
    assert (~ground & hole).sum() > 0.95 * hole.sum()
    assert (~ground).mean() < 0.04


def _drilled():
    from dataclasses import replace

    population = Population.of(100, 5)
    return replace(population, marks=replace(population.marks, holes_mm=((0.5, -0.3),)))


def test_margin_is_what_was_asked_for():
    dark = x < 240
    tile = _darkened(_tile(0), dark)
    for margin_px in (0, 20, 40):
        ground = _ground(tile, margin_px=margin_px)
        assert ground[240].argmax() == pytest.approx(240 + margin_px, abs=5)


def test_small_pictures_and_floats():
    assert find_foil_ground(np.zeros((1, 63, 640), np.uint8), ["backlit"]).all()
    tile = _darkened(_tile(0), AREAS["margin"])
    as_float = _ground(tile.astype(np.float64) / 3.7)
    assert (as_float == _ground(tile)).mean() > 0.995
    odd = _ground(tile[:, :477, :635])
    assert odd.shape == (477, 635)
    assert usable_area_px(odd) == pytest.approx(477 * 373, rel=0.02)


def test_the_pictures_are_not_changed_and_roles_must_fit():
    tile = _darkened(_tile(100), AREAS["margin"])
    before = tile.copy()
    _ground(tile)
    np.testing.assert_array_equal(tile, before)
    with pytest.raises(BadInput, match=r"roles: expected one per picture, found 2 for"):
        find_foil_ground(tile, ["backlit", "halo"])


@pytest.mark.real_data
@pytest.mark.skipif(not (DATA / "apatite").exists(), reason="no shared data")
def test_real_transmitted_light_is_left_alone():
    lost = []
    for path in sorted((DATA / "apatite").glob("*.jpg")):
        picture = read_picture(path)[0]
        lost.append(1 - find_foil_ground(picture[None], ["backlit"]).mean())
    # Two of them do show wide cracks that no light comes through.
    assert np.mean(lost) < 0.002
    assert np.sum(np.array(lost) > 0.005) <= 2
    assert max(lost) < 0.03


@pytest.mark.real_data
@pytest.mark.skipif(not (DATA / "tasl").exists(), reason="no shared data")
def test_real_cells_are_left_alone():
    page = read_picture(DATA / "tasl" / "00000.bmp")[0]
    for cell in find_cells("tasl", page, 9, 12):
        assert find_foil_ground(page[cell][None], ["backlit"]).mean() > 0.995


CASE = DATA / "faults" / "pictures" / "08_foil_edge" / "make_case.py"


@pytest.mark.real_data
@pytest.mark.skipif(not CASE.exists(), reason="no shared data")
def test_the_rim_of_the_faults_is_no_foil(tmp_path):
    from etchscope.ingest.write import write_smartscope

    foil = SimulatedScan(seed=3, columns=2, rows=2, population=Population.of(300, 5), foil="demo")
    write_smartscope(tmp_path / "demo", foil.scan, foil.read_tile)
    command = [sys.executable, str(CASE), str(tmp_path / "demo")]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    for number in range(1, 5):
        folder = tmp_path / "edge_one" / f"demo_{number:04d}_front"
        files = [folder / f"Step_{step}_1.tga" for step in range(1, 11)]
        tile = np.stack([np.asarray(Image.open(file)) for file in files])
        for subset in ("all", "lamps", "backlit"):
            ground = _ground(tile, subset)
            if number > 1:
                assert ground.all()
                continue
            assert (~ground[:, :250]).mean() > 0.95
            assert ground[:, 290:].mean() > 0.99
