import errno
from pathlib import Path

import pytest

import etchscope as es
from etchscope.api import read_working_point
from etchscope.foil import BadInput, MachineFailed, UnknownModel


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


def test_a_full_disk_leaves_the_old_file_of_onnx_and_no_half_one(
    learnt, own, tmp_path, monkeypatch
):
    path, write = tmp_path / "first.onnx", Path.write_bytes
    path.write_bytes(b"of an earlier export")

    def full(file: Path, content: bytes) -> None:
        write(file, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("etchscope.ensemble.convert_to_onnx", lambda _: b"of a new export")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MachineFailed, match=r"writing .*first\.onnx: No space left"):
        es.open(own.path).export_model("first", path)
    assert path.read_bytes() == b"of an earlier export"
    assert [p.name for p in tmp_path.iterdir() if "onnx" in p.name] == ["first.onnx"]


def test_a_model_that_is_not_there_is_named(walked, tmp_path):
    assert len(walked.store.models()) == 0
    with pytest.raises(UnknownModel, match="expected one of the store's models"):
        walked.store.card("first")
    with pytest.raises(BadInput, match="card"):
        walked.store.import_model(tmp_path)


def test_a_foil_of_known_signal_gives_probabilities_and_a_threshold(learnt, own):
    store, truth = es.open(own.path), learnt.foil.truth()
    with pytest.raises(BadInput, match="expected a scan that was scored with first, found none"):
        store.calibrate("first", truth)
    before = store.run(learnt.scan, model="first")
    found = store.calibrate("first", {learnt.scan: truth})
    assert before.run in found.fitted_on
    assert store.card("first")["working_point"]["chosen_by"] == "even odds"
    after = store.run(learnt.scan, model="first")
    assert after.run != before.run
    assert after.expected is not None
    chosen = store.choose_working_point("first", truth, efficiency=0.9)
    assert chosen.run == after.run
    kept = read_working_point(store.card("first"))
    assert (kept.chosen_by, kept.efficiency) == ("efficiency 0.9", chosen.point.efficiency)
    assert store.card("first")["working_point"]["chosen_by"] == "efficiency 0.9"
    assert 0 <= chosen.chance.value < chosen.point.efficiency[0]
    with pytest.raises(BadInput, match="scan to measure on: expected another scan than the one"):
        store.choose_working_point(
            "first", truth, efficiency=0.9, measure_on=truth, measure_scan=learnt.scan
        )
    with pytest.raises(BadInput, match="truth to measure on: expected a table together with"):
        store.choose_working_point("first", truth, efficiency=0.9, measure_on=truth)
