import json
import threading

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from etchscope.foil import (
    COLUMNS,
    BadInput,
    DamagedFile,
    MachineFailed,
    NotScored,
    as_pits,
    flag_legend,
)
from etchscope.geometry import Mask
from etchscope.store import FindRecord, JudgingModel, ScoreRecord, Store, runs
from etchscope.store.fit_records import NormalisationFit, ScaleFit

PITS = as_pits(
    {
        "foil": ["F1", "F1"],
        "x_px": [1.0, 2.5],
        "y_px": [3.0, np.nan],
        "partner": [1, None],
        "surface": ["top", None],
        "selected": [True, None],
        "flags": [0, 65],
    }
)

FIT = ScaleFit(scale=1.5, tiles=(1, 2))
RECORD = FindRecord(stage="find", version="0.1.0", scan="F1-front", tiles=(1, 2))


def of(scan):
    return RECORD.model_copy(update={"scan": scan})


def test_a_run_comes_back_in_the_same_dtypes(store):
    store.runs.commit("r1", PITS, RECORD)
    pd.testing.assert_frame_equal(store.runs.pits("r1"), PITS)
    assert store.runs.record("r1") == RECORD
    row = store.runs.table().iloc[0]
    assert (len(store.runs.table()), row["run"], row["scan"], row["pits"]) == (
        1,
        "r1",
        "F1-front",
        2,
    )
    assert store.check() == []


def test_an_empty_run_is_a_run(store):
    store.runs.commit("r1", as_pits({}), RECORD)
    pd.testing.assert_frame_equal(store.runs.pits("r1"), as_pits({}))


def test_the_table_explains_itself(store):
    store.runs.commit("r1", PITS, RECORD)
    schema = pq.read_schema(store.path / "runs/r1/pits.parquet")
    about = json.loads(schema.metadata[b"etchscope"])
    assert about["flags"] == flag_legend()
    assert about["record"] == RECORD.as_dict()
    assert about["columns"]["x_mm"]["unit"] == "mm"
    assert schema.names == [c.name for c in COLUMNS]


def test_the_identical_run_again_changes_nothing_another_is_refused(store, take_snapshot):
    store.runs.commit("r1", PITS, RECORD)
    before = take_snapshot(store.path)
    store.runs.commit("r1", PITS, RECORD)
    assert take_snapshot(store.path) == before
    with pytest.raises(BadInput, match="run r1: expected the same tables as before"):
        store.runs.commit("r1", PITS.iloc[:1], RECORD)
    assert take_snapshot(store.path) == before


def test_the_latest_run_is_the_last_committed(store, make_scan):
    back = make_scan("F1-back", seed=2)
    store.scans.add(back.scan, back.foil, back.read)
    assert store.runs.latest("F1-front") is None
    for run, scan in (("z", "F1-front"), ("a", "F1-front"), ("m", "F1-back")):
        store.runs.commit(run, PITS, of(scan))
    assert store.runs.latest("F1-front") == "a"
    assert store.runs.table()["run"].tolist() == ["z", "a", "m"]
    assert store.runs.table("F1-back")["run"].tolist() == ["m"]


def test_unknown_and_unsafe_names_are_refused(store, take_snapshot):
    before = take_snapshot(store.path)
    with pytest.raises(BadInput, match="found 'F9'"):
        store.runs.commit("r1", PITS, of("F9"))
    with pytest.raises(BadInput, match=r"name of a run: .*'\.\./r1'"):
        store.runs.commit("../r1", PITS, RECORD)
    with pytest.raises(BadInput, match="name of a run"):
        store.runs.write_part(".hidden", 0, PITS, {})
    with pytest.raises(BadInput, match="finished runs, found 'r7'"):
        store.runs.pits("r7")
    assert take_snapshot(store.path) == before


def test_a_commit_that_was_killed_is_repeated(store):
    folder = store.path / "runs/r1"
    folder.mkdir()
    (folder / "pits.parquet").write_text("half")
    assert [f.severity for f in store.check()] == ["leftover"]
    store.runs.commit("r1", PITS, RECORD)
    pd.testing.assert_frame_equal(store.runs.pits("r1"), PITS)
    assert store.check() == []


def test_parts_come_back_and_go_with_the_commit(store):
    assert store.runs.parts("r1") == {}
    for index in (3, 0):
        store.runs.write_part("r1", index, PITS.assign(extra=index), {"tile": index})
    assert store.runs.parts("r1") == {0: {"tile": 0}, 3: {"tile": 3}}
    pd.testing.assert_frame_equal(store.runs.read_part("r1", 3), PITS.assign(extra=3))
    store.runs.commit("r1", PITS, RECORD)
    assert store.runs.parts("r1") == {}
    assert store.check() == []


