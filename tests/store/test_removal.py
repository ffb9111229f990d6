import shutil

import numpy as np
import pytest

import etchscope as es
from etchscope.foil import BadInput, MachineFailed, as_pits
from etchscope.store import FindRecord, Removal, Store, removal
from etchscope.store.fit_records import MaskFit
from etchscope.store.rows import pictures_of


@pytest.fixture
def full(store, make_scan) -> Store:
    back = make_scan("F1-back", seed=2)
    store.scans.add(back.scan, back.foil, back.read)
    other = make_scan("F2-front", seed=3)
    store.scans.add(other.scan, other.foil.model_copy(update={"stack": "S2"}), other.read)
    for scan in store.scans.names():
        record = FindRecord(stage="find", version="0.1.0", scan=scan, tiles=(1,))
        store.runs.commit(f"run-{scan}", as_pits({"x_px": [1.0], "y_px": [2.0]}), record)
        store.fits.save(scan, "recipe", {"a": np.ones(2)}, MaskFit(mask=None))
    return store


def test_a_scan_goes_with_all_that_came_from_it_and_nothing_else(full, made, take_snapshot):
    before = take_snapshot(full.path)
    expected = Removal(
        scans=("F2-front",),
        tiles=(),
        runs=("run-F2-front",),
        fits=("F2-front: recipe",),
        foils=("F2",),
        stacks=("S2",),
    )
    assert full.scans.dependants("foil = 'F2'") == expected
    assert take_snapshot(full.path) == before
    assert full.scans.remove("foil = 'F2'") == expected
    assert full.scans.names() == ["F1-back", "F1-front"]
    assert full.runs.table()["run"].tolist() == ["run-F1-back", "run-F1-front"]
    assert [f.name for f in full.scans.foils()] == ["F1"]
    assert [s.name for s in full.scans.stacks()] == ["S1"]
    assert full.fits.load("F2-front", "recipe", MaskFit) is None
    after = take_snapshot(full.path)
    assert {k for k in before if k not in after} == {
        k for k in before if "F2-front" in k and not k.startswith("table")
    }
    assert full.check() == []


def test_unfinished_runs_go_with_their_scan(full):
    table = as_pits({"x_px": [1.0], "y_px": [1.0]})
    for run, scan in (("a", "F1-front"), ("b", "F1-back")):
        full.runs.write_part(run, 0, table, {"scan": scan})
    (full.path / "runs/.a.partial/part-00000.parquet").rename(
        full.path / "runs/.a.partial/part-00001.parquet"
    )
    (full.path / "runs/.a.partial/part-00000.parquet").write_text("damaged")
    full.scans.remove("scan = 'F1-front'")
    assert full.runs.parts("a") == {}
    assert list(full.runs.parts("b")) == [0]


def test_what_the_store_did_not_name_is_not_deleted(full):
    mine = full.path / "images/notes.txt"
    mine.write_text("mine")
    full.scans.remove("scan = 'F1-front'")
    assert mine.read_text() == "mine"
    assert [f.what for f in full.check()] == ["images/notes.txt"]


def test_a_foil_stays_while_it_has_a_scan(full):
    assert full.scans.dependants("scan = 'F1-back'").foils == ()
    both = full.scans.dependants("foil = 'F1'")
    assert (both.scans, both.foils, both.stacks) == (("F1-back", "F1-front"), ("F1",), ("S1",))


def test_some_tiles_are_erased_from_their_shards(full, made):
    removed = full.scans.remove("scan = 'F1-front' and tile in (1, 10)")
    assert removed.tiles == (("F1-front", (1, 10)),)
    assert (removed.runs, removed.fits) == (("run-F1-front",), ("F1-front: recipe",))
    scan = full.scans.get("F1-front")
    assert [t.number for t in scan.tiles] == [2, 3, 4, 5, 6, 7, 8, 9, 11]
    for tile in scan.tiles:
        np.testing.assert_array_equal(
            full.scans.read_tile("F1-front", tile.number), made.pixels[tile.number - 1]
        )
    array = full.scans._array("F1-front")[0]
    assert not array.read(0).any()
    assert not array.read(9).any()
    assert full.check() == []


def test_one_tile_of_each_scan_leaves_all_scans(full):
    """Also where the table of what goes has no other tile."""
    removed = full.scans.remove(None, tile=1)
    assert removed.tiles == tuple((name, (1,)) for name in full.scans.names())
    assert (removed.scans, removed.foils, removed.stacks) == ((), (), ())
    assert [len(full.scans.get(name).tiles) for name in full.scans.names()] == [10, 10, 10]


def test_more_tiles_than_a_statement_has_variables(full, few_variables):
    full.scans.remove("scan = 'F1-front' and tile not in (2, 5, 7)")
    assert [t.number for t in full.scans.get("F1-front").tiles] == [2, 5, 7]
    assert {p.tile for p in _pictures(full)} == {2, 5, 7}
    assert full.check() == []


