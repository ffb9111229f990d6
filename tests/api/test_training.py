import os

import pytest

import etchscope as es
from etchscope.foil import BadInput, Busy, ModelNameTaken, NotLabelled, UnknownModel

QUICK = {"network": "plain", "epochs": 6, "rate": 8e-3, "batch": 16, "restarts": 0}


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(
        "etchscope.run.stages.training.train_experts", lambda *_, **__: pytest.fail("trained")
    )


def test_a_model_is_trained_and_kept(learnt, own, tmp_path):
    store, calls = es.open(own.path), []
    done = store.train(
        "second",
        es.Training(**QUICK),
        folds=2,
        size=20,
        who=["anna"],
        progress=lambda *call: calls.append(call),
    )
    assert done.name == "second"
    assert set(store.models()["name"]) == {"first", "second"}
    assert store.card("second")["information"]["labels_of"] == {"who": ["anna"]}
    # The same labels and seed give the same weights.
    assert store.card("second")["weights_sha256"] == store.card("first")["weights_sha256"]
    assert done.experts["expert"].tolist() == list(learnt.done.model.information["experts"])
    assert (done.experts["lowest"] <= done.experts["highest"]).all()
    assert "balanced_accuracy" in done._repr_html_()
    assert {"scan", "tile", "x_px", "y_px"} <= set(done.list_wrong_labels().columns)
    assert {what for what, _, _ in calls} == {"Cutting patches", "Training"}
    assert sum(n for what, n, _ in calls if what == "Training") == calls[-1][2]


def test_what_would_fail_after_hours_fails_before(own, no_training):
    store = es.open(own.path)
    with pytest.raises(
        ModelNameTaken,
        match="name of a model: expected a name that no other model has, found 'first'",
    ):
        store.train("first")
    with pytest.raises(BadInput, match="name of a model: expected letters"):
        store.train("a/b")
    with pytest.raises(UnknownModel, match="expected one of the store's models"):
        store.train("second", start="odd")
    with pytest.raises(BadInput, match="class: expected a decidable class"):
        store.train("second", classes=["maybe", "hip"])
    with pytest.raises(BadInput, match="working point: efficiency"):
        store.train("second", efficiency=2)


def test_a_name_that_another_process_trains_is_refused_at_once(own, no_training):
    store = es.open(own.path)
    with (
        store.kept.hold("model-second", "model second"),
        pytest.raises(Busy, match=rf"model second is taken by process {os.getpid()} on .*; repeat"),
    ):
        store.train("second")
    assert not [p for p in own.path.iterdir() if p.name.startswith(".")]


def test_a_name_that_was_taken_since_the_first_look_is_refused_before_the_training(
    own, no_training, monkeypatch
):
    store = es.open(own.path)
    names = iter([["first"], ["first", "second"]])
    monkeypatch.setattr(type(store.kept.models), "names", lambda _: next(names))
    with pytest.raises(ModelNameTaken, match="second"):
        store.train("second")


def test_patches_are_the_labels_that_a_training_learns_from(learnt, own, tmp_path):
    store = es.open(own.path)
    count = store.export_patches(tmp_path / "p.npz", planes=False, size=20)
    assert count == len(learnt.gathered.labelled.label)
    done = store.train("second", es.Training(**QUICK), patches=tmp_path / "p.npz", folds=2)
    assert store.card(done.name)["weights_sha256"] == store.card("first")["weights_sha256"]
    with pytest.raises(BadInput, match="who: expected no choice of labels beside patches"):
        store.train("third", patches=tmp_path / "p.npz", who=["anna"])
    with pytest.raises(BadInput, match=r"expected a name that ends in \.npz"):
        store.export_patches(tmp_path / "p.csv")
    with pytest.raises(BadInput, match="foil and side: expected a scan of odd back, found none in"):
        store.export_patches(tmp_path / "q.npz", foil="odd", side="back")
    assert not (tmp_path / "q.npz").exists()


def test_a_store_without_labels_trains_nothing(walked, no_training):
    with pytest.raises(NotLabelled, match="label"):
        walked.store.train("first")
