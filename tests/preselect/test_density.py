import cv2
import numpy as np
import pytest

from etchscope.foil import PitFlag, has_flag
from etchscope.imaging import Recipe, fit_normalisation
from etchscope.preselect import (
    ClassicalDetector,
    FindSettings,
    Lighting,
    calibrate_detector,
    complete,
    detect_tiles,
)
from etchscope.preselect.density import are_too_crowded, density_beyond, local_density, pit_density
from etchscope.simulation import Population, SimulatedScan

# A grid of 4 × 3 tiles of 400 × 300 that overlap by 20, one of them missing.
TILES = np.array(
    [
        (380 * c, 380 * c + 400, 280 * r, 280 * r + 300)
        for c in range(4)
        for r in range(3)
        if (c, r) != (1, 1)
    ],
    float,
)


def _inside(points, tiles=TILES):
    x, y = points[:, :1], points[:, 1:]
    x0, x1, y0, y1 = tiles.T
    return ((x >= x0) & (x < x1) & (y >= y0) & (y < y1)).any(axis=1)


def _even(step, seed=1):
    """Points about ``step`` apart wherever a tile is, with little noise in their number."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(step / 2, 1540, step), np.arange(step / 2, 860, step))
    points = np.column_stack([x.ravel(), y.ravel()])
    points += rng.uniform(-step / 2, step / 2, points.shape)
    return points[_inside(points)]


@pytest.mark.parametrize("shift", [0.0, 1e5, -312.7])
def test_even_density_is_even_to_the_edges_and_around_the_gap(shift):
    points = _even(6.0)
    found = local_density(points + shift, points + shift, TILES + shift, 80.0, own=False)
    at = found * 36
    assert at.mean() == pytest.approx(1, abs=0.01)
    assert 0.93 < at.min() < at.max() < 1.07
    near_gap = np.abs(points - [570, 430]).max(axis=1) < 240
    near_edge = (points < 20).any(axis=1)
    for place in (near_gap, near_edge):
        assert place.sum() > 300
        assert at[place].mean() == pytest.approx(1, abs=0.03)


def test_edges_would_look_empty_without_the_covered_area():
    points = _even(6.0)
    everywhere = np.array([[-1e3, 3e3, -1e3, 3e3]])
    naive = local_density(points, points, everywhere, 80.0, own=False) * 36
    assert naive[(points < 15).all(axis=1)].mean() < 0.4


def test_steps_are_followed():
    left, right = _even(6.0), _even(12.0, seed=2)
    points = np.concatenate([left[left[:, 0] < 760], right[right[:, 0] >= 760]])
    at = local_density(points, np.array([[200.0, 150], [1400, 700]]), TILES, 80.0, own=False)
    np.testing.assert_allclose(at, [1 / 36, 1 / 144], rtol=0.06)


def test_a_pit_does_not_count_itself():
    one, tile = np.array([[700.0, 300.0]]), np.array([[0.0, 1500, 0, 900]])
    assert local_density(one, one, tile, 50.0, own=True) == pytest.approx([0], abs=1e-12)
    itself = local_density(one, one, tile, 50.0, own=False)[0]
    assert itself == pytest.approx(1 / (2 * np.pi * 50**2), rel=0.05)


def test_own_density_is_right_on_average_for_few_pits():
    rng = np.random.default_rng(3)
    means = {True: [], False: []}
    for _ in range(60):
        points = rng.uniform([0, 0], [1540, 860], (40, 2))
        points = points[_inside(points)]
        for own in means:
            means[own].append(local_density(points, points, TILES, 80.0, own=own).mean())
    true = 40 / (1540 * 860)
    assert np.mean(means[True]) == pytest.approx(true, rel=0.1)
    assert np.mean(means[False]) > 1.5 * true


def test_the_other_opening_of_a_particle_is_no_crowd():
    """Pairs far from each other: nobody's density counts the own partner, found as one or not."""
    rng = np.random.default_rng(4)
    tile = np.array([[0.0, 3000, 0, 3000]])
    means = []
    for _ in range(30):
        entries = rng.uniform(0, 3000, (60, 2))
        points = np.concatenate([entries, entries + rng.uniform(-8, 8, (60, 2))])
        means.append(density_beyond(points, points, tile, 80.0, 20.0).mean())
    assert np.mean(means) == pytest.approx(120 / 3000**2, rel=0.07)


def test_scale_is_a_length():
    points = _even(12.0)
    one = local_density(points, points, TILES, 80.0, own=True)
    other = local_density(points * 7, points * 7, TILES * 7, 560.0, own=True)
    np.testing.assert_allclose(other * 49, one, rtol=1e-6)


def test_nothing_to_ask_and_nothing_to_count():
    points, none = np.array([[100.0, 100]]), np.empty((0, 2))
    assert local_density(points, none, TILES, 50.0, own=False).shape == (0,)
    assert local_density(none, points, TILES, 50.0, own=False).tolist() == [0]


