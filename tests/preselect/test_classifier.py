"""How likely a find is, from what the maps say around it."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from etchscope.foil.openings import MAPS, map_index
from etchscope.preselect.classifier import FEATURES, LOWEST_HEAT, Trees, measure_finds
from etchscope.run.known import grown_trees


def measured(maps, heat, surface, cells):
    rows, columns = np.array(cells).T
    table = measure_finds(maps, np.array(heat), np.array(surface), rows, columns)
    return dict(zip(FEATURES, table.T, strict=True))


def test_features_are_what_the_maps_say():
    maps = np.full((len(MAPS), 240, 320), -9, np.float32)
    maps[map_index("top", "heat"), 50, 60] = 1.5
    maps[map_index("bottom", "heat"), 51, 60] = 0.5
    maps[map_index("unknown", "heat"), 50, 59] = 2.5
    maps[-1, 54, 60] = 3  # within the surroundings only
    maps[-1, 50, 61] = -2
    got = measured(maps, [1.5, 0.5], ["top", "bottom"], [(50, 60), (51, 60)])
    assert got["heat"].tolist() == [1.5, 0.5]
    assert got["rival"].tolist() == [0.5, 1.5]
    assert got["either"].tolist() == [2.5, 2.5]
    assert got["mark"].tolist() == [-2, -2]
    assert got["mark_around"].tolist() == [3, 3]


def test_peaks_are_counted_a_reference_tile():
    maps = np.full((len(MAPS), 120, 160), -9, np.float32)  # a quarter of one
    heat = [LOWEST_HEAT, -1.5, -1.0, -0.5, 0.0]
    got = measured(maps, heat, ["top"] * 5, [(k, k) for k in range(5)])
    assert got["weak"] == pytest.approx(np.log10(1 + 2 * 4))
    assert got["middling"] == pytest.approx(np.log10(1 + 1 * 4))
    assert got["strong"] == pytest.approx(np.log10(1 + 1 * 4))


def test_no_finds_have_no_features():
    maps = np.zeros((len(MAPS), 16, 16), np.float32)
    none = np.empty(0, int)
    assert measure_finds(maps, np.empty(0), np.empty(0, str), none, none).shape == (0, 8)
    assert Trees.constant(1.0)(np.empty((0, 8))).shape == (0,)


def test_trees_say_what_their_forest_says():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (2000, len(FEATURES)))
    is_true = features[:, 0] * features[:, 1] + rng.normal(0, 0.3, 2000) > 0
    forest = GradientBoostingClassifier(init="zero", n_estimators=20, random_state=0)
    forest.fit(features, is_true)
    trees = Trees.from_arrays(grown_trees(forest).to_arrays())
    np.testing.assert_allclose(trees(features), forest.decision_function(features), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"), [("left", 0), ("right", 99), ("feature", 8), ("value", np.nan)]
)
def test_damaged_trees_are_refused(name, value):
    stump = {
        "feature": np.array([[0, -1, -1]], np.int32),
        "threshold": np.zeros((1, 3)),
        "left": np.array([[1, -1, -1]], np.int32),
        "right": np.array([[2, -1, -1]], np.int32),
        "value": np.array([[0, -1, 1]], np.float32),
    }
    assert Trees.from_arrays(stump)(np.array([[-1.0] * 8, [1.0] * 8])).tolist() == [-1, 1]
    stump[name] = stump[name].copy()
    stump[name][0, 0] = value
    with pytest.raises(ValueError, match="tables of trees"):
        Trees.from_arrays(stump)
    with pytest.raises(ValueError, match="shape"):
        Trees.from_arrays({**stump, "left": np.zeros((2, 3), np.int32)})
