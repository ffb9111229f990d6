"""Which entry and exit pits are partners, and how likely chance makes as good a pair."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest, poisson
from tests.preselect.particles import THICKNESS, joined, particles, unrelated

from etchscope.foil import Foil
from etchscope.imaging import Recipe, fit_normalisation
from etchscope.preselect import (
    ClassicalDetector,
    FindSettings,
    Lighting,
    calibrate_detector,
    complete,
    detect_tiles,
)
from etchscope.preselect.pairs import pair_openings
from etchscope.simulation import Population, SimulatedScan

NONE = np.empty((0, 2), np.int64)
SIDE = 1200.0


def paired(shapes, entries, exits, *, known=NONE, thickness=THICKNESS, reach=20.0):
    density = np.full(len(shapes.x), len(exits) / SIDE**2)
    return pair_openings(
        shapes,
        np.asarray(entries),
        np.asarray(exits),
        density,
        np.asarray(known, np.int64),
        thickness_px=thickness,
        reach_px=reach,
        max_zenith_deg=60.0,
    )


def scene(seed, signal, background, zenith_deg, *, v=3.0):
    """Return shapes, entry and exit rows; the first of both are particles."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(150, SIDE - 150, (2, signal))
    zenith = np.full(signal, np.deg2rad(zenith_deg))
    hips = particles(rng, x, y, zenith, rng.uniform(0, 2 * np.pi, signal), v=v)
    shapes = joined(hips, unrelated(rng, background, SIDE), unrelated(rng, background, SIDE))
    entries = np.r_[np.arange(signal), 2 * signal + np.arange(background)]
    exits = np.r_[signal + np.arange(signal), 2 * signal + background + np.arange(background)]
    return shapes, entries, exits


@pytest.mark.parametrize("zenith_deg", [5.0, 25.0, 45.0])
def test_particles_are_paired_far_beyond_20_px(zenith_deg):
    shapes, entries, exits = scene(1, 40, 150, zenith_deg)
    pairs = paired(shapes, entries, exits)
    right = (pairs.exit == pairs.entry + 40) & (pairs.entry < 40)
    assert right.sum() >= 34
    apart = np.hypot(
        shapes.x[pairs.entry] - shapes.x[pairs.exit], shapes.y[pairs.entry] - shapes.y[pairs.exit]
    )
    assert zenith_deg < 20 or np.median(apart[right]) > 25
    assert np.median(pairs.chance[right]) < 0.02


def test_each_pit_is_in_one_pair_and_the_better_pair_goes_first():
    shapes, entries, exits = scene(2, 60, 400, 4.0)
    pairs = paired(shapes, entries, exits)
    assert len(np.unique(pairs.entry)) == len(pairs.entry)
    assert len(np.unique(pairs.exit)) == len(pairs.exit)
    ratio = pairs.log_ratio
    np.testing.assert_array_equal(ratio[pairs.entry], ratio[pairs.exit])
    assert (np.diff(ratio[pairs.entry]) <= 0).all()
    alone = np.setdiff1d(entries, pairs.entry)
    assert (ratio[alone] >= -5).all()


def test_without_a_thickness_pairs_lie_within_the_reach():
    shapes, entries, exits = scene(3, 40, 150, 5.0)
    near = paired(shapes, entries, exits, thickness=None)
    assert (near.exit == near.entry + 40).sum() >= 30
    apart = np.hypot(
        shapes.x[near.entry] - shapes.x[near.exit], shapes.y[near.entry] - shapes.y[near.exit]
    )
    assert apart.max() <= 21


def test_known_pairs_are_kept_whatever_their_neighbours():
    shapes, entries, exits = scene(4, 20, 50, 5.0)
    known = [(0, 22), (45, 100)]  # another particle's exit pit, and one far away
    pairs = paired(shapes, entries, exits, known=known)
    got = dict(zip(pairs.entry.tolist(), pairs.exit.tolist(), strict=True))
    assert got[0] == 22
    assert got[45] == 100
    split = np.isin(pairs.entry, [0, 45])
    assert np.isnan(pairs.chance[split]).all()  # split from one find: no chance
    assert np.isnan(pairs.log_ratio[[0, 22, 45, 100]]).all()
    assert np.isfinite(pairs.chance[~split]).all()


