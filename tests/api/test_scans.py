import sqlite3
from contextlib import closing

import pytest

import etchscope as es
from etchscope.foil import BadInput, NoTiles, UnknownScan


@pytest.fixture
def store(tmp_path):
    return es.open(tmp_path / "store", create=True)


def test_scans_are_added_and_listed(store, walked):
    done = []
    assert store.add(walked.folder, each=done.append) == [walked.name]
    assert store.add(str(walked.folder), each=done.append) == [walked.name]
    assert [one.is_new for one in done] == [True, False]
    (row,) = store.scans().to_dict("records")
    assert (row["scan"], row["foil"], row["side"]) == (walked.name, "simulated", "front")
    assert (row["tiles"], row["channels"], row["runs"]) == (4, 10, 0)
    assert store.tiles(scan=walked.name)["tile"].tolist() == [1, 2, 3, 4]
    assert store.tiles("tile > 2", foil="simulated")["tile"].tolist() == [3, 4]


def test_a_simulated_scan_is_added_as_it_is(store, walked):
    calls = []
    assert store.add(walked.foil, progress=lambda *call: calls.append(call)) == [walked.name]
    assert sum(n for _, n, _ in calls) == 4
    assert {(what, total) for what, _, total in calls} == {(f"Adding {walked.name}", 4)}
    added = store.kept.scans.read_tile(walked.name, 2)
    assert (added == walked.foil.read_tile(2)).all()


def test_one_name_is_not_for_two_scans(store, walked, tmp_path):
    with pytest.raises(BadInput, match="name of a scan: expected one scan to name, found 2 scans"):
        store.add([walked.folder, walked.folder.parent / "front"], scan="mine")


def test_tiles_are_excluded_included_and_removed(store, walked):
    store.add(walked.folder, scan="mine")
    assert store.exclude(scan="mine", tile=3, why="a fibre")["tile"].tolist() == [3]
    assert store.tiles("excluded")["excluded_why"].tolist() == ["a fibre"]
    assert store.include("excluded_why = 'a fibre'")["tile"].tolist() == [3]
    assert store.dependants(tile=4).tiles == (("mine", (4,)),)
    assert len(store.tiles()) == 4
    store.remove(tile=4)
    assert store.tiles()["tile"].tolist() == [1, 2, 3]
    assert store.remove(scan="mine").scans == ("mine",)
    assert len(store.scans()) == 0


def test_the_tiles_of_a_scan_are_excluded_and_removed_without_reading_other_scans(store, walked):
    for scan in ("mine", "other"):
        store.add(walked.folder, scan=scan)
    path = store.path / "catalogue.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tile SET metadata = 'no JSON' WHERE scan = 'other'")
    with pytest.raises(BadInput):
        store.tiles(scan="mine")  # the table of all tiles
    assert store.exclude(scan="mine", why="dust")["tile"].tolist() == [1, 2, 3, 4]
    assert store.scans()["excluded"].tolist() == [4, 0]
    assert store.include(scan="mine", tile=2)["tile"].tolist() == [2]
    assert store.scans()["excluded"].tolist() == [3, 0]
    for nothing in ({"scan": "odd"}, {"scan": "mine", "tile": 10**30}, {"foil": "\udcff"}):
        with pytest.raises(NoTiles, match="expected tiles that match, found none"):
            store.exclude(why="dust", **nothing)
        with pytest.raises(NoTiles, match="expected tiles that match, found none"):
            store.remove(**nothing)
    assert store.remove(scan="mine", tile=3).tiles == (("mine", (3,)),)
    assert store.dependants(scan="mine").scans == ("mine",)
    assert store.remove(scan="mine").foils == ()
    assert store.scans()["scan"].tolist() == ["other"]


@pytest.mark.parametrize("step", ["include", "dependants", "remove"])
def test_no_step_takes_all_tiles_because_none_is_named(walked, step):
    with pytest.raises(BadInput, match="which tiles: expected a condition, a foil, a scan or a"):
        getattr(walked.store, step)()
    with pytest.raises(NoTiles, match=r"tile = 99: expected tiles that match, found none"):
        getattr(walked.store, step)(tile=99)


def test_a_mask_is_kept_with_the_scan(store, walked, tmp_path):
    mask = tmp_path / "mask.json"
    mask.write_text("[[-0.2, -0.3], [0.3, -0.3], [0.3, 0.1], [-0.2, 0.1]]")
    store.add(walked.folder, mask=mask)
    assert store.kept.fits.mask(walked.name) is not None
    store.set_mask(None)
    assert store.kept.fits.mask(walked.name) is None
    store.set_mask(mask, scan=walked.name)
    assert store.find(walked.name).tiles == 1
    with pytest.raises(UnknownScan, match="other"):
        store.set_mask(mask, scan="other")


def test_a_sound_store_has_no_findings(walked):
    calls = []
    assert walked.store.check(progress=lambda *call: calls.append(call)) == []
    assert calls[-1][2] == 4
