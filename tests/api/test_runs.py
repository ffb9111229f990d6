import numpy as np
import pandas as pd
import pytest

import etchscope as es
from etchscope.files.tables import read_record, read_table
from etchscope.foil import BadInput, NotScored, NotSearched, UnknownModel, UnknownRun, UnknownScan


def test_a_search_is_reported_and_its_pits_are_a_table(walked):
    found, store = walked.found, walked.store
    assert (found.scan, found.tiles, found.was_done) == (walked.name, 4, False)
    pits = store.pits(walked.name)
    assert len(pits) == found.pits > 0
    assert pits.equals(store.pits(run=found.run))
    assert pits.equals(store.pits())
    assert store.record(found.run).stage == "find"
    (row,) = store.runs(walked.name).to_dict("records")
    assert (row["run"], row["stage"], row["tiles"], row["model"]) == (found.run, "find", 4, "")
    again = store.find(walked.name)
    assert (again.run, again.was_done) == (found.run, True)


def test_a_region_and_settings_reach_the_search(walked, tmp_path):
    store = es.open(tmp_path / "store", create=True)
    store.add(walked.folder)
    corners = [(-0.2, -0.3), (0.3, -0.3), (0.3, 0.1), (-0.2, 0.1)]
    settings = es.FindSettings(least_probability=0.9)
    done = store.find(walked.name, settings=settings, region=corners)
    pits = store.pits(run=done.run)
    assert pits["x_mm"].between(-0.2, 0.3).all()
    assert store.record(done.run).settings["least_probability"] == 0.9
    assert store.record(done.run).region_mm == tuple(corners)
    file = tmp_path / "region.json"
    file.write_text(str([list(c) for c in corners]))
    assert store.find(walked.name, settings=settings, region=file).run == done.run
    store.remove_runs(done.run)
    with pytest.raises(NotSearched, match="expected a finished run, found none"):
        store.pits()


def test_scores_become_candidates(learnt, own, tmp_path):
    store = es.open(own.path)
    done = store.run(learnt.scan, model="first")
    every = store.candidates(learnt.scan, every=True)
    assert (every["score"].diff().dropna() <= 0).all()
    assert set(every["run"]) == {done.run}
    selected = store.candidates()
    assert len(selected) == int(every["selected"].sum())
    assert store.chosen_runs(scored=True) == [done.run]
    assert store.chosen_runs() == [done.run]
    assert store.runs()["model"].tolist() == ["", "first"]
    assert store.export_candidates(tmp_path / "c.csv", every=True, count=3) == [done.run]
    assert read_table(tmp_path / "c.csv")["pit"].tolist() == every["pit"].tolist()[:3]
    assert store.export_candidates(tmp_path / "own.csv", table=every.iloc[[2]]) == [done.run]
    assert read_table(tmp_path / "own.csv")["pit"].tolist() == every["pit"].tolist()[2:3]
    both = [learnt.search, done.run]
    assert store.export(tmp_path / "p.parquet", run=both) == both
    written = read_table(tmp_path / "p.parquet")
    assert len(written) == len(store.pits(run=learnt.search)) + len(store.pits(run=done.run))
    record = read_record(tmp_path / "p.parquet")["record"]
    assert record == {"runs": [store.record(run).as_dict() for run in both]}


def test_what_is_not_there_is_named(walked, tmp_path):
    store = walked.store
    with pytest.raises(UnknownScan, match="other"):
        store.find("other")
    with pytest.raises(UnknownScan, match="other"):
        store.runs("other")
    with pytest.raises(UnknownRun, match="run: expected one of the store's finished runs"):
        store.pits(run="run-0")
    with pytest.raises(UnknownModel, match="model: expected a model of the store"):
        store.run(walked.name, model="first")
    with pytest.raises(NotScored, match="expected a scored run, found none"):
        store.candidates()
    with pytest.raises(BadInput, match=r"expected a name that ends in \.csv, \.parquet or \.root"):
        store.export(tmp_path / "pits.txt")


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ([(0, 0), (1, 1)], r"with at least three corners, found an array of shape \(2, 2\)"),
        ([(0, 0), (1, 1), (0, np.nan)], "found a corner that is no number"),
        ([(0, 0), (1, 1), "x"], "region of interest: expected "),
    ],
)
def test_a_region_is_a_polygon(walked, region, message):
    with pytest.raises(BadInput, match=message):
        walked.store.find(walked.name, region=region)


def test_what_is_done_with_a_table_changes_nothing_of_the_store(walked):
    pits = walked.store.pits()
    pits["radius_px"] = 0.0
    assert not walked.store.pits().equals(pits)
    assert isinstance(pits, pd.DataFrame)


def test_an_unknown_option_of_a_search_is_an_error(own, learnt):
    store = es.open(own.path)
    for step in (store.find, store.run):
        with pytest.raises(TypeError, match="unexpected keyword argument 'regions'"):
            step(learnt.scan, regions=[])
    with pytest.raises(TypeError, match="unexpected keyword argument 'regions'"):
        store.find_part(learnt.scan, "1/2", regions=[])