def test_points_off_the_tiles_stay_finite():
    points = np.array([[-30.0, 100], [5000, 5000], [570, 430]])
    found = local_density(points, points, TILES, 30.0, own=True)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def _boolean(density, seed=1, side=1200, radius=6.0):
    """Discs at random: (m, 2) centres, (m,) radii, and the share of the square they cover."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(density * side**2)
    place, radii = rng.uniform(0, side, (n, 2)), radius * rng.lognormal(0, 0.25, n)
    picture = np.zeros((side, side), np.uint8)
    for (x, y), r in zip(place, radii, strict=True):
        cv2.circle(picture, (round(x), round(y)), round(r), 1, -1)
    return place, radii, float(picture.mean())


def test_pits_are_counted_where_they_are_few():
    counted, covered = np.array([0.0, 1e-4, 2e-4]), np.array([0.0, 0.01, np.nan])
    got = pit_density(counted, covered, np.full(3, 6.0), 80.0)
    np.testing.assert_array_equal(got.value, counted)
    assert got.by_area.tolist() == [0, 0, 0]
    assert got.low[0] == 0
    # None of 80 424 px² expected: fewer than 3.69 with 97.5 %.
    assert got.high[0] == pytest.approx(3.69 / (4 * np.pi * 80**2), rel=0.01)
    assert (got.low <= got.value).all()
    assert (got.value < got.high).all()


@pytest.mark.parametrize("density", [0.004, 0.008, 0.016])
def test_a_crowds_density_follows_from_the_area_it_covers(density):
    """However few of its pits are found, if those found are as much larger as they are."""
    _, radii, share = _boolean(density)
    assert share > 0.3
    seen = radii / np.sqrt(1 - 0.72 * share)
    got = pit_density(np.full(len(radii), 1e-4), np.full(len(radii), share), seen, 80.0)
    assert got.value[0] == pytest.approx(density, rel=0.06)
    assert got.low[0] < density < got.high[0]
    assert are_too_crowded(np.full(len(radii), 1e-4), got).all()
    assert not are_too_crowded(np.full(len(radii), 0.8 * density), got).any()


def test_a_sparse_place_is_never_too_crowded():
    got = pit_density(np.zeros(1), np.array([0.09]), np.array([6.0]), 80.0)
    assert not are_too_crowded(np.zeros(1), got).any()


def test_density_grows_with_the_covered_area():
    covered = np.linspace(0.3, 1, 50)
    one = np.array(
        [pit_density(np.zeros(1), c[None], np.full(1, 6.0), 80.0).value for c in covered]
    )
    assert (np.diff(one[:, 0]) >= 0).all()


def test_no_pits_no_density():
    none = np.empty(0)
    assert len(pit_density(none, none, none, 80.0).value) == 0


def _found_density(pits):
    """Mean density found on a simulated foil, the true one, and the table."""
    columns = 6 if pits < 100 else 4 if pits > 2000 else 1
    foil = SimulatedScan(
        seed=40 + pits, columns=columns, rows=2, population=Population.of(pits, 5 if pits else 0)
    )
    stacks = {t.number: foil.read_tile(t.number) for t in foil.scan.tiles}
    normalisation = fit_normalisation(list(stacks.values()), Recipe())
    lighting, settings = Lighting.of_scan(foil.scan), FindSettings()
    calibration = calibrate_detector(list(stacks.values())[:8], normalisation, lighting, settings)
    detector = ClassicalDetector(normalisation, calibration, lighting, settings)
    found = detect_tiles(stacks.items(), detector).table
    table, _ = complete(found, foil.scan, settings)
    true = (foil.truth()["radius_px"] >= 3).sum() / len(stacks) / (480 * 640 * 0.0064516**2)
    return table["density_per_mm2"].mean(), true, table


@pytest.mark.slow
def test_density_does_not_saturate():
    """From 10 to 5,000 pits a tile, where 5,000 gave one per cent of the truth."""
    got = [_found_density(pits) for pits in (10, 100, 300, 1000, 2000, 3000, 5000)]
    found, true = (np.array([t[k] for t in got]) for k in (0, 1))
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(found, true, rtol=0.15)
    tables = [t[2] for t in got]
    assert [t["regime"].mode()[0] for t in (tables[0], tables[2], tables[4], tables[6])] == [
        "low",
        "medium",
        "high",
        "high",
    ]
    crowded = [has_flag(t, PitFlag.TOO_CROWDED) for t in tables]
    assert max(c.mean() for c in crowded[:5]) == 0
    assert crowded[6].mean() > 0.9
    assert (tables[6]["regime"][crowded[6]] == "high").all()
    assert not tables[6]["valid"][crowded[6]].any()
    assert tables[0]["valid"].isna().all()