def test_parts_have_the_same_bytes_again(store):
    path = store.path / "runs/.r1.partial/part-00000.parquet"
    store.runs.write_part("r1", 0, PITS, {"b": 1, "a": 2})
    first = path.read_bytes()
    store.runs.write_part("r1", 0, PITS, {"a": 2, "b": 1})
    assert path.read_bytes() == first


def test_a_half_written_part_is_never_read(store):
    store.runs.write_part("r1", 0, PITS, {})
    folder = store.path / "runs/.r1.partial"
    (folder / ".part-00001.parquet.77-1.aside").write_bytes(b"PAR1")
    assert list(store.runs.parts("r1")) == [0]
    damaged = folder / "part-00002.parquet"
    damaged.write_bytes((folder / "part-00000.parquet").read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"part-00002\.parquet: expected a part of a run"):
        store.runs.parts("r1")
    with pytest.raises(BadInput, match=r"part-00002\.parquet"):
        store.runs.read_part("r1", 2)
    with pytest.raises(BadInput, match=r"part-00009\.parquet"):
        store.runs.read_part("r1", 9)


def test_a_flipped_bit_in_a_pit_table_is_never_read_as_data(store):
    rng = np.random.default_rng(0)
    pits = as_pits({"x_px": rng.random(500), "y_px": rng.random(500)})
    store.runs.commit("r1", pits, RECORD)
    path = store.path / "runs/r1/pits.parquet"
    data, refused = path.read_bytes(), 0
    for at in range(20, 8000, 97):
        broken = bytearray(data)
        broken[at] ^= 4
        path.write_bytes(bytes(broken))
        try:
            found = store.runs.pits("r1")
        except BadInput as error:
            refused += "pits.parquet: expected an intact Parquet file" in str(error)
        else:
            pd.testing.assert_frame_equal(found, pits)
    assert refused > 60


def test_a_fit_comes_back_and_is_named_by_its_bytes(store):
    arrays = {"b": np.array(2), "a": np.arange(6, dtype="f4").reshape(2, 3)}
    digest = store.fits.save("F1-front", "recipe", arrays, FIT)
    assert store.fits.load("F1-front", "other", ScaleFit) is None
    found = store.fits.load("F1-front", "recipe", ScaleFit)
    assert found is not None
    assert found[1] == FIT
    assert sorted(found[0]) == ["a", "b"]
    np.testing.assert_array_equal(found[0]["a"], arrays["a"])
    assert found[0]["a"].dtype == np.float32
    assert found[0]["b"].shape == ()
    assert [p.name for p in (store.path / "fits").iterdir()] == [f"F1-front-{digest[:16]}.npz"]
    again = store.fits.save("F1-front", "recipe", dict(reversed(arrays.items())), FIT)
    assert again == digest
    assert store.check() == []


def test_a_record_of_another_kind_of_fit_is_damage(store):
    store.fits.save("F1-front", "recipe", {}, FIT)
    text = r": fit recipe of scan F1-front: limit: expected the record of a fit"
    with pytest.raises(DamagedFile, match=text):
        store.fits.load("F1-front", "recipe", NormalisationFit)


def test_a_new_fit_takes_the_place_of_the_old(store):
    store.fits.save("F1-front", "recipe", {"a": np.ones(2)}, FIT)
    store.fits.save("F1-front", "same", {"a": np.ones(2)}, FIT)
    store.fits.save("F1-front", "recipe", {"a": np.zeros(2)}, FIT)
    new, same = (
        store.fits.load("F1-front", "recipe", ScaleFit),
        store.fits.load("F1-front", "same", ScaleFit),
    )
    assert new is not None
    assert same is not None
    assert new[0]["a"].tolist() == [0, 0]
    assert same[0]["a"].tolist() == [1, 1]
    store.fits.save("F1-front", "same", {"a": np.zeros(2)}, FIT)
    assert len(list((store.path / "fits").iterdir())) == 1
    assert store.check() == []


def test_fits_of_one_beginning_are_listed_and_dropped(store):
    for recipe, arrays in {"a_b-1": {"a": np.ones(2)}, "a_b-2": {}, "a.b-1": {}}.items():
        store.fits.save("F1-front", recipe, arrays, FIT)
    assert store.fits.records("F1-front", "a_b-", ScaleFit) == {"a_b-1": FIT, "a_b-2": FIT}
    assert store.fits.records("F2-front", "a_b-", ScaleFit) == {}
    store.fits.drop("F1-front", ["a_b-1", "a_b-2", "absent"])
    assert store.fits.records("F1-front", "a", ScaleFit) == {"a.b-1": FIT}
    assert store.fits.load("F1-front", "a.b-1", ScaleFit) == ({}, FIT)  # whose file they shared
    assert len(list((store.path / "fits").iterdir())) == 1
    assert store.check() == []


