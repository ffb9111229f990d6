import sqlite3

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from etchscope.foil import BadInput, MachineFailed
from etchscope.store import database
from etchscope.store.catalogue import VERSION, Catalogue, StackRow, TileRow, VersionRow
from etchscope.store.sqlite import SqliteFile


@pytest.fixture
def catalogue(tmp_path):
    return Catalogue.create(SqliteFile(tmp_path / "it's 100% ours?.sqlite"))


def test_a_new_catalogue_has_its_version_in_one_place(catalogue):
    with catalogue.reading() as session:
        assert session.scalars(select(VersionRow.version)).all() == [VERSION]
    catalogue.require_version()


def test_an_error_rolls_back(catalogue):
    def fail() -> None:
        with catalogue.writing() as session:
            session.add(StackRow(name="S1", info={}))
            session.flush()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    with catalogue.reading() as session:
        assert session.scalars(select(StackRow)).all() == []


def test_foreign_keys_are_enforced(catalogue):
    def orphan() -> None:
        with catalogue.writing() as session:
            session.add(TileRow(scan="none", number=1, place=0, info={}, excluded=False))

    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        orphan()


def test_reading_writes_no_file(catalogue):
    before = (catalogue.database.path.read_bytes(), catalogue.database.path.stat().st_mtime_ns)
    with catalogue.reading() as session:
        session.execute(text("SELECT count(*) FROM tile")).all()
    assert (
        catalogue.database.path.read_bytes(),
        catalogue.database.path.stat().st_mtime_ns,
    ) == before
    assert [p.name for p in catalogue.database.path.parent.iterdir()] == [
        catalogue.database.path.name
    ]


def test_another_database_is_no_catalogue(tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")
    connection.close()
    with pytest.raises(BadInput, match=r"other\.sqlite: expected an intact Etchscope catalogue"):
        Catalogue(SqliteFile(path)).require_version()


def test_a_catalogue_without_its_version_is_not_intact(catalogue):
    with catalogue.writing() as session:
        session.execute(text("DELETE FROM alembic_version"))
    with pytest.raises(BadInput, match="intact Etchscope catalogue, found one without a version"):
        catalogue.require_version()


def test_opening_never_makes_a_file(tmp_path):
    with pytest.raises(BadInput, match="unable to open"):
        Catalogue(SqliteFile(tmp_path / "none.sqlite")).require_version()
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_waits_too_long_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    first = Catalogue.create(SqliteFile(tmp_path / "c.sqlite"))
    second = Catalogue(SqliteFile(tmp_path / "c.sqlite"))

    def write() -> None:
        with second.writing():
            pass

    with first.writing():
        with pytest.raises(MachineFailed, match="another process is writing"):
            write()
        with second.reading() as session:  # readers go on
            assert session.scalar(select(VersionRow.version)) == VERSION
    write()
