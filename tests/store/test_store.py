import multiprocessing
import os
import pickle
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.store import Store


def test_a_scan_comes_back_as_it_went_in(store, made):
    assert store.scans.get("F1-front") == made.scan
    assert store.scans.names() == ["F1-front"]
    assert store.scans.foils() == [made.foil]
    assert [s.name for s in store.scans.stacks()] == ["S1"]
    for number in range(1, 12):
        tile = store.scans.read_tile("F1-front", number)
        assert tile.dtype == np.uint8
        np.testing.assert_array_equal(tile, made.pixels[number - 1])


def test_sixteen_bits_come_back(empty, make_scan):
    made = make_scan(dtype="uint16")
    empty.scans.add(made.scan, made.foil, made.read)
    np.testing.assert_array_equal(empty.scans.read_tile("F1-front", 3), made.pixels[2])
    assert empty.check() == []


def test_create_refuses_what_is_there(tmp_path, store):
    with pytest.raises(BadInput, match="found a store already"):
        Store.create(store.path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="new or empty folder"):
        Store.create(tmp_path / "other")
    assert (tmp_path / "other/notes.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert Store.create(tmp_path / "empty").scans.names() == []


@pytest.mark.parametrize("make", ["absent", "folder", "file", "garbage"])
def test_open_refuses_what_is_no_store(tmp_path, make):
    path = tmp_path / "thing"
    if make == "folder":
        path.mkdir()
    elif make == "file":
        path.write_text("x")
    elif make == "garbage":
        path.mkdir()
        (path / "catalogue.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(BadInput, match=r"thing.*expected an? (Etchscope|intact|store)"):
        Store.open(path)


@pytest.mark.sqlite
def test_a_newer_store_is_refused_and_nothing_touched(store, take_snapshot):
    with sqlite3.connect(store.path / "catalogue.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = take_snapshot(store.path)
    for opened in (Store.open, Store.migrate):
        with pytest.raises(BadInput, match=r"version 9999\. Open it with a later version"):
            opened(store.path)
    assert take_snapshot(store.path) == before


def test_unknown_scan_and_tile_are_named(store):
    with pytest.raises(BadInput, match=r"one of the store's scans \(F1-front\), found 'F2'"):
        store.scans.get("F2")
    with pytest.raises(BadInput, match="scan F1-front: expected one of its tiles, found tile 12"):
        store.scans.read_tile("F1-front", 12)
    with pytest.raises(BadInput, match="'F2'"):
        store.scans.digest("F2")
    with pytest.raises(BadInput, match="'F2'"):
        store.scans.left_out("F2")


def test_the_digest_ignores_exclusion_and_sees_everything_else(store, made, empty, make_scan):
    digest = store.scans.digest("F1-front")
    store.scans.exclude("tile = 3", "dust")
    assert store.scans.digest("F1-front") == digest
    others = [
        make_scan("F1-front", seed=2),
        make_scan("F1-front", tiles=12),
    ]
    for i, other in enumerate(others):
        another = Store.create(store.path.with_name(f"other{i}"))
        another.scans.add(other.scan, other.foil, other.read)
        assert another.scans.digest("F1-front") != digest


def test_exclude_and_include_by_query(store, made, take_snapshot):
    before = take_snapshot(store.path)
    gone = store.scans.exclude("exposure_ms > 3 and foil = 'F1'", "it's a fibre")
    assert gone["tile"].tolist() == [8, 9, 10, 11]
    assert gone["excluded"].all()
    scan = store.scans.get("F1-front")
    assert [t.number for t in scan.included] == [1, 2, 3, 4, 5, 6, 7]
    assert {t.excluded_why for t in scan.tiles if t.excluded} == {"it's a fibre"}
    assert store.scans.tiles("excluded")["tile"].tolist() == [8, 9, 10, 11]
    back = store.scans.include("excluded_why like '%fibre'")
    assert back["tile"].tolist() == [8, 9, 10, 11]
    assert store.scans.get("F1-front") == made.scan
    assert take_snapshot(store.path) == before
    assert len(store.scans.exclude("tile > 100", "none")) == 0


def test_more_tiles_than_a_statement_has_variables(store, few_variables):
    assert len(store.scans.exclude("tile > 0", "all")) == 11
    assert store.scans.get("F1-front").included == ()


def test_reads_are_safe_from_threads(store, made):
    start = threading.Barrier(4)

    def read(worker: int) -> None:
        start.wait()
        for i in range(40):
            number = (7 * i + worker) % 11 + 1
            np.testing.assert_array_equal(
                store.scans.read_tile("F1-front", number), made.pixels[number - 1]
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(4)))


def _tile_sum(store: Store, number: int) -> int:
    return int(store.scans.read_tile("F1-front", number).sum())


@pytest.mark.slow
def test_reads_are_safe_from_processes(store, made):
    store.scans.read_tile("F1-front", 1)  # open handles and running threads must not matter
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(_tile_sum, [(store, n) for n in range(1, 12)])
    assert found == [int(p.sum()) for p in made.pixels]


def test_a_pickled_store_is_its_path(store):
    again = pickle.loads(pickle.dumps(store))
    assert again.path == store.path
    assert again.scans.digest("F1-front") == store.scans.digest("F1-front")


def test_another_stores_object_sees_what_was_removed(store):
    reader = Store.open(store.path)
    reader.scans.read_tile("F1-front", 1)
    store.scans.remove("tile = 1")
    with pytest.raises(BadInput, match="found tile 1"):
        reader.scans.read_tile("F1-front", 1)


def test_a_removal_waits_for_an_addition_and_says_for_whom(store, make_scan, caplog):
    other = make_scan("F2-front")
    removal = threading.Thread(target=Store.open(store.path).scans.remove, args=["true"])

    def read(number: int):  # the removal starts while the addition goes on
        if number == 1:
            removal.start()
            removal.join(0.3)
            assert removal.is_alive()
        return other.read(number)

    assert store.scans.add(other.scan, other.foil, read, workers=1).is_new
    removal.join()
    (line,) = caplog.messages
    assert line.startswith(f"{store.path}: removing: waiting for process {os.getpid()} on ")
    assert f"at {store.path}: adding scan F2-front since" in line
    assert store.scans.names() == []  # both scans: the removal came second
    assert store.check() == []
    assert (store.path / "images/.lock").read_bytes() == b""


@pytest.mark.sqlite
def test_a_damaged_catalogue_is_one_error(store):
    path = Path(store.path / "catalogue.sqlite")
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 60000)
    with pytest.raises(BadInput, match=r"catalogue\.sqlite"):
        Store.open(store.path).scans.get("F1-front")
