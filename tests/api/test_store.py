import pickle

import pytest

import etchscope as es
from etchscope.foil import BadInput, NotAStore
from etchscope.store import Store as KeptStore


def test_open_makes_a_store_only_if_it_is_asked_to(tmp_path):
    with pytest.raises(NotAStore, match=r"expected a store, found no catalogue\.sqlite"):
        es.open(tmp_path / "foils")
    made = es.open(tmp_path / "foils", create=True)
    assert es.open(str(tmp_path / "foils"), create=True).path == made.path
    assert KeptStore.open(made.path).path == made.path
    with pytest.raises(BadInput, match="expected a folder to make, found a store already"):
        es.Store.create(tmp_path / "foils")


def test_a_store_is_known_by_its_path(walked):
    assert repr(walked.store) == f"Store('{walked.store.path}')"
    assert pickle.loads(pickle.dumps(walked.store)).path == walked.store.path


def test_a_notebook_shows_scans_runs_and_models(walked, tmp_path):
    shown = walked.store._repr_html_()
    assert walked.name in shown
    assert walked.found.run in shown
    empty = es.open(tmp_path / "a<b", create=True)._repr_html_()
    assert empty.endswith("a&lt;b</h4><p>scans</p>none<p>runs</p>none<p>models</p>none")


@pytest.mark.slow
def test_a_report_is_a_page(walked, tmp_path):
    calls = []
    watched = {"progress": lambda *call: calls.append(call)}
    page = walked.store.report(walked.name, tmp_path / "report", **watched)
    assert walked.name in page.read_text(encoding="utf-8")
    assert calls[-1] == ("Drawing tiles", calls[-1][1], 4)
    with pytest.raises(BadInput, match="found a file"):
        walked.store.report(None, page)


def test_a_sheet_shows_the_best_candidates(learnt, own, tmp_path):
    store = es.open(own.path)
    store.run(learnt.scan, model="first")
    page = store.sheet(tmp_path / "best", every=True, count=2)
    assert len(list(page.parent.glob("candidate_*.png"))) == 2
    assert learnt.scan in page.read_text(encoding="utf-8")
    one = store.sheet(tmp_path / "own", table=store.candidates(every=True).iloc[[3]])
    assert len(list(one.parent.glob("candidate_*.png"))) == 1