def test_a_fit_of_objects_or_a_damaged_one_is_refused(store):
    with pytest.raises(BadInput, match="fit: array a: expected numbers"):
        store.fits.save("F1-front", "recipe", {"a": np.array([None])}, FIT)
    with pytest.raises(BadInput, match="found 'F9'"):
        store.fits.save("F9", "recipe", {"a": np.ones(2)}, FIT)
    store.fits.save("F1-front", "recipe", {"a": np.ones(2)}, FIT)
    path = next((store.path / "fits").iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadInput, match=r"\.npz: expected SHA-256"):
        store.fits.load("F1-front", "recipe", ScaleFit)


def test_writers_of_other_parts_do_not_disturb(store):
    def write(index: int) -> None:
        store.runs.write_part("r1", index % 8, PITS, {"tile": index % 8})

    threads = [threading.Thread(target=write, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(store.runs.parts("r1")) == list(range(8))
    assert not [p for p in (store.path / "runs/.r1.partial").iterdir() if p.suffix == ".aside"]


def test_a_failed_commit_leaves_the_store_as_it_was(store, take_snapshot, monkeypatch):
    before = take_snapshot(store.path)

    def full(*_: object, **__: object) -> None:
        raise MachineFailed("full")

    monkeypatch.setattr(runs, "now", full)
    with pytest.raises(MachineFailed, match="full"):
        store.runs.commit("r1", PITS, RECORD)
    assert take_snapshot(store.path) == before


def test_an_interrupt_after_the_commit_leaves_the_run(store, after_next_commit):
    def stop() -> None:
        raise KeyboardInterrupt

    after_next_commit(stop)
    with pytest.raises(KeyboardInterrupt):
        store.runs.commit("r1", PITS, RECORD)
    pd.testing.assert_frame_equal(store.runs.pits("r1"), PITS)
    assert store.check() == []


def test_a_run_that_comes_again_while_it_is_removed_has_its_files(store, after_next_commit):
    store.runs.commit("r1", PITS, RECORD)
    after_next_commit(lambda: Store.open(store.path).runs.commit("r1", PITS, RECORD))
    store.runs.remove(["r1"])
    pd.testing.assert_frame_equal(store.runs.pits("r1"), PITS)
    assert store.check() == []


def test_a_scan_keeps_its_mask_and_remembers_earlier_ones(store):
    (name, *_) = store.scans.names()
    assert store.fits.mask(name) is None
    one = Mask(polygons=(np.array([[0, 0], [1, 0], [0, 1.0]]),))
    other = Mask(pictures=np.ones((1, 3, 4), bool))
    store.fits.set_mask(name, one)
    store.fits.set_mask(name, other)
    assert Store.open(store.path).fits.mask(name).digest == other.digest
    assert store.fits.mask(name, one.digest).digest == one.digest
    store.fits.set_mask(name, other)
    store.fits.set_mask(name, None)
    assert store.fits.mask(name) is None
    assert store.fits.mask(name, other.digest).digest == other.digest
    assert [f for f in store.check() if f.severity == "damaged"] == []
    with pytest.raises(BadInput, match="expected a mask of the store, found mask 0123"):
        store.fits.mask(name, "0123")
    with pytest.raises(BadInput, match="none"):
        store.fits.set_mask("none", one)


def test_the_latest_run_is_that_of_the_stage_that_is_asked_for(store):
    name = "F1-front"
    pits = as_pits({"tile": [1], "surface": ["top"], "x_px": [1.0], "y_px": [1.0]})
    of_region = RECORD.model_copy(update={"region_mm": ((0, 0), (1, 0), (1, 1))})
    model = JudgingModel(name="first", signal="hip", weights_sha256="ab")
    known = RECORD.as_dict() | {"stage": "score"}
    scored = ScoreRecord(**known, search="a", model=model)
    for run, record in (("a", RECORD), ("b", scored), ("c", of_region)):
        store.runs.commit(run, pits.assign(scan=name, run=run), record)
    assert store.runs.names(name) == ["c", "b", "a"]
    assert store.runs.latest(name) == "c"
    assert store.runs.latest(name, stage="find") == "c"
    assert store.runs.latest(name, stage="find", whole=True) == "a"
    assert store.runs.latest(name, stage="score") == "b"
    assert store.runs.latest(name, weights_sha256="ab") == "b"
    assert store.runs.latest(name, weights_sha256="cd") is None
    assert store.runs.score_record("b") == scored
    with pytest.raises(NotScored, match="run a: expected a scored run, found a search"):
        store.runs.score_record("a")
    assert "a" in store.runs
    assert "d" not in store.runs
