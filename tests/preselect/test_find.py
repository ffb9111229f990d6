import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import linear_sum_assignment

from etchscope.foil import (
    COLUMNS,
    BadInput,
    PitFlag,
    has_flag,
)
from etchscope.imaging import D4
from etchscope.preselect import FindSettings, find_pits
from etchscope.simulation import Optics, Population, SimulatedScan

SIZE = (240, 320)
LAMPS = np.arange(8)


def _foil(seed, background=55.0, pairs=8.0):
    return SimulatedScan(
        seed=seed,
        columns=1,
        rows=1,
        population=Population.of(4 * background, 4 * pairs),
        optics=Optics(image_size=SIZE),
    )


@pytest.fixture(scope="module")
def foil():
    return _foil(1)


@pytest.fixture(scope="module")
def pits(foil):
    return find_pits(foil.read_tile(1), azimuths_deg=foil.scan.azimuths_deg)


def _matched(one, other, least_px=1e9):
    """Rows of two tables of places, (n, 2) and (m, 2), matched one to one; and how far apart."""
    apart = np.hypot(*(one[:, None] - other[None]).transpose(2, 0, 1))
    i, j = linear_sum_assignment(np.minimum(apart, least_px))
    return i, j, apart[i, j]


def _places(table):
    return table[["x_px", "y_px"]].to_numpy(float)


def test_table_has_the_columns_and_the_truth_is_in_it(foil, pits):
    assert [(c, str(t)) for c, t in pits.dtypes.items()] == [(c.name, c.dtype) for c in COLUMNS]
    truth = foil.truth()
    inner = truth["x_px"].between(8, SIZE[1] - 9) & truth["y_px"].between(8, SIZE[0] - 9)
    # Smaller ones than the search looks for are in the truth, too.
    sought = truth["radius_px"] >= FindSettings().smallest_radius_px
    truth = truth[inner & sought & (truth["class"] != "hip")]
    i, j, apart = _matched(_places(truth), _places(pits), 6)
    assert len(truth) > 12
    near = apart < 4
    assert near.sum() >= 0.8 * len(truth)
    same = truth["surface"].to_numpy()[i[near]] == pits["surface"].to_numpy()[j[near]]
    assert same.mean() > 0.8
    assert len(pits) < 1.5 * len(foil.truth())
    radius = pits["radius_px"].to_numpy()[j[near]] / truth["radius_px"].to_numpy()[i[near]]
    assert np.median(radius) == pytest.approx(1, abs=0.2)


def test_same_pictures_same_pits(foil, pits):
    again = find_pits(foil.read_tile(1), azimuths_deg=foil.scan.azimuths_deg)
    assert again.equals(pits)


@pytest.mark.parametrize("symmetry", D4)
def test_pits_move_with_the_scene(foil, pits, symmetry):
    """Turn the pictures and roll their channels: the same pits, turned, all of them."""
    azimuths = foil.scan.azimuths_deg
    moved = symmetry.pictures(foil.read_tile(1), azimuths, LAMPS)
    found = find_pits(moved, azimuths_deg=azimuths)
    assert len(found) == len(pits) > 30
    x, y = symmetry.points(pits["x_px"].to_numpy(), pits["y_px"].to_numpy(), SIZE)
    i, j, apart = _matched(np.column_stack([x, y]), _places(found))
    one, other = pits.iloc[i].reset_index(drop=True), found.iloc[j].reset_index(drop=True)
    assert len(one) == len(pits)
    assert apart.max() < 0.1
    # Entry and exit of a steep pair lie at one place: nearest neighbours may be either.
    steep = has_flag(one, PitFlag.STEEP_PAIR).to_numpy()
    assert (one["surface"] == other["surface"])[~steep].all()
    np.testing.assert_allclose(other["radius_px"], one["radius_px"], atol=0.1)
    turned = symmetry.angles(one["angle_deg"].to_numpy())
    off = (other["angle_deg"].to_numpy() - turned + 90) % 180 - 90
    long = (one["ellipticity"] > 0.15).to_numpy()
    assert long.sum() >= 5
    assert np.abs(off[long]).max() < 1


