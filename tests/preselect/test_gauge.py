"""The network's word on shapes, corrected by what lies around."""

import numpy as np
import pytest

from etchscope.preselect.classifier import FEATURES, Trees
from etchscope.preselect.gauge import ERROR_OF, GAUGE_FEATURES, GAUGED, Gauge, measure_surroundings

ALL = np.ones(5, np.float32)


def said_of(*rows):
    """Finds as (x, y, surface, radius)."""
    x, y, surface, radius = zip(*rows, strict=True)
    n = len(x)
    values = {k: np.full(n, -1.0) for k in ERROR_OF.values()}
    return {
        **values,
        "x": np.array(x, float),
        "y": np.array(y, float),
        "surface": np.array(surface),
        "log_radius": np.log(np.array(radius, float)),
        "log_depth": np.full(n, 1.5),
        "e_cos": np.full(n, 0.3),
        "e_sin": np.full(n, -0.4),
        "heat": np.zeros(n),
        "log_odds": np.full(n, 2.0),
        "features": np.zeros((n, len(FEATURES))),
    }


FINDS = said_of(
    (10, 10, "top", 4), (18, 10, "top", 8), (10, 16, "bottom", 4), (90, 90, "unknown", 5)
)


def column(table, name):
    return table[:, GAUGE_FEATURES.index(name)]


def test_surroundings_are_neighbours_and_what_is_usual():
    table = measure_surroundings(FINDS, np.array([0.1, 0.3, 0.2, 0.5]), ALL)
    assert table.shape == (4, len(GAUGE_FEATURES))
    assert np.isfinite(table).all()
    assert column(table, "surface").tolist() == [1, 1, -1, 0]
    assert column(table, "same_apart") == pytest.approx([2, 1, 20, 20])
    assert column(table, "same_larger")[:2] == pytest.approx([np.log(2), -np.log(2)])
    assert column(table, "other_apart")[0] == pytest.approx(6 / 4)
    assert column(table, "usual_contrast").tolist() == [0.2, 0.2, 0.2, 0.5]
    assert column(table, "other_usual_log_radius")[2] == pytest.approx(np.log(32) / 2)
    assert column(table, "halo").tolist() == [1] * 4
    assert column(table, "ellipticity") == pytest.approx([0.5] * 4)


def test_without_lamps_the_lights_say_so():
    given = np.array([0, 0, 0, 1, 0], np.float32)
    table = measure_surroundings(FINDS, np.zeros(4), given)
    assert column(table, "lamps").tolist() == [0] * 4
    assert column(table, "backlit").tolist() == [1] * 4


def test_no_finds():
    nothing = {k: v[:0] for k, v in FINDS.items()}
    assert measure_surroundings(nothing, np.empty(0), ALL).shape == (0, len(GAUGE_FEATURES))


def test_a_plain_gauge_takes_the_network_at_its_word():
    around = measure_surroundings(FINDS, np.zeros(4), ALL)
    got = Gauge.plain().correct(FINDS, around)
    for name, values in FINDS.items():
        np.testing.assert_allclose(got[name], values) if values.dtype.kind == "f" else None


def test_shapes_are_corrected_and_the_long_axis_stays():
    trees = {
        name: Trees.constant(value) for name, value in zip(GAUGED, (0.1, 0.25, -0.2), strict=True)
    }
    errors = {name: Trees.constant(np.log(2.0)) for name in ERROR_OF}
    around = measure_surroundings(FINDS, np.zeros(4), ALL)
    got = Gauge(trees, errors).correct(FINDS, around)
    assert got["log_radius"] == pytest.approx(FINDS["log_radius"] + 0.1)
    assert got["log_depth"] == pytest.approx([1.3] * 4)
    assert got["e_cos"] == pytest.approx([0.45] * 4)
    assert got["e_sin"] == pytest.approx([-0.6] * 4)
    for name in ERROR_OF.values():
        assert got[name] == pytest.approx([-1 + np.log(2)] * 4)


def test_a_gauge_comes_back_from_its_tables():
    gauge = Gauge.plain()
    back = Gauge.from_arrays(gauge.to_arrays())
    assert set(back.log_error) == set(ERROR_OF)
    with pytest.raises((KeyError, ValueError)):
        Gauge.from_arrays({k: v for k, v in gauge.to_arrays().items() if "place" not in k})
