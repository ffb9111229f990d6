import shutil

import numpy as np
import pandas as pd
import pytest

import etchscope as es
from etchscope.api import TrainReport
from etchscope.foil import BadInput, NotScored, UnknownScan

TRUTH = pd.DataFrame({"tile": 1, "x_px": [10.0, 60, 110], "y_px": [20.0, 70, 20]})
FOUND = pd.DataFrame({"tile": 1, "x_px": [11.0, 60, 30], "y_px": [20.0, 71, 60]})


@pytest.fixture(scope="module")
def store(learnt):
    return es.Store(learnt.store)


@pytest.fixture(scope="module")
def scored(learnt, tmp_path_factory):
    """A copy of the learnt store whose scan was scored."""
    store = es.open(shutil.copytree(learnt.store.path, tmp_path_factory.mktemp("plot") / "store"))
    store.run(learnt.scan, model="first")
    return store


def titles(figure):
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_a_notebook_shows_a_figure_as_it_is(store, tmp_path):
    figure = es.plot.tile(store, 1)
    assert figure._repr_png_().startswith(b"\x89PNG")
    saved = es.plot.save(figure, tmp_path / "tile.png")
    assert saved.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(BadInput, match=r"expected a name that ends in \.png"):
        es.plot.save(figure, tmp_path / "tile.jpg")
    with pytest.raises(BadInput, match="expected an existing folder"):
        es.plot.save(figure, tmp_path / "none" / "tile.png")


def test_a_scan_and_its_tiles_are_drawn(store, learnt):
    pits = store.pits(learnt.scan)
    assert f"top ({(pits['surface'] == 'top').sum()})" in titles(es.plot.map(store))
    assert "Density: " in titles(es.plot.density(store, run=learnt.search))
    of_tile = pits[pits["tile"] == 3]
    assert f"tile 3: {len(of_tile)} openings" in titles(es.plot.tile(store, 3, learnt.scan))
    shown = titles(es.plot.lights(store, 3, learnt.scan, truth=learnt.foil.truth()))
    assert "backlit" in shown
    assert "truth: " in shown
    with pytest.raises(UnknownScan, match="other"):
        es.plot.map(store, "other")
    with pytest.raises(BadInput, match="tile 99"):
        es.plot.tile(store, 99)


def test_the_best_candidates_are_drawn(store, scored):
    best = scored.candidates(every=True)
    shown = titles(es.plot.candidates(scored, every=True, count=2))
    assert "The best 2 candidates" in shown
    for score in best["score"][:2]:
        assert f"score {score:.2f}" in shown
    with pytest.raises(NotScored, match="expected a scored run, found none"):
        es.plot.candidates(store)


def test_pictures_are_drawn_with_their_pits(store, learnt):
    pits = store.pits(learnt.scan)
    own, pictures = pits[pits["tile"] == 2], learnt.foil.read_tile(2)
    assert f"{len(own)} openings" in titles(es.plot.pits(pictures, own))
    assert "one light" in titles(es.plot.pits(pictures[8], own, title="one light"))
    with pytest.raises(BadInput, match=r"pictures: expected \(channel, y, x\) or \(y, x\)"):
        es.plot.pits(np.zeros(3), own)


def test_a_comparison_is_drawn():
    result = es.evaluate(FOUND, TRUTH, tolerance_px=6, image_size=(96, 128), tolerances=[2, 6])
    assert f"Efficiency {result.evaluation.efficiency}" in titles(es.plot.matches(result))
    assert "efficiency" in titles(es.plot.tolerance(result))
    other = es.evaluate(FOUND, TRUTH, tolerance_px=6, image_size=(96, 128))
    with pytest.raises(BadInput, match="result: expected one of several tolerances"):
        es.plot.tolerance(other)


def test_a_training_and_a_working_point_are_drawn(scored, learnt):
    report = TrainReport("first", learnt.done, learnt.gathered.left_out)
    assert "hip against all other labels" in titles(es.plot.roc(report))
    assert titles(es.plot.learning(report))
    chosen = scored.choose_working_point("first", learnt.foil.truth(), false_per_tile=1)
    assert "all 8 tiles" in titles(es.plot.efficiency(chosen))