def test_forgetting_to_roll_the_channels_finds_other_pits(foil, pits):
    turned = np.rot90(foil.read_tile(1), 2, (1, 2))  # the lamps, too, should have been turned
    found = find_pits(np.ascontiguousarray(turned), azimuths_deg=foil.scan.azimuths_deg)
    x, y = D4[2].points(pits["x_px"].to_numpy(), pits["y_px"].to_numpy(), SIZE)
    i, j, apart = _matched(np.column_stack([x, y]), _places(found), 6)
    swapped = {"top": "bottom", "bottom": "top", "unknown": "unknown"}
    near = apart < 2
    assert near.sum() > 0.7 * len(pits)
    surfaces = [swapped[s] for s in pits["surface"].to_numpy()[i[near]]]
    assert np.mean(surfaces == found["surface"].to_numpy()[j[near]]) > 0.9


def test_gradient_sign_exchanges_top_and_bottom(foil, pits):
    other = find_pits(foil.read_tile(1), azimuths_deg=foil.scan.azimuths_deg, gradient_sign=-1)
    assert len(other) == pytest.approx(len(pits), abs=2)
    i, j, apart = _matched(_places(pits), _places(other))
    swapped = {"top": "bottom", "bottom": "top", "unknown": "unknown"}
    expected = np.array([swapped[s] for s in pits["surface"].to_numpy()[i]])
    same = (apart < 0.5) & (other["surface"].to_numpy()[j] == expected)
    assert same.mean() > 0.93


def test_order_of_the_pictures_does_not_count(foil, pits):
    order = np.array([9, 3, 0, 7, 8, 5, 1, 2, 6, 4])
    roles = [foil.scan.channels[k].role for k in order]
    azimuths = [foil.scan.channels[k].azimuth_deg for k in order if k < 8]
    found = find_pits(foil.read_tile(1)[order], azimuths_deg=azimuths, roles=roles)
    assert len(found) == pytest.approx(len(pits), abs=1)
    i, j, apart = _matched(_places(pits), _places(found))
    same = (apart < 0.1) & (pits["surface"].to_numpy()[i] == found["surface"].to_numpy()[j])
    assert same.mean() > 0.95


def test_scale_adds_millimetres_and_densities(foil, pits):
    assert pits[["x_mm", "y_mm", "density_per_mm2"]].isna().all(axis=None)
    assert set(pits["regime"]) == {"unknown"}
    raw, azimuths = foil.read_tile(1), foil.scan.azimuths_deg
    found = find_pits(raw, azimuths_deg=azimuths, pixel_size_um=6.4516)
    np.testing.assert_allclose(found["x_mm"], (found["x_px"] - 160) * 0.0064516)
    np.testing.assert_allclose(found["y_mm"], (120 - found["y_px"]) * 0.0064516)
    area = SIZE[0] * SIZE[1] * 0.0064516**2
    assert found["density_per_mm2"].median() == pytest.approx(len(found) / area, rel=0.4)
    assert set(found["regime"]) <= {"low", "medium", "high"}


def test_backlit_alone_finds_the_pits_of_unknown_surface(foil):
    backlit = foil.read_tile(1)[8]
    found = find_pits(backlit)
    assert set(found["surface"]) == {"unknown"}
    assert found[["entry", "exit"]].isna().all(axis=None)
    assert found["partner"].isna().all()
    truth = foil.truth()
    inner = truth["x_px"].between(8, SIZE[1] - 9) & truth["y_px"].between(8, SIZE[0] - 9)
    top = truth[inner & (truth["class"] == "top")]
    _, _, apart = _matched(_places(top), _places(found), 6)
    assert (apart < 4).sum() >= 0.7 * len(top)
    assert found.equals(find_pits(backlit[None]))


