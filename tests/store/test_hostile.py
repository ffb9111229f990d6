"""Stores whose catalogue somebody altered, and many programs at one store at once."""

import json
import sqlite3
from contextlib import closing
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from etchscope.foil import BadInput, DamagedFile, Tile, as_pits
from etchscope.store import FindRecord, Store
from etchscope.store.fit_records import MaskFit
from etchscope.store.sqlite import SqliteFile


@pytest.fixture
def full(store):
    record = FindRecord(stage="find", version="0.1.0", scan="F1-front", tiles=(1,))
    store.runs.commit("r1", as_pits({"x_px": [1.0], "y_px": [2.0]}), record)
    store.fits.save("F1-front", "recipe", {"gain": np.ones(3)}, MaskFit(mask=None))
    return store


def alter(store, statement, value=None):
    if isinstance(store._catalogue.database, SqliteFile):  # with no check of the values
        with closing(sqlite3.connect(store.path / "catalogue.sqlite")) as connection, connection:
            connection.execute(statement, {"value": value})
    else:
        with store._catalogue.writing() as session:
            session.execute(text(statement), {"value": value})


@pytest.fixture
def victim(tmp_path):
    """A folder and a file beside the store."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "thesis.tex").write_text("years of work")
    (tmp_path / "victim.txt").write_text("more of it")
    return tmp_path


@pytest.mark.parametrize(
    ("table", "column", "name"),
    [
        ("run", "name", "../../victim"),
        ("fit", "file", "../../victim.txt"),
        ("run", "name", "."),
        ("run", "name", ""),
        ("fit", "file", "/etc/hostname"),
    ],
)
def test_no_name_of_the_catalogue_reaches_outside_the_store(full, victim, table, column, name):
    alter(full, f"UPDATE {table} SET {column} = :value", name)
    with pytest.raises(DamagedFile, match="a name in the catalogue"):
        full.scans.remove("tile > 0")
    assert full.scans.names() == ["F1-front"]  # nothing was changed
    if table == "run":
        with pytest.raises(BadInput):
            full.runs.remove([name])
        with pytest.raises(BadInput):
            full.runs.pits(name)
    else:
        with pytest.raises(BadInput):
            full.fits.load("F1-front", "recipe", MaskFit)
    assert (victim / "victim" / "thesis.tex").read_text() == "years of work"
    assert (victim / "victim.txt").read_text() == "more of it"
    assert any("a name in the catalogue" in f.detail for f in full.check())


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE run SET files = '[1]'", "runs"),
        ('UPDATE run SET files = \'{"../x": "a"}\'', "runs"),
        ("UPDATE run SET files = '{'", "catalogue"),
        ("UPDATE run SET name = x'ff'", "runs"),
        ("UPDATE scan SET datum = '7'", "scans"),
        ("UPDATE scan SET height_px = 'many'", "scans"),
        ("UPDATE scan SET metadata = '[]'", "scans"),
        ("UPDATE scan SET name = 'other'", "scans"),
        ("UPDATE tile SET number = -1 WHERE number = 2", "scans"),
        ("UPDATE tile SET metadata = 'null'", "scans"),
        ("UPDATE tile SET place = 99 WHERE number = 2", "tile 2"),
        ("UPDATE channel SET role = 'laser'", "scans"),
        ("UPDATE fit SET file = 3", "fit"),
        ("UPDATE foil SET etch = '1'", "foil F1"),
    ],
)
def test_an_altered_cell_is_a_finding_and_no_traceback(full, statement, what):
    alter(full, statement)
    findings = full.check()
    assert any(f.severity == "damaged" and what in f.what for f in findings)
    assert all(len(f.detail) < 3000 for f in findings)


@pytest.mark.parametrize(
    "metadata",
    [
        {"count": 10**30},
        {"count": [1, {"deep": -(10**30)}]},
        {"\ud800": 1},
        {"remark": "\udfff"},
        {"x": float("inf")},
        {"x": object()},
    ],
)
def test_metadata_that_a_table_cannot_hold_are_refused(metadata):
    with pytest.raises(ValueError, match="metadata"):
        Tile(number=1, metadata=metadata)


def test_metadata_nested_too_deep_are_refused():
    value = 1
    for _ in range(900):
        value = [value]
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        Tile(number=1, metadata={"x": value})


@pytest.mark.sqlite
def test_a_read_only_store_says_that_it_is(full, monkeypatch):
    import etchscope.store.sqlite as module

    connect = sqlite3.connect

    def read_only(place, **options):
        return connect(place.replace("mode=rw", "mode=ro"), **options)

    monkeypatch.setattr(module.sqlite3, "connect", read_only)
    store = Store.open(full.path)
    assert store.scans.names() == ["F1-front"]
    for change in (store.scans.remove, store.scans.include):
        with pytest.raises(BadInput, match="found a read-only one"):
            change("tile = 1")


def _create(path):
    try:
        Store.create(path)
    except BadInput as error:
        return error.found
    return "made"


def test_of_four_that_make_one_store_at_once_one_does(tmp_path):
    with get_context("spawn").Pool(4) as pool:
        said = pool.map(_create, [tmp_path / "store"] * 4, chunksize=1)
    assert sorted(said) == ["a store already"] * 3 + ["made"]
    assert Store.open(tmp_path / "store").check() == []
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def _commit(path):
    store = Store.open(path)
    record = FindRecord(stage="find", version="0.1.0", scan="F1-front", tiles=(1,))
    pits = as_pits({"x_px": np.arange(20_000.0), "y_px": np.arange(20_000.0)})
    for _ in range(5):
        store.runs.commit("r1", pits, record)
    return json.dumps(sorted(p.name for p in (path / "runs" / "r1").iterdir()))


def test_four_that_commit_one_run_at_once_agree(store):
    with get_context("spawn").Pool(4) as pool:
        said = pool.map(_commit, [store.path] * 4, chunksize=1)
    assert set(said) == {'["pits.parquet", "record.json"]'}
    assert store.check() == []


@pytest.mark.parametrize("cell", ['{"a": 1' + "0" * 30 + "}", '{"\\ud800": 1}', '{"a": "\\ud800"}'])
def test_a_store_with_metadata_that_no_longer_pass_can_be_listed_and_emptied(full, cell):
    alter(full, "UPDATE tile SET metadata = :value", cell)
    assert len(full.scans.tiles("tile > 0")) == 11
    assert any("scan F1-front" in f.detail for f in full.check())
    with pytest.raises(DamagedFile, match="catalogue: scan F1-front"):
        full.scans.get("F1-front")
    full.scans.exclude("tile = 1", "dirt")
    full.scans.remove("true")
    assert full.check() == []


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE alembic_version SET version_num = x'ff'", "where a text should be"),
        ("UPDATE scan SET pixel_size_um = x'ff'", "where a number should be"),
        ("UPDATE scan SET height_px = 1.5", "where a whole number should be"),
        ("UPDATE label SET foil = 'aaaa'", "labels of foil 'aaaa'"),
    ],
)
def test_an_altered_cell_is_refused_in_one_line(full, statement, found):
    label = {"scan": "F1-front", "tile": 1, "x_px": 1.0, "y_px": 2.0, "class": "hip", "who": "a"}
    full.labels.add(pd.DataFrame([label | {"source": "person", "when": "2026-01-01T00:00:00Z"}]))
    alter(full, statement)

    def read_all():
        opened = Store.open(full.path)
        return opened.scans.get("F1-front"), opened.labels.table()

    with pytest.raises(BadInput, match=found):
        read_all()


@pytest.mark.sqlite
def test_a_scan_that_lost_its_tiles_is_listed_without_any(full):
    alter(full, "UPDATE scan SET name = 'other'")
    assert full.scans.table().set_index("scan").loc["other", "tiles"] == 0
