import pandas as pd
import pytest

import etchscope as es
from etchscope.foil import BadInput, NoLabeller, UnknownClass

PLACES = pd.DataFrame({"tile": [1, 1, 2], "x_px": [20.0, 90, 50], "y_px": [30.0, 60, 40]})


@pytest.fixture
def store(tmp_path, walked):
    store = es.open(tmp_path / "store", create=True)
    store.add(walked.folder)
    return store


def labels(name, classes=("top", "bottom", "hip")):
    return PLACES.assign(scan=name, **{"class": list(classes)})


def test_labels_come_as_a_table_or_as_its_file(store, walked, tmp_path):
    done = store.label(labels(walked.name), who="anna", when="2026-05-01")
    assert (done.added, done.known) == (3, 0)
    labels(walked.name).to_csv(tmp_path / "labels.csv", index=False)
    again = store.label(tmp_path / "labels.csv", who="anna", when="2026-05-01")
    assert (again.added, again.known) == (0, 3)
    kept = store.labels(who="anna")
    assert kept["class"].tolist() == ["top", "bottom", "hip"]
    assert set(kept["source"]) == {"person"}
    assert store.labels(classes=["hip"])["x_mm"].notna().all()


def test_labels_in_memory_are_made_now(store, walked):
    before = pd.Timestamp.now("UTC")
    store.label(labels(walked.name), who="anna")
    assert (store.labels()["when"] >= before.floor("s")).all()
    store.label(labels(walked.name, ["top", "top", "top"]), who="anna")
    assert store.labels()["class"].tolist() == ["top", "top", "top"]
    assert len(store.labels(every=True)) == 6


def test_labels_are_counted_and_compared(store, walked):
    store.label(labels(walked.name), who="anna")
    store.label(labels(walked.name, ["top", "top", "top.spallation"]), who="bea")
    counts = store.count_labels()
    of = counts.classes.set_index("class")["labels"]
    assert (of["hip"], of["top"], of["bottom"]) == (1, 4, 1)
    assert (counts.labels, counts.events, counts.who) == (6, 6, {"anna": 3, "bea": 3})
    assert len(store.conflicts()) == 2
    assert len(store.conflicts(side="back")) == 0


def test_labels_are_exported_as_a_table_that_comes_back(store, walked, tmp_path):
    store.label(labels(walked.name), who="anna")
    assert store.export_labels(tmp_path / "hip.csv", classes=["hip"]) == 1
    assert store.export_labels(tmp_path / "all.parquet", who="anna") == 3
    again = store.label(tmp_path / "all.parquet")
    assert (again.added, again.known) == (0, 3)
    with pytest.raises(UnknownClass, match="class: expected"):
        store.export_labels(tmp_path / "odd.csv", classes=["odd"])
    assert not (tmp_path / "odd.csv").exists()


def test_classes_are_set_with_a_taxonomy(store, walked, tmp_path):
    file = tmp_path / "classes.json"
    file.write_text('{"classes": {"hip": "", "top": "", "bottom": "", "star": ""}}')
    store.label(taxonomy=file)
    assert "star" in store.count_labels().classes["class"].tolist()
    store.label(labels(walked.name, ["star", "top", "hip"]), who="anna")


def test_what_cannot_be_a_label_is_named(store, walked):
    with pytest.raises(BadInput, match="expected files or a table of labels, or a taxonomy"):
        store.label()
    with pytest.raises(
        NoLabeller, match="labels: column who: expected the name of the labeller, found none"
    ):
        store.label(labels(walked.name))
    with pytest.raises(BadInput, match="labels: column class, row 2: expected a class, found none"):
        store.label(labels(walked.name, ["top", None, "hip"]), who="anna")
    with pytest.raises(BadInput, match="labels: expected columns class and foil, side"):
        store.label(PLACES, who="anna")
    with pytest.raises(UnknownClass, match="class: expected"):
        store.labels(classes=["nonsense"])
    assert len(store.labels()) == 0
