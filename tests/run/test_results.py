import numpy as np
import pandas as pd
import pytest
from tests.store.conftest import make

from etchscope.api import limit
from etchscope.api.kept import OfStore
from etchscope.foil import (
    NotScored,
    NotSearched,
    SeveralScans,
    UnknownModel,
    UnknownRun,
    UnknownScan,
    as_pits,
)
from etchscope.run import results
from etchscope.run.limits import observed_in
from etchscope.run.models import register_model
from etchscope.run.results import (
    choose_counted_run,
    choose_run,
    choose_runs,
    choose_scored_runs,
    find_run_of_model,
    gather_candidates,
    gather_pits,
    gather_records,
    ranked_candidates,
    select_candidates,
)
from etchscope.run.stages.scoring import score
from etchscope.store import FindRecord, Store
from etchscope.store.injections import Injection

NAME = "simulated-front"


@pytest.fixture
def scored(own):
    """The name of a scored run."""
    return score(own, NAME, "first", executor="inline").run


def test_the_latest_run_is_chosen_unless_one_is_named(own, scored, learnt):
    search = learnt.search
    assert choose_run(own) == choose_run(own, scan=NAME) == scored
    assert choose_run(own, run=search) == search
    assert choose_runs(own) == choose_scored_runs(own, scan=NAME) == [scored]
    assert choose_runs(own, scan=NAME, run=search) == [search]
    assert find_run_of_model(own, "first") == find_run_of_model(own, "first", scan=NAME) == scored


def test_what_is_not_there_is_named(own):
    with pytest.raises(UnknownScan, match="odd"):
        choose_run(own, scan="odd")
    with pytest.raises(UnknownRun, match="run: expected a finished run of the store, found 'odd'"):
        choose_run(own, run="odd")
    with pytest.raises(UnknownRun, match="odd"):
        choose_runs(own, run="odd")
    with pytest.raises(NotScored, match="expected a scored run, found none"):
        choose_scored_runs(own)
    with pytest.raises(NotScored, match="expected a scan that was scored with first, found none"):
        find_run_of_model(own, "first")
    with pytest.raises(UnknownModel, match="odd"):
        find_run_of_model(own, "odd")


def test_a_store_without_runs_says_so(tmp_path):
    store = Store.create(tmp_path / "empty")
    for choose in (choose_run, choose_runs):
        with pytest.raises(NotSearched, match="expected a finished run, found none"):
            choose(store)


def test_an_injected_scan_is_chosen_by_name_only(tmp_path):
    store, made = Store.create(tmp_path / "store"), make(tiles=2)
    store.scans.add(made.scan, made.foil, made.read)
    scan = made.scan.model_copy(update={"name": "F1-front-injected-1"})
    injection = Injection("F1-front", {"x_px": np.array([3.0])}, {"seed": 7})
    store.scans.add(scan, made.foil, made.read, injection=injection)
    for name in store.scans.names():
        record = FindRecord(stage="find", version="0.1.0", scan=name, tiles=(1, 2))
        store.runs.commit(f"run-{name}", as_pits({"x_px": [1.0], "y_px": [2.0]}), record)
    assert choose_run(store) == "run-F1-front"
    injected = "run-F1-front-injected-1"
    assert choose_run(store, scan=scan.name) == choose_run(store, run=injected) == injected
    store.runs.remove(["run-F1-front"])
    with pytest.raises(NotSearched, match="expected a finished run, found none"):
        choose_run(store)


def test_tables_of_runs_are_gathered(own, scored):
    pits = own.runs.pits(scored)
    pd.testing.assert_frame_equal(gather_pits(own, [scored]), pits)
    assert len(gather_pits(own, [scored, scored])) == 2 * len(pits)
    assert gather_records(own, [scored]) == {"runs": [own.runs.record(scored).as_dict()]}
    candidates = gather_candidates(own, [scored])
    assert len(candidates) == len(ranked_candidates(own, scored))
    assert candidates["score"].dropna().is_monotonic_decreasing
    selected = select_candidates(candidates)
    assert 0 < len(selected) < len(candidates)
    assert selected["selected"].all()


def test_a_model_of_a_folder_is_registered_once_under_its_digest(own, tmp_path):
    assert register_model(own, "first", [NAME]) == "first"
    own.models.export("first", tmp_path / "exported")
    name = register_model(own, tmp_path / "exported", [NAME])
    assert name.startswith("imported-")
    assert register_model(own, str(tmp_path / "exported"), [NAME]) == name
    assert sorted(own.models.names()) == ["first", name]
    with pytest.raises(UnknownModel, match=r"a model of the store \(first, .*\) or a folder"):
        register_model(own, "odd", [NAME])


def test_a_limit_counts_the_selected_candidates_of_a_run(own, scored):
    candidates = gather_candidates(own, [scored])
    selected, why = observed_in(own, [scored])
    pd.testing.assert_frame_equal(selected, select_candidates(candidates))
    outside = int((~candidates["valid"].astype(bool)).sum())
    assert bool(why) == (outside > 0)
    report = limit(store=OfStore(own), efficiency=0.5, background=1.0)
    assert report.runs == (scored,)
    assert (report.limits["observed"] == len(selected)).all()
    assert report.limits["valid"].all() == (not outside)


def test_candidates_of_one_run_of_the_named_scan_are_counted(own, scored, monkeypatch):
    assert choose_counted_run(own) == choose_counted_run(own, scan=NAME, run=scored) == scored
    for choose in (choose_counted_run, choose_scored_runs):
        with pytest.raises(UnknownRun, match=f"run: expected a run of scan odd, found {scored}"):
            choose(own, scan="odd", run=scored)
    monkeypatch.setattr(results, "choose_scored_runs", lambda *_, **__: [scored, scored])
    with pytest.raises(SeveralScans, match=f"scan: expected one of {NAME}, {NAME}, found none"):
        choose_counted_run(own)