def test_directional_pictures_alone(foil, pits):
    found = find_pits(foil.read_tile(1)[:8], azimuths_deg=foil.scan.azimuths_deg)
    _, _, apart = _matched(_places(pits), _places(found), 6)
    assert (apart < 2).mean() > 0.75


@pytest.mark.parametrize("scale", [1 / 255, 257.0])
def test_unit_of_the_grey_levels_does_not_count(foil, pits, scale):
    raw = foil.read_tile(1).astype(float) * scale
    found = find_pits(raw, azimuths_deg=foil.scan.azimuths_deg)
    assert len(found) == pytest.approx(len(pits), abs=1)
    i, j, apart = _matched(_places(pits), _places(found))
    same = apart < 0.1
    assert same.mean() > 0.95
    contrast = [t["contrast"].to_numpy()[k][same] for t, k in ((pits, i), (found, j))]
    np.testing.assert_allclose(*contrast, atol=0.02)


@pytest.mark.parametrize(
    ("settings", "kind"), [({"threshold": 12.0}, "dict"), ("strict", "str"), (FindSettings, "\\w+")]
)
def test_settings_of_another_kind_are_refused(foil, settings, kind):
    raw = foil.read_tile(1)[:1]
    with pytest.raises(BadInput, match=f"settings: expected FindSettings, found {kind}"):
        find_pits(raw, settings=settings)


@pytest.mark.parametrize(("bits", "shift"), [(12, 0), (12, 4), (10, 0)])
def test_saturation_is_that_of_the_camera_and_not_of_the_type(foil, bits, shift):
    bright = foil.read_tile(1) * 1.6
    azimuths = foil.scan.azimuths_deg
    eight = find_pits(np.minimum(bright, 255).astype(np.uint8), azimuths_deg=azimuths)
    most = 2**bits - 1
    deep = np.minimum(bright * most / 255, most).astype(np.uint16) << shift
    found = find_pits(deep, azimuths_deg=azimuths)
    _, _, apart = _matched(_places(eight), _places(found))
    assert np.count_nonzero(apart < 1) > 0.8 * len(eight)
    saturated = [has_flag(p, PitFlag.SATURATED) for p in (eight, found)]
    assert saturated[0].sum() > 5
    assert abs(saturated[1].sum() - saturated[0].sum()) <= 0.2 * saturated[0].sum()


def test_settings_are_used(foil, pits):
    raw, azimuths = foil.read_tile(1), foil.scan.azimuths_deg
    strict = find_pits(raw, azimuths_deg=azimuths, settings=FindSettings(threshold=12.0))
    assert len(strict) < 0.95 * len(pits)
    large = FindSettings(smallest_radius_px=8.0, largest_radius_px=20.0)
    found = find_pits(raw, azimuths_deg=azimuths, settings=large)
    assert found["radius_px"].min() > pits["radius_px"].min()
    with pytest.raises(ValidationError, match="largest_radius_px must exceed"):
        FindSettings(smallest_radius_px=8, largest_radius_px=8)


def test_input_is_unchanged(foil):
    raw = foil.read_tile(1)
    before = raw.copy()
    find_pits(raw, azimuths_deg=foil.scan.azimuths_deg)
    np.testing.assert_array_equal(raw, before)


def test_any_byte_order_gives_the_same_pits(foil, pits):
    raw, azimuths = foil.read_tile(1), foil.scan.azimuths_deg
    for dtype in (">u2", ">i4", ">f4"):
        assert len(find_pits(raw.astype(dtype), azimuths_deg=azimuths)) == len(pits)
    assert find_pits(raw.astype(">u2"), azimuths_deg=azimuths).equals(
        find_pits(raw.astype("<u2"), azimuths_deg=azimuths)
    )


