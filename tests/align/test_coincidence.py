import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etchscope.align import Surface, find_coincidences, require_multiplicity, tag_and_probe
from etchscope.foil import BadInput

AREA = (40.0, 30.0)
SPREAD = 0.005


def _surface(name, xy, foil=None, side="front"):
    return Surface(name, foil or name, side, np.asarray(xy, float), np.arange(len(xy)))


def _stack(rng, efficiencies, background, ions=800):
    """Return surfaces, the ions' places, and for each surface which rows are whose (−1: none)."""
    places = rng.uniform(0, AREA, (ions, 2))
    surfaces, who = [], []
    for k, (efficiency, n) in enumerate(zip(efficiencies, background, strict=True)):
        seen = np.flatnonzero(rng.random(ions) < efficiency)
        own = places[seen] + rng.normal(0, SPREAD, (len(seen), 2))
        xy = np.concatenate([own, rng.uniform(0, AREA, (n, 2))])
        surfaces.append(_surface(f"s{k}", xy))
        who.append(np.append(seen, np.full(n, -1)))
    return surfaces, places, who


def test_places_say_who_shows_them():
    one = _surface("a", [[0, 0], [5, 5]], "f1")
    two = _surface("b", [[0.01, 0], [9, 9]], "f1", "back")
    three = _surface("c", [[0, 0.01]], "f2")
    table = find_coincidences([one, two, three], 0.05, spread_mm=0.01)
    together = table[table["surfaces"] == 3].iloc[0]
    assert (together["foils"], together["pit.a"], together["pit.b"], together["pit.c"]) == (
        2,
        0,
        0,
        0,
    )
    assert together[["x_mm", "y_mm"]].tolist() == pytest.approx([0.01 / 3, 0.01 / 3])
    alone = table[table["surfaces"] == 1]
    assert alone["p_accidental"].tolist() == [1, 1]
    assert alone[["pit.a", "pit.b", "pit.c"]].notna().sum(axis=1).tolist() == [1, 1]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), counts=st.lists(st.integers(0, 60), min_size=2, max_size=4))
def test_every_pit_stands_in_one_row(seed, counts):
    rng = np.random.default_rng(seed)
    surfaces = [_surface(f"s{k}", rng.uniform(0, 3, (n, 2))) for k, n in enumerate(counts)]
    table = find_coincidences(surfaces, 0.3, spread_mm=0.05)
    for surface in surfaces:
        rows = table[f"pit.{surface.name}"].dropna()
        assert sorted(rows) == list(range(len(surface.xy_mm)))
    assert table["surfaces"].sum() == sum(counts)
    assert table["p_accidental"].between(0, 1).all()


def test_the_probability_of_an_accident_is_right_on_average(rng):
    surfaces, _, who = _stack(rng, (0.9, 0.9, 0.9), (3000, 3000, 3000))
    table = find_coincidences(surfaces, 0.08, spread_mm=SPREAD)
    ids = np.column_stack(
        [
            np.append(who[k], -1)[table[f"pit.s{k}"].fillna(len(who[k])).to_numpy(int)]
            for k in range(3)
        ]
    )
    several = table["surfaces"] >= 2
    true = np.array([len(set(row[row >= 0])) < (row >= 0).sum() for row in ids])
    for group in (several, table["surfaces"] == 2):
        expected, counted = table.loc[group, "p_accidental"].sum(), (group & ~true).sum()
        assert counted > 20
        assert expected == pytest.approx(counted, rel=0.4)
    assert table.loc[several & true, "p_accidental"].mean() < 0.05


def test_multiplicity():
    a, b = _surface("a", [[0, 0], [1, 1]], "f1"), _surface("b", [[0, 0]], "f1", "back")
    c = _surface("c", [[1, 1]], "f2")
    table = find_coincidences([a, b, c], 0.1, spread_mm=0.01)
    assert len(require_multiplicity(table)) == 2
    assert require_multiplicity(table, foils=2)["x_mm"].tolist() == [1]
    assert len(require_multiplicity(table, surfaces=3)) == 0
    with pytest.raises(BadInput, match="2 or more surfaces of 1 or more foils, found 1 surfaces"):
        require_multiplicity(table, surfaces=1)


def test_names_must_differ():
    with pytest.raises(BadInput, match="two or more surfaces of different names"):
        find_coincidences([_surface("a", [[0, 0]])] * 2, 0.1, spread_mm=0.01)


@pytest.mark.parametrize("background", [0, 2000, 20000])
def test_tag_and_probe_measures_the_efficiency(rng, background):
    true = (0.95, 0.9, 0.8)
    surfaces, _, _ = _stack(rng, true, (200, 200, background), ions=2000)
    found = tag_and_probe(surfaces, "s2", 0.03, spread_mm=SPREAD)
    assert found.low < true[2] < found.high
    assert found.high - found.low < 0.1
    assert found.passed.trials == pytest.approx(2000 * 0.95 * 0.9, rel=0.05)
    chance = 1 - np.exp(-background / 1200 * np.pi * 0.03**2)
    assert found.by_chance == pytest.approx(chance, abs=0.2 * chance + 0.002)
    if background == 20000:  # what passes by chance is not efficiency
        assert found.passed.value - found.efficiency > 0.005


def test_two_surfaces_measure_each_other(rng):
    surfaces, _, _ = _stack(rng, (1.0, 0.7), (0, 300), ions=2000)
    found = tag_and_probe(surfaces, "s1", 0.03, spread_mm=SPREAD, tag_surfaces=1)
    assert found.low < 0.7 < found.high


def test_what_the_probe_has_not_scanned_is_no_loss(rng):
    surfaces, _, _ = _stack(rng, (1.0, 1.0, 1.0), (0, 0, 0), ions=2000)
    half = surfaces[2].xy_mm[surfaces[2].xy_mm[:, 0] < 20]
    surfaces[2] = _surface("s2", half)
    found = tag_and_probe(surfaces, "s2", 0.03, spread_mm=SPREAD)
    assert found.efficiency > 0.99
    assert found.passed.trials < 1100


def test_who_cannot_be_probed():
    surfaces = [_surface("a", [[0, 0]]), _surface("b", [[0, 0]])]
    with pytest.raises(BadInput, match="probe: expected one of a, b, and 2 other surfaces"):
        tag_and_probe(surfaces, "a", 0.1, spread_mm=0.01)
    with pytest.raises(BadInput, match="found 'c' and 2"):
        tag_and_probe(surfaces, "c", 0.1, spread_mm=0.01)
    assert tag_and_probe(surfaces, "a", 0.1, spread_mm=0.01, tag_surfaces=1).efficiency == 1
