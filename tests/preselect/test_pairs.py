import numpy as np
import pytest
from scipy.stats import poisson

from etchscope.imaging import Recipe, fit_normalisation
from etchscope.preselect import (
    ClassicalDetector,
    FindSettings,
    Lighting,
    calibrate,
    complete,
    detect_tiles,
)
from etchscope.preselect.pairs import pair_by_geometry
from etchscope.simulate import Population, SimulatedScan

REACH = 20.0
NONE = np.empty((0, 2), np.int64)


def _pair(entries, exits, *, density=1e-4, known=NONE, radius=None):
    """Pairs of (x, y) lists, as (entry, exit) numbers within each list."""
    place = np.array([*entries, *exits], float).reshape(-1, 2)
    n = len(entries)
    radius = np.full(len(place), 7.0) if radius is None else np.asarray(radius, float)
    known = np.asarray(known, np.int64).reshape(-1, 2) + np.array([0, n])
    pairs = pair_by_geometry(
        place,
        radius,
        np.arange(n),
        np.arange(n, len(place)),
        np.full(len(place), density),
        REACH,
        known,
    )
    order = np.argsort(pairs.entry)
    return list(
        zip(pairs.entry[order].tolist(), (pairs.exit[order] - n).tolist(), strict=True)
    ), pairs.chance[order]


def test_nearest_and_within_reach():
    pairs, chance = _pair([(0, 0), (100, 0)], [(9, 0), (3, 0), (121, 0)])
    assert pairs == [(0, 1)]
    assert 0 < chance[0] < 0.01


def test_reach_has_two_sides():
    assert _pair([(0, 0)], [(19.9, 0)])[0] == [(0, 0)]
    assert _pair([(0, 0)], [(20.1, 0)])[0] == []


def test_the_better_pair_goes_first_and_each_pit_once():
    pairs, _ = _pair([(0, 0), (6, 0)], [(5, 0), (15, 0)])
    assert pairs == [(0, 1), (1, 0)]
    pairs, _ = _pair([(0, 0), (1, 0), (2, 0)], [(1, 0)])
    assert pairs == [(1, 0)]


def test_equal_radii_make_the_better_pair():
    pairs, _ = _pair([(0, 0)], [(3, 0), (6, 0)], radius=[7, 4, 7])
    assert pairs == [(0, 1)]


def test_known_pairs_are_kept_whatever_their_neighbours():
    entries, exits = [(0, 0), (10, 0)], [(1, 0), (9, 0), (200, 0)]
    assert _pair(entries, exits)[0] == [(0, 0), (1, 1)]
    assert _pair(entries, exits, known=[(0, 1)])[0] == [(0, 1), (1, 0)]
    far, chance = _pair(entries, exits, known=[(0, 2)])  # even beyond the reach
    assert far == [(0, 2), (1, 1)]
    assert np.isnan(chance).tolist() == [True, False]  # split from one find: no chance


def test_chance_grows_with_density_and_distance():
    def chance(distance, density=1e-3):
        return _pair([(0, 0)], [(distance, 0)], density=density)[1][0]

    assert chance(2) < chance(6) < chance(15)
    assert chance(6, 1e-5) < chance(6, 1e-3) < chance(6, 1e-2)
    # One radius, so that only the place counts: 1 − exp(−ρ π (d² + 1)).
    assert chance(6) == pytest.approx(-np.expm1(-1e-3 * np.pi * 37))
    assert chance(6, 0.0) == 0


@pytest.mark.parametrize("density", [3e-4, 1e-3, 4e-3])
def test_chance_is_what_unrelated_pits_do(density):
    """The best partner's chance is below p for a fraction p of entry pits without a partner."""
    rng = np.random.default_rng(1)
    side, chances, entries = 1300, [], 0
    x, y = np.meshgrid(np.arange(30, side, 60.0), np.arange(30, side, 60.0))
    grid = np.column_stack([x.ravel(), y.ravel()])  # too far apart to compete
    for _ in range(8):
        n = rng.poisson(density * side**2)
        place = np.concatenate([grid, rng.uniform(0, side, (n, 2))])
        pairs = pair_by_geometry(
            place,
            6 * rng.lognormal(0, 0.28, len(place)),
            np.arange(len(grid)),
            np.arange(len(grid), len(place)),
            np.full(len(place), density),
            REACH,
            NONE,
        )
        chances.append(pairs.chance)
        entries += len(grid)
    chance = np.concatenate(chances)
    assert entries > 3000
    for p in (0.03, 0.1, 0.3, 0.6, 0.9):
        if p < -np.expm1(-0.8 * density * np.pi * REACH**2):
            expected = entries * p
            assert abs((chance < p).sum() - expected) < 4 * np.sqrt(expected) + 0.05 * expected
    # And never more than that any pit lies within reach at all.
    assert chance.max() <= -np.expm1(-density * np.pi * REACH**2) + 1e-12


def test_true_pairs_have_small_chances():
    rng = np.random.default_rng(2)
    x, y = np.meshgrid(np.arange(30, 1300, 60.0), np.arange(30, 1300, 60.0))
    entries = np.column_stack([x.ravel(), y.ravel()])
    exits = entries + rng.normal(0, 3, entries.shape)
    noise = rng.uniform(0, 1300, (300, 2))
    place = np.concatenate([entries, exits, noise])
    n = len(entries)
    density = (n + 300) / 1300**2
    pairs = pair_by_geometry(
        place,
        7 * rng.lognormal(0, 0.05, len(place)),
        np.arange(n),
        np.arange(n, len(place)),
        np.full(len(place), density),
        REACH,
        NONE,
    )
    right = pairs.exit == pairs.entry + n
    assert right.mean() > 0.95
    assert np.median(pairs.chance[right]) < 0.03


@pytest.mark.parametrize(("entries", "exits"), [(0, 0), (3, 0), (0, 3)])
def test_no_entries_or_no_exits(entries, exits):
    pairs, chance = _pair([(0, k) for k in range(entries)], [(1, k) for k in range(exits)])
    assert pairs == []
    assert chance.shape == (0,)


def test_nothing_is_near():
    assert _pair([(0, 0)], [(100, 0)])[0] == []


@pytest.mark.slow
@pytest.mark.parametrize(("pits", "seed"), [(100, 31), (300, 32)])
def test_a_foil_without_signal_has_the_pairs_of_chance(pits, seed):
    """27 pairs had p ≤ 0.01 where 5.2 were to be expected at most."""
    foil = SimulatedScan(seed=seed, columns=4, rows=3, population=Population.of(pits, 0))
    stacks = {t.number: foil.read_tile(t.number) for t in foil.scan.tiles}
    normalisation = fit_normalisation(list(stacks.values()), Recipe())
    lighting, settings = Lighting.of_scan(foil.scan), FindSettings()
    calibration = calibrate(list(stacks.values())[:8], normalisation, lighting, settings)
    detector = ClassicalDetector(normalisation, calibration, lighting, settings)
    found = detect_tiles(stacks.items(), detector).table
    table, _ = complete(found, foil.scan, settings)
    entries = table[table["surface"] == "top"]
    split = (entries["partner"].notna() & entries["pair_p"].isna()).sum()
    low, high = poisson.interval(0.95, 0.01 * (len(entries) - split))
    assert split > 5
    assert low <= (entries["pair_p"] <= 0.01).sum() <= high