def _pictures(store):
    with store._catalogue.reading() as session:
        return pictures_of(session, "F1-front")


def test_the_identity_changes_with_the_tiles(full):
    before = full.scans.digest("F1-front")
    full.scans.remove("scan = 'F1-front' and tile = 1")
    assert full.scans.digest("F1-front") != before


def test_a_tile_with_a_datum_hole_stays_with_its_scan(full, take_snapshot):
    before = take_snapshot(full.path)
    with pytest.raises(BadInput, match="scan F1-front: tile 5: expected the tiles of all datum"):
        full.scans.remove("scan = 'F1-front' and tile = 5")
    assert take_snapshot(full.path) == before


def test_results_that_come_again_while_tiles_go_have_their_files(full, after_next_commit):
    arrays, record = {"a": np.ones(2)}, full.runs.record("run-F1-front")

    def save_again() -> None:
        other = Store.open(full.path)
        other.fits.save("F1-front", "recipe", arrays, MaskFit(mask=None))
        pits = as_pits({"x_px": [1.0], "y_px": [2.0]})
        other.runs.commit("run-F1-front", pits, record)

    after_next_commit(save_again)
    full.scans.remove("scan = 'F1-front' and tile = 1")
    assert np.array_equal(full.fits.load("F1-front", "recipe", MaskFit)[0]["a"], arrays["a"])
    assert len(full.runs.pits("run-F1-front")) == 1
    assert full.check() == []


def test_nothing_matches(full, take_snapshot):
    before = take_snapshot(full.path)
    assert full.scans.remove("tile > 100") == Removal((), (), (), (), (), ())
    assert take_snapshot(full.path) == before


def test_a_removed_scan_can_be_added_again(full, made):
    full.scans.remove("scan = 'F1-front'")
    assert full.scans.add(made.scan, made.foil, made.read).is_new
    np.testing.assert_array_equal(full.scans.read_tile("F1-front", 11), made.pixels[10])


@pytest.mark.parametrize("where", ["scan = 'F1-front'", "scan = 'F1-front' and tile = 1"])
def test_stopped_between_catalogue_and_disk_leaves_leftovers_only(
    full, make_scan, monkeypatch, where
):
    def stop(*_: object) -> None:
        raise MachineFailed("stopped")

    monkeypatch.setattr("etchscope.store.scans.delete_unnamed", stop)
    monkeypatch.setattr("etchscope.store.scans.drop_partial", stop)
    with pytest.raises(MachineFailed, match="stopped"):
        full.scans.remove(where)
    monkeypatch.undo()
    findings = full.check()
    assert {f.severity for f in findings} == {"leftover"}
    other = make_scan("F3-front")
    full.scans.add(other.scan, other.foil, other.read)
    assert all("zarr" not in f.what and "not erased" not in f.detail for f in full.check())


RUN = "find-0123456789abcdef"


@pytest.mark.sqlite  # since a copy of the folder would share a database elsewhere
@pytest.mark.parametrize("what", ["scan", "tile", "run"])
def test_the_same_removal_again_finishes_one_that_was_killed(
    full, take_snapshot, monkeypatch, what
):
    record = FindRecord(stage="find", version="0.1.0", scan="F1-front", tiles=(1,))
    full.runs.commit(RUN, as_pits({"x_px": [1.0], "y_px": [2.0]}), record)
    calm = shutil.copytree(full.path, full.path.with_name("calm"))

    def remove(path):
        store = es.open(path)
        if what == "run":
            store.require_removable(RUN)
            store.remove_runs(RUN)
        else:
            chosen = {"scan": "F1-front"} | ({"tile": 1} if what == "tile" else {})
            store.dependants(**chosen)
            store.remove(**chosen)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    remove(calm)
    for module in ("runs", "removal"):
        monkeypatch.setattr(f"etchscope.store.{module}.delete", die)
    with pytest.raises(KeyboardInterrupt):
        remove(full.path)
    monkeypatch.undo()
    assert full.check() != []
    with pytest.raises(BadInput):
        remove(full.path)
    assert full.check() == []
    assert take_snapshot(full.path) == take_snapshot(calm)


def test_a_damaged_shard_does_not_stop_later_work(full, caplog):
    shard = full.path / "images/F1-front.zarr/0/c/0/0/0/0"
    shard.write_bytes(shard.read_bytes()[:-40])
    with caplog.at_level("WARNING", logger=removal.__name__):
        full.scans.remove("scan = 'F1-front' and tile = 1")
    assert "removed tiles of scan F1-front are not erased yet" in caplog.text
    assert "removed tiles that are not erased yet" in [f.detail for f in full.check()]
