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
