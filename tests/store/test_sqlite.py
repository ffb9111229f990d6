import os
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from etchscope.foil import BadInput, MachineFailed
from etchscope.store import Store, sqlite
from etchscope.store.catalogue import Catalogue, StackRow
from etchscope.store.sqlite import SqliteFile


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(
            "CREATE TABLE foil (name TEXT PRIMARY KEY);"
            "CREATE TABLE scan (name TEXT, foil TEXT REFERENCES foil (name));"
        )
    return path


def test_a_copy_has_the_same_rows_and_both_are_sound(file, tmp_path):
    with Session(SqliteFile(file).open_engine()) as session, session.begin():
        session.execute(text("INSERT INTO foil VALUES ('F1')"))
    with Session(SqliteFile(file).open_engine()) as session:
        said = SqliteFile(file).copy(session, "0001")
    assert said == str(tmp_path / "a-0001.sqlite")
    with Session(SqliteFile(tmp_path / "a-0001.sqlite").open_engine()) as session:
        assert session.execute(text("SELECT name FROM foil")).scalars().all() == ["F1"]
        assert list(SqliteFile(file).find_damage(session)) == []


def test_a_row_without_its_parent_is_found(file):
    with closing(sqlite3.connect(file)) as careless:  # without foreign keys enforced
        careless.execute("INSERT INTO scan VALUES ('a', 'F1')")
        careless.commit()
    with Session(SqliteFile(file).open_engine()) as session:
        assert list(SqliteFile(file).find_damage(session)) == [("scan", "a row without its parent")]


def test_an_error_names_the_file(file):
    file.write_bytes(b"no database, and long enough to be looked at")
    with pytest.raises(BadInput, match=r"a\.sqlite.*not a database"):  # noqa: SIM117
        with SqliteFile(file).named_errors(), Session(SqliteFile(file).open_engine()) as session:
            session.execute(text("SELECT 1 FROM foil"))


def journal_of(path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


def put(catalogue: Catalogue, name: str) -> None:
    with catalogue.writing() as session:
        session.add(StackRow(name=name, info={}))


def names_in(session: Session) -> list[str]:
    return list(session.scalars(select(StackRow.name).order_by(StackRow.name)))


@pytest.mark.parametrize(("is_local", "journal"), [(True, "wal"), (False, "delete")])
def test_the_journal_is_a_write_ahead_log_on_a_local_disk_only(
    tmp_path, monkeypatch, is_local, journal
):
    monkeypatch.setattr(sqlite, "is_on_local_disk", lambda _: is_local)
    path = tmp_path / "c.sqlite"
    put(Catalogue.create(SqliteFile(path)), "S1")
    assert journal_of(path) == journal
    assert [p.name for p in tmp_path.iterdir()] == ["c.sqlite"]


def test_a_file_that_comes_to_a_network_file_system_changes_its_journal(tmp_path, monkeypatch):
    path = tmp_path / "c.sqlite"
    put(Catalogue.create(SqliteFile(path)), "S1")
    assert journal_of(path) == "wal"
    monkeypatch.setattr(sqlite, "is_on_local_disk", lambda _: False)
    put(Catalogue(SqliteFile(path)), "S2")
    assert journal_of(path) == "delete"


def test_a_store_of_an_earlier_version_gets_the_log_when_it_is_migrated(tmp_path):
    store = Store.create(tmp_path / "store")
    path = store.path / "catalogue.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    Store.migrate(store.path)
    assert journal_of(path) == "wal"


def test_who_reads_for_long_keeps_no_writer_out(tmp_path):
    catalogue = Catalogue.create(SqliteFile(tmp_path / "c.sqlite"))
    with catalogue.reading() as session:
        assert names_in(session) == []
        put(catalogue, "S1")
        assert names_in(session) == []
    with catalogue.reading() as session:
        assert names_in(session) == ["S1"]


def test_a_change_shows_in_the_stamp_while_others_read(tmp_path):
    catalogue = Catalogue.create(SqliteFile(tmp_path / "c.sqlite"))
    stamps = [catalogue.database.stamp("")]
    with catalogue.reading() as session:
        names_in(session)
        stamps.append(catalogue.database.stamp(""))
        put(catalogue, "S1")
        stamps.append(catalogue.database.stamp(""))
        put(catalogue, "S2")
        stamps.append(catalogue.database.stamp(""))
    assert stamps[0] == stamps[1]
    assert len(set(stamps)) == 3


@pytest.fixture
def read_only(tmp_path, monkeypatch):
    """A catalogue in a folder that cannot be written to; the tests may run as root."""
    catalogue = Catalogue.create(SqliteFile(tmp_path / "c.sqlite"))
    put(catalogue, "S1")
    connect = sqlite3.connect

    def refuse(place, **options):
        if "immutable" not in place:
            return connect(":memory:", factory=Refused)
        return connect(place, **options)

    monkeypatch.setattr(sqlite.os, "access", lambda *_: False)
    monkeypatch.setattr(sqlite.sqlite3, "connect", refuse)
    return Catalogue(SqliteFile(tmp_path / "c.sqlite"))


class Refused(sqlite3.Connection):
    def execute(self, *_):
        raise sqlite3.OperationalError("unable to open database file")


def test_a_catalogue_with_a_log_is_read_where_nothing_can_be_written(read_only):
    with read_only.reading() as session:
        assert names_in(session) == ["S1"]
    with pytest.raises(BadInput, match="found a read-only one"):
        put(read_only, "S2")


def test_a_catalogue_with_a_log_is_read_where_the_disk_is_full(tmp_path, monkeypatch):
    catalogue = Catalogue.create(SqliteFile(tmp_path / "c.sqlite"))
    put(catalogue, "S1")
    connect = sqlite3.connect

    def fill(place, **options):
        return connect(
            place, **options, factory=sqlite3.Connection if "immutable" in place else Full
        )

    monkeypatch.setattr(sqlite.sqlite3, "connect", fill)
    full = Catalogue(SqliteFile(tmp_path / "c.sqlite"))
    with full.reading() as session:
        assert names_in(session) == ["S1"]
    with pytest.raises(MachineFailed, match="the disk is full"):
        put(full, "S2")
    (tmp_path / "c.sqlite-wal").write_bytes(b"changes that are not in the file")
    with pytest.raises(MachineFailed, match="disk I/O error"), full.reading() as session:
        names_in(session)


class Full(sqlite3.Connection):
    def execute(self, *_):
        raise sqlite3.OperationalError("disk I/O error")

    def cursor(self, *_):
        raise sqlite3.OperationalError("disk I/O error")


def test_a_change_while_it_is_read_without_locks_is_an_error(read_only):
    def read() -> None:
        with read_only.reading() as session:
            names_in(session)
            os.utime(read_only.database.path, ns=(0, 0))  # as another user's change does

    with pytest.raises(MachineFailed, match="it was changed while it was read; repeat"):
        read()