def test_masked_pixels_are_not_searched(foil, pits):
    raw, azimuths = foil.read_tile(1), foil.scan.azimuths_deg
    hidden = np.zeros(raw.shape, bool)
    hidden[3, :, 200:] = True  # in one picture
    found = find_pits(np.ma.array(np.where(hidden, 255, raw), mask=hidden), azimuths_deg=azimuths)
    assert found["x_px"].max() < 200
    near = _places(pits[pits["x_px"] < 180])
    _, _, apart = _matched(near, _places(found))
    assert np.count_nonzero(apart < 1) >= 0.9 * len(near) > 10


FLAT = np.full((10, 20, 24), 100, np.uint8)
EIGHT = (67.5 + 45 * np.arange(8)).tolist()


@pytest.mark.parametrize(
    ("stack", "options", "message"),
    [
        (FLAT[0, 0], {}, r"stack: expected \(channel, y, x\)"),
        (FLAT[:, :15], {"azimuths_deg": EIGHT}, "at least 16 px"),
        (FLAT[:0], {}, "at least 16 px"),
        (FLAT[None], {}, r"found \(1, 10, 20, 24\)"),
        (FLAT[0].astype(complex), {}, "grey levels"),
        (np.where(FLAT[0] > 3, np.nan, 1.0), {}, "grey levels"),
        (-FLAT[0].astype(float), {}, "grey levels"),
        (FLAT, {}, "found 10 pictures"),
        (FLAT, {"azimuths_deg": EIGHT[:7]}, "found 10 pictures"),
        (FLAT[:7], {"azimuths_deg": EIGHT}, "8 directional pictures"),
        (FLAT[:2], {"azimuths_deg": [0, 90]}, "at least 3 different azimuths, found 2"),
        (FLAT, {"azimuths_deg": [*EIGHT[:7], np.nan]}, "a list of angles"),
        (FLAT, {"azimuths_deg": [EIGHT]}, "a list of angles"),
        (FLAT[:1], {"roles": ["backlit", "halo"]}, "roles: expected"),
        (FLAT[:1], {"roles": ["dark"]}, "roles: expected"),
        (FLAT[:1], {"roles": ["directional"]}, "0 directional"),
        (FLAT[0], {"gradient_sign": 0}, "gradient_sign: expected 1 or -1, found 0"),
        (FLAT[0], {"pixel_size_um": 0}, "pixel_size_um: expected more than 0"),
        (FLAT[0], {"pixel_size_um": np.nan}, "pixel_size_um: expected more than 0"),
    ],
)
def test_what_it_cannot_mean_is_refused(stack, options, message):
    with pytest.raises(BadInput, match=message):
        find_pits(stack, **options)


def test_a_foil_that_is_known_gives_its_particles_direction_and_etch_ratio():
    foil = _foil(5, background=10.0, pairs=20.0)
    facts = {"pixel_size_um": 6.4516, "thickness_um": 500.0}
    pits = find_pits(
        foil.read_tile(1),
        azimuths_deg=foil.scan.azimuths_deg,
        removed_um=58.0,
        material="Makrofol",
        **facts,
    )
    known = pits[pits["v"].notna()]
    assert len(known) >= 10
    assert known["dip_deg"].between(60, 90).all()
    assert (known["v"] > 1).all()
    assert known["z_over_beta"].between(45, 150).all()
    alone = find_pits(foil.read_tile(1), azimuths_deg=foil.scan.azimuths_deg)
    assert alone["v"].isna().all()
    paired = alone[alone["partner"].notna()]
    assert (paired["flags"] & int(PitFlag.NO_THICKNESS | PitFlag.UNLIKELY_PAIR)).all()


@pytest.mark.parametrize("name", ["thickness_um", "removed_um"])
def test_a_foil_of_no_thickness_is_refused(name):
    with pytest.raises(BadInput, match=f"{name}: expected more than 0"):
        find_pits(np.ones((9, 64, 64)), azimuths_deg=67.5 + 45 * np.arange(8), **{name: 0.0})
