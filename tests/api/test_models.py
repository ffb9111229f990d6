import pytest

import etchscope as es
from etchscope.foil import BadInput, UnknownModel


def test_models_are_listed_handed_on_and_removed(learnt, own, tmp_path):
    store = es.open(own.path)
    (row,) = store.models().to_dict("records")
    assert (row["name"], row["method"]) == ("first", "stacked")
    assert set(row["labels"]) == set(row["classes"])
    assert row["weights_sha256"] == store.card("first")["weights_sha256"]
    store.export_model("first", tmp_path / "handed-on")
    other = es.open(tmp_path / "other", create=True)
    assert other.import_model(tmp_path / "handed-on") == "handed-on"
    assert other.import_model(name="packaged") == "packaged"
    assert other.models()["name"].tolist() == ["handed-on", "packaged"]
    other.remove_model("packaged")
    assert other.models()["name"].tolist() == ["handed-on"]


def test_a_model_that_is_not_there_is_named(walked, tmp_path):
    assert len(walked.store.models()) == 0
    with pytest.raises(UnknownModel, match="expected one of the store's models"):
        walked.store.card("first")
    with pytest.raises(BadInput, match="card"):
        walked.store.import_model(tmp_path)
