"""The experts' own training, on a few small foils whose finds are the truth."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from etchscope.ensemble import Model
from etchscope.foil import BadInput
from etchscope.learn import Lights, Training
from etchscope.preselect.classifier import Trees
from etchscope.preselect.finder import CLASSIFIED
from etchscope.run.calibrate_experts import decided_on
from etchscope.run.experts import ExpertsPlan, train_on_lessons, trained_experts
from etchscope.run.finder import finder_of
from etchscope.run.lesson_patches import labelled_finds
from etchscope.run.lessons import Finds, Lesson
from etchscope.simulation import Optics, Population, SimulatedScan

experts_module = sys.modules[decided_on.__module__]

PLAN = ExpertsPlan(
    pictures=6,
    most=60,
    folds=2,
    training=Training(lights="any", network="plain", width=0.4, depth=2, epochs=3, restarts=0),
)


def lesson_of(seed):
    scan = SimulatedScan(
        seed, 1, 1, population=Population.of(300, 150), optics=Optics(image_size=(128, 128))
    )
    truth = scan.truth()
    x, y, radius = (truth[c].to_numpy(float) for c in ("x_px", "y_px", "radius_px"))
    return Lesson(
        scan.read_tile(1),
        x,
        y,
        radius,
        (truth["surface"] == "top").to_numpy(),
        truth["particle"].to_numpy(np.int64),
        truth["class"].to_numpy(str),
        scan.marked(1) > 0,
        scan.optics.pixel_size_um,
        scan.sheet.thickness_um,
    )


def search(lesson, planes):
    """The truth, and a few places where nothing is."""
    rng = np.random.default_rng(len(lesson.x_px))
    surface = np.where(lesson.is_top, "top", "bottom") if planes.given[0] else "unknown"
    nothing = rng.uniform(0, 127, (12, 2))
    return Finds(
        np.r_[lesson.x_px, nothing[:, 0]],
        np.r_[lesson.y_px, nothing[:, 1]],
        np.r_[lesson.radius_px, np.full(12, 5.0)],
        np.r_[np.broadcast_to(surface, lesson.x_px.shape), np.full(12, "unknown")],
    )


@pytest.fixture(scope="module")
def lessons():
    return [lesson_of(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def model(lessons):
    return train_on_lessons(lessons[:6], search, PLAN, others=lessons[6:])


def test_finds_of_every_class_under_ever_other_lights(lessons):
    told = []
    labelled = labelled_finds(
        lessons, search, 40, progress=lambda what, n, of: told.append((what, n, of))
    )
    counts = {c: int((labelled.label == c).sum()) for c in ("hip", "top", "bottom", "misc")}
    assert max(counts.values()) <= 40
    assert min(counts.values()) > 10
    assert labelled.patches.lights == Lights.of_planes()
    assert len({tuple(g) for g in labelled.patches.pixels[:, 8:, 0, 0].tolist()}) > 2
    assert set(labelled.patches.region) <= set(range(8))
    assert (labelled.density_per_mm2 > 0).all()
    assert told == [("Searching random foils", 1, 8)] * 8
    again = labelled_finds(lessons, search, 40)
    np.testing.assert_array_equal(again.patches.pixels, labelled.patches.pixels)


def test_what_is_taught_takes_any_lights(model):
    assert model.lights.are_planes
    assert model.domain.pixel_size_um is None
    assert model.domain.scale == (0.5, 5.0)
    assert {"11111", "11100", "00010"} <= set(model.domain.limits)
    assert model.prior["hip"] == 0.05
    assert set(model.information["experts"]) == {"hip-top", "hip-bottom", "top-bottom", "pit-misc"}
    back = Model.from_record(*model.to_record())
    assert back.domain == model.domain


def test_the_working_point_is_at_so_many_false_candidates_a_tile(model, lessons):
    some = lessons
    area = sum(one.area_mm2 for one in some) / (640 * 480 * 0.0064516**2)
    at = {
        rate: decided_on(
            model, some, finder_of(), false_per_tile=rate / area, densest=1000
        ).working_point
        for rate in (1, 4)
    }
    for rate, point in at.items():
        # The figure is that of each foil at the score that was chosen on the other one.
        assert point.false_per_tile[1] < rate / area < point.false_per_tile[2]
        assert point.false_per_tile[1] <= point.false_per_tile[0] <= point.false_per_tile[2]
        assert point.chosen_by == f"{rate / area:g} false candidates a tile of random foils"
        assert 0 <= point.efficiency[1] <= point.efficiency[0] <= point.efficiency[2] <= 1
        assert 0 <= point.efficiency_at_rate[0] <= 1
        assert "chosen on one half of them and measured on the other" in point.measured_on
    assert at[4].classes[0].threshold < at[1].classes[0].threshold
    assert at[4].efficiency_at_rate[0] >= at[1].efficiency_at_rate[0]


def test_the_search_of_many_pictures_has_all_their_false_finds_and_particles():
    false, best = [np.array([0.5]), np.array([]), np.array([3.0, 1.0])], [[2.0, -np.inf], [4.0], []]
    found = experts_module._ranked(
        false, [np.array(b) for b in best], np.array([7.0, 8, 9]), np.array([0.5, 1, 1.5])
    )
    assert found.score.tolist() == [4, 3, 2, 1, 0.5]
    assert found.is_true.tolist() == [True, False, True, False, False]
    assert (found.by_chance.dtype, found.by_chance.tolist()) == (np.float64, [0.0] * 5)
    assert found.tile.tolist() == [1, 2, 0, 2, 0]
    assert (found.particles, found.particle_tile.tolist()) == (3, [0, 0, 1])
    assert (found.tiles, found.exposure.tolist()) == (3, [0.5, 1, 1.5])
    assert found.ground.candidates.tolist() == [8, 9, 7, 9, 7]
    assert found.ground.particles.tolist() == [7, 7, 8]
    assert found.false(0.8) == 2


def test_where_nothing_is_found_there_is_no_candidate(model, lessons):
    nothing = replace(finder_of(), classifiers=dict.fromkeys(CLASSIFIED, Trees.constant(-9.0)))
    decided = decided_on(model, lessons[6:], nothing, false_per_tile=1, densest=1000)
    assert decided.calibration == model.calibration
    point = decided.working_point
    assert point.efficiency[0] == 0
    assert point.false_per_tile[0] == 0


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("text")
    with pytest.raises(BadInput, match="a new or empty folder for the model, found something"):
        trained_experts(tmp_path / "work", tmp_path, replace(PLAN, pictures=1))
    assert not (tmp_path / "work").exists()
