import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import etchscope
from etchscope.ensemble import DensityClass, Model, WorkingPoint, measure_working_point
from etchscope.evaluation import (
    Ground,
    Requirement,
    Search,
    choose_thresholds,
    efficiency_at_rate,
    measure_by_halves,
)
from etchscope.foil import BadInput
from etchscope.store import read_model

SURFACE = WorkingPoint(
    (
        DensityClass(0.0, 1.0, (0.9, 0.8, 0.95), (0.1, 0.0, 0.2), (1.0, 0.5, 2.0)),
        DensityClass(20.0, 3.0),
        DensityClass(80.0, 2.0),
    ),
    "1 false candidates a tile",
    "a foil",
    (0.8, 0.7, 0.9),
    purity=(0.5, 0.4, 0.6),
)


def test_the_threshold_is_that_of_the_local_density():
    density = np.array([0, 19.9, 20, 79, 80, 1e5, np.nan])
    # Where it is not known the strictest one holds, which need not be that of the densest.
    assert SURFACE.threshold_at(density).tolist() == [1, 1, 3, 3, 2, 2, 3]
    assert SURFACE.threshold_at(np.empty(0)).shape == (0,)
    one = WorkingPoint.of_one(1.5, "hand", "nothing")
    assert one.threshold_at(density).tolist() == [1.5] * 7
    assert (one.in_words, SURFACE.in_words) == ("score 1.50", "scores 1.00 to 3.00 by density")


def test_a_surface_comes_back_from_its_record():
    record = json.loads(json.dumps(SURFACE.to_record(), allow_nan=False))
    back = WorkingPoint.from_record(record)
    assert back.to_record() == record
    assert back.classes[0] == SURFACE.classes[0]
    assert [c.from_per_mm2 for c in back.classes] == [0, 20, 80]
    assert record["classes"][1]["efficiency"] == [None, None, None]
    assert np.isnan(back.efficiency_at_rate).all()
    assert (back.purity, back.efficiency) == (SURFACE.purity, SURFACE.efficiency)


def test_an_earlier_card_with_one_threshold_is_read(stacked):
    arrays, card = stacked.model.to_record()
    old = {
        "threshold": 1.25,
        "chosen_by": "0.1 false candidates a tile",
        "measured_on": "40 true hip on 8 tiles",
        "efficiency": [0.5, 0.4, 0.6],
        "false_per_tile": [0.1, 0.0, 0.3],
        "false_per_cm2": [None, None, None],
    }
    model = Model.from_record(arrays, json.loads(json.dumps({**card, "working_point": old})))
    point = model.working_point
    assert point.threshold_at(np.array([3.0, np.nan])).tolist() == [1.25, 1.25]
    assert point.chosen_by == "0.1 false candidates a tile"
    assert point.efficiency == point.classes[0].efficiency == (0.5, 0.4, 0.6)
    assert np.isnan(point.false_per_cm2).all()


@pytest.mark.parametrize("edges", [[], [3.0], [0.0, 5.0, 5.0], [0.0, 9.0, 5.0]])
def test_classes_that_are_no_surface_are_refused(edges):
    record = SURFACE.to_record()
    record["classes"] = [{**record["classes"][0], "from_per_mm2": e} for e in edges]
    with pytest.raises(ValueError, match="density classes that begin at"):
        WorkingPoint.from_record(record)


def test_the_card_that_is_shipped_has_a_working_point():
    folder = Path(etchscope.__file__).parent / "weights" / "experts"
    card = read_model(folder)[1]
    point = WorkingPoint.from_record(card["working_point"])
    assert point.to_record() == card["working_point"]
    assert point.classes[0].threshold == pytest.approx(0.9914560)
    thresholds = [c.threshold for c in point.classes]
    assert min(thresholds) == thresholds[0]


# Measured -----------------------------------------------------------------------------------


def foil(tiles=32, dense=16, seed=1):
    """Every tile has four particles and ten false candidates, a dense one a hundred of them."""
    rng = np.random.default_rng(seed)
    density = np.where(np.arange(tiles) % 4 < 4 * dense // tiles, 90.0, 10.0)
    false_tile = np.repeat(np.arange(tiles), np.where(density > 50, 100, 10))
    particle_tile = np.repeat(np.arange(tiles), 4)
    tile = np.r_[false_tile, particle_tile]
    is_true = np.arange(len(tile)) >= len(false_tile)
    score = rng.exponential(1, len(tile)) + 2.0 * is_true
    order = np.argsort(-score)
    row = np.column_stack([np.arange(tiles) // 4, np.arange(tiles) % 4]).astype(float)
    return Search(
        score[order],
        is_true[order],
        np.zeros(len(tile)),
        len(particle_tile),
        tiles,
        tiles / 2,
        tile[order],
        particle_tile,
        np.ones(tiles),
        Ground(row, density[:, None], density[tile[order]], density[particle_tile]),
    )


def point_of(search, other=None, **asked):
    asked = Requirement(**asked)
    return measure_working_point(
        search, asked, chosen_by=str(asked), measured_on="a foil", other=other
    )


def test_a_working_point_by_false_candidates_has_a_class_for_each_density():
    search = foil()
    point, asked = point_of(search, false_per_tile=1.0), Requirement(false_per_tile=1.0)
    assert [c.from_per_mm2 for c in point.classes] == [0, 90]
    # The thresholds in use are those of all tiles, the figures those of the exchange.
    assert tuple(c.threshold for c in point.classes) == choose_thresholds(search, asked, (90.0,))
    whole, parts = measure_by_halves(search, asked, (90.0,))
    assert (point.efficiency, point.false_per_tile) == (whole.efficiency, whole.false_per_tile)
    assert point.purity == whole.purity
    assert [c.efficiency for c in point.classes] == [p.efficiency for p in parts]
    assert [c.false_per_tile for c in point.classes] == [p.false_per_tile for p in parts]
    assert point.false_per_cm2 == tuple(2 * v for v in point.false_per_tile)
    assert point.efficiency_at_rate == efficiency_at_rate(search, 1.0, (90.0,))
    assert (point.chosen_by, point.measured_on) == ("1 false candidates a tile", "a foil")


def test_a_working_point_by_efficiency_is_one_threshold():
    point = point_of(foil(), efficiency=0.5)
    assert len(point.classes) == 1
    assert point.efficiency[0] == pytest.approx(0.5, abs=0.05)
    assert np.isnan(point.efficiency_at_rate).all()
    with pytest.raises(BadInput, match="particles have a candidate at all"):
        point_of(
            replace(foil(), particles=300, particle_tile=np.zeros(300, int), ground=None),
            efficiency=0.9,
        )


def test_a_working_point_may_be_measured_on_another_foil():
    here, there = foil(), foil(tiles=16, dense=8, seed=2)
    own, other = point_of(here, false_per_tile=1.0), point_of(here, there, false_per_tile=1.0)
    assert [c.threshold for c in own.classes] == [c.threshold for c in other.classes]
    passed = there.score >= other.threshold_at(there.ground.candidates)
    assert other.false_per_tile[0] == (passed & ~there.is_true).sum() / 16
    assert other.efficiency[0] == (passed & there.is_true).sum() / 64
    assert other.efficiency_at_rate == efficiency_at_rate(there, 1.0, (90.0,))