def test_chance_grows_with_density():
    def chance(background):
        shapes, entries, exits = scene(5, 30, background, 5.0)
        pairs = paired(shapes, entries, exits)
        right = (pairs.exit == pairs.entry + 30) & (pairs.entry < 30)
        return np.median(pairs.chance[right])

    assert chance(400) < chance(1000) < chance(2500)


def test_chance_is_what_unrelated_pits_do():
    """The best partner's chance is below p for a fraction p of entry pits without a partner."""
    chances, entries = [], 0
    for seed in range(8):
        pairs = paired(*scene(100 + seed, 0, 900, 5.0))
        chances.append(pairs.chance)
        entries += 900
    chance = np.concatenate(chances)
    for p in (0.003, 0.01, 0.03, 0.1):
        expected = entries * p
        # Partners are taken by better pairs, so that a little fewer are left.
        low, high = poisson.interval(0.999, expected)
        assert 0.85 * low <= (chance < p).sum() <= high


def test_the_best_of_a_foil_without_signal_is_uniform():
    """1 − (1 − p)ⁿ of the best of a foil's n entry pits, over 200 small foils."""
    best = []
    for seed in range(200):
        n = 160
        pairs = paired(*scene(1000 + seed, 0, n, 5.0))
        # Where no pair is worth the name, the best is worse than any.
        best.append(1 - (1 - pairs.chance.min()) ** n if len(pairs.chance) else 1.0)
    assert np.mean(np.array(best) == 1) < 0.1
    assert kstest(best, "uniform").pvalue > 0.01


@pytest.mark.parametrize(("entries", "exits"), [(0, 0), (3, 0), (0, 3), (1, 1)])
def test_few_openings(entries, exits):
    rng = np.random.default_rng(6)
    shapes = unrelated(rng, entries + exits, 50.0)
    pairs = paired(shapes, np.arange(entries), entries + np.arange(exits))
    assert len(pairs.entry) == len(pairs.exit) == len(pairs.chance) <= min(entries, exits)
    assert pairs.log_ratio.shape == (entries + exits,)


def test_unknown_shapes_are_no_obstacle():
    """A finder that tells no ellipses, errors or depths pairs by place and radius."""
    shapes, entries, exits = scene(7, 40, 60, 4.0)
    nothing = np.full(len(shapes.x), np.nan)
    plain = replace(shapes, log_depth=nothing)
    pairs = paired(plain, entries, exits)
    assert ((pairs.exit == pairs.entry + 40) & (pairs.entry < 40)).sum() >= 30


@pytest.mark.slow
@pytest.mark.parametrize(("pits", "seed"), [(100, 31), (300, 32)])
def test_a_foil_without_signal_has_the_pairs_of_chance(pits, seed):
    """27 pairs had p ≤ 0.01 where 5.2 were to be expected at most."""
    foil = SimulatedScan(seed=seed, columns=4, rows=3, population=Population.of(pits, 0))
    stacks = {t.number: foil.read_tile(t.number) for t in foil.scan.tiles}
    normalisation = fit_normalisation(list(stacks.values()), Recipe())
    lighting, settings = Lighting.of_scan(foil.scan), FindSettings()
    calibration = calibrate_detector(list(stacks.values())[:8], normalisation, lighting, settings)
    detector = ClassicalDetector(normalisation, calibration, lighting, settings)
    found = detect_tiles(stacks.items(), detector).table
    table, _ = complete(found, foil.scan, settings, foil=Foil(name="F", thickness_um=500.0))
    entries = table[table["surface"] == "top"]
    split = (entries["partner"].notna() & entries["pair_p"].isna()).sum()
    low, high = poisson.interval(0.95, 0.01 * (len(entries) - split))
    assert split > 5
    assert low <= (entries["pair_p"] <= 0.01).sum() <= high
