"""The finder's weights: drawn foils, training that goes on, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.learn import FinderTraining
from etchscope.preselect import find_pits
from etchscope.preselect.classifier import FEATURES
from etchscope.run.finder import finder_of
from etchscope.run.finder_training import FinderPlan, trained_finder
from etchscope.run.school import School, draw_school, openings_of, random_crop
from etchscope.simulation import preset, with_parameters
from etchscope.store.arrays import read_rows

PLAN = FinderPlan(
    pictures=32, judged=32, training=FinderTraining(epochs=1, batch=16), widths=(1, 1, 1, 1, 1)
)


@pytest.fixture(scope="module", autouse=True)
def _quick_judges():
    """Judge the finder on a quarter of the area: that takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etchscope.run.finder_training._JUDGED_PX", 256)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finder")
    card = trained_finder(folder / "work", folder / "weights", PLAN)
    return folder, card


@pytest.mark.slow
def test_foils_are_drawn_once_and_are_what_their_seed_says(trained):
    folder, _ = trained
    school = draw_school(folder / "work", 32, 0, progress=None)
    foil = random_crop(5)
    wanted = openings_of(foil.openings(1), foil.optics.pixel_size_um)
    place = school.places.index((0, 5))
    assert np.array_equal(school[place].raw, foil.read_tile(1))
    assert np.allclose(school[place].openings.x_px, wanted.x_px, atol=1e-3)
    assert np.array_equal(school[place].marked, foil.marked(1) > 0)
    first = read_rows(school.paths[0], "counts", 0, 32)
    assert len(School.of(school.paths)) == int((first <= 4000).sum())


@pytest.mark.slow
def test_trained_weights_are_a_finder(trained):
    folder, card = trained
    finder = finder_of(folder / "weights")
    assert card["kind"] == "finder"
    figures = card["information"]["figures"]
    assert set(figures) >= {"all lights", "known surface", "backlit"}
    for told in (figures[k] for k in ("all lights", "known surface", "backlit")):
        assert all(0 <= low <= value <= high <= 1 for value, low, high in told.values())
    assert set(finder.gauge.log_error) == {"place", "log_radius", "ellipticity", "log_depth"}
    maps = finder.maps(np.zeros((13, 64, 64), np.float32))
    assert np.isfinite(maps).all()


@pytest.mark.slow
def test_a_finished_training_is_gone_on_from(trained):
    folder, card = trained
    again = trained_finder(folder / "work", folder / "again", PLAN)
    assert again["weights_sha256"] == card["weights_sha256"]
    assert again["information"]["history"] == []


@pytest.mark.slow
def test_a_training_goes_on_with_the_network_that_it_begins_with(trained, tmp_path):
    folder, card = trained
    plan = replace(PLAN, widths=(2, 2, 2, 2, 2))
    start = folder / "weights"
    told = trained_finder(folder / "work", tmp_path / "on", plan, start=start)
    assert told["widths"] == card["widths"] == [1, 1, 1, 1, 1]
    assert finder_of(tmp_path / "on").digest != finder_of(start).digest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "experts"}, "the card of a finder"),
        ({"finder_version": 99}, "a finder of version"),
        ({"widths": [2, 2, 2, 2, 2]}, "the weights of a finder"),
        ({"least_mark": None}, "widths, judges, least_mark and gauge"),
    ],
)
def test_a_folder_that_is_no_finder_is_refused(trained, tmp_path, change, expected):
    folder, card = trained
    weights = (folder / "weights" / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").write_bytes(weights)
    (tmp_path / "card.json").write_text(json.dumps({**card, **change}))
    with pytest.raises(BadInput, match=expected):
        finder_of(tmp_path)


def test_the_shipped_finder_is_small_and_loads():
    from etchscope.run.finder import SHIPPED

    assert (SHIPPED / "weights.safetensors").stat().st_size < 2 * 1024**2
    assert set(finder_of().classifiers) == {"lamps", "beside", "alone"}


def test_the_shipped_judges_know_marks_and_the_other_surface():
    """As hot, a find is less likely on a scratch, and least under a surer one of the other side."""
    alone = dict.fromkeys(FEATURES, 0.2) | {"rival": -3, "mark": -7}
    alone |= {"mark_around": -7, "weak": 1.5, "middling": 0.8, "strong": 0.8}
    scratch = alone | {"mark": 2.0, "mark_around": 2.5}
    outdone = alone | {"rival": 2.0, "either": 2.2}
    rows = np.array([[one[k] for k in FEATURES] for one in (alone, scratch, outdone)])
    pit, mark, second = finder_of().classifiers["lamps"](rows)
    assert second < mark < pit
    assert second < pit - 1


@pytest.mark.parametrize("name", ["reference", "experiment"])
def test_an_empty_texture_with_marks_has_hardly_a_pit_at_any_grey_step(name):
    (foil,) = preset(name, seed=11, columns=1, rows=1)
    none = {f"{k}.per_tile": 0.0 for k in ("hips", "fragments", "stars")}
    foil = with_parameters(foil, none)
    raw = foil.read_tile(1)
    for step in (1, 4, 16):
        steps = raw // step * step
        pits = find_pits(steps, azimuths_deg=foil.scan.azimuths_deg, finder=finder_of())
        is_mark = pits["class"] == "misc"
        assert (~is_mark).sum() <= 2
        assert is_mark.any()
