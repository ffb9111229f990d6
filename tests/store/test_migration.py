import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, event
from tests.processes import run_code

from etchscope.foil import MachineFailed, NotAStore, OldStore, as_pits
from etchscope.store import FindRecord, Store, pictures
from etchscope.store.catalogue import VERSION, Catalogue
from etchscope.store.sqlite import SqliteFile

OLD_SCHEMA = Path(__file__).with_name("catalogue_0002.sql").read_text()
LABEL = {
    "id": ["one"],
    "scan": ["F1-front"],
    "tile": [1],
    "x_px": [8.0],
    "y_px": [6.0],
    "class": ["hip"],
    "who": ["anna"],
    "source": ["person"],
    "when": ["2026-05-01"],
}


def make_old(store: Store, version: int) -> Path:
    """Give a store the catalogue that an earlier version made, with the same rows."""
    path = store.path / "catalogue.sqlite"
    new = path.rename(store.path.with_name("new.sqlite"))
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(OLD_SCHEMA)
        old.execute("ATTACH ? AS new", (str(new),))
        names = old.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            if name != "schema_version":
                columns = [row[1] for row in old.execute(f"PRAGMA main.table_info({name})")]
                listed = ", ".join(f'"{column}"' for column in columns)
                order = "number" if name in ("run", "label") else "rowid"
                query = f"SELECT {listed} FROM new.{name} ORDER BY {order}"
                old.execute(f"INSERT INTO main.{name} ({listed}) {query}")
        if version == 1:
            old.execute("DROP TABLE main.label")
        old.execute("UPDATE schema_version SET version = ?", (version,))
    new.unlink()
    return store.path


@pytest.fixture
def old(store):
    store.labels.add(pd.DataFrame(LABEL))
    return make_old(store, 2)


def schema_of(path: Path) -> dict[str, str]:
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    with closing(sqlite3.connect(path)) as connection:
        return {name: " ".join(sql.split()) for name, sql in connection.execute(query)}


def test_migrations_from_nothing_make_what_a_new_store_has(tmp_path):
    from alembic.script import ScriptDirectory

    from etchscope.store import migration

    scripts = ScriptDirectory(str(migration._SCRIPTS))
    assert scripts.get_current_head() == VERSION
    Catalogue.create(SqliteFile(tmp_path / "new.sqlite"))
    (tmp_path / "migrated.sqlite").touch()
    with Catalogue(SqliteFile(tmp_path / "migrated.sqlite")).writing() as session:
        migration._upgrade(session.connection(), "base", VERSION)
    new = schema_of(tmp_path / "new.sqlite")
    assert len(new) > 12
    assert schema_of(tmp_path / "migrated.sqlite") == new


def test_an_old_store_is_refused_with_both_versions_until_it_is_migrated(old, made):
    found = f"expected a catalogue of version {VERSION}, found version 0002, which can be migrated"
    with pytest.raises(OldStore, match=found):
        Store.open(old)
    done = Store.migrate(old)
    assert (done.before, done.after) == ("0002", VERSION)
    store = Store.open(old)
    assert store.check() == []
    assert store.scans.get("F1-front") == made.scan
    assert store.labels.table()["id"].tolist() == ["one"]
    assert schema_of(old / "catalogue.sqlite") == schema_of(
        Store.create(old.with_name("fresh")).path / "catalogue.sqlite"
    )


@pytest.mark.sqlite
def test_runs_keep_their_order(store):
    for name in ("b", "c", "a"):
        record = FindRecord(stage="find", version="0.1.0", scan="F1-front", tiles=(1,))
        store.runs.commit(name, as_pits({"x_px": [1.0], "y_px": [2.0]}), record)
    store.runs.renew("b")
    path = make_old(store, 2)
    Store.migrate(path)
    migrated = Store.open(path)
    assert migrated.runs.names() == ["b", "a", "c"]
    migrated.runs.renew("c")
    assert migrated.runs.names() == ["c", "b", "a"]
    assert migrated.check() == []


def test_the_catalogue_as_it_was_is_kept_beside_it(old, take_snapshot):
    before = take_snapshot(old)
    backup = Path(Store.migrate(old).backup)
    assert backup == old / "catalogue-0002.sqlite"
    assert take_snapshot(old) != before
    shutil.move(backup, old / "catalogue.sqlite")
    assert take_snapshot(old) == before


@pytest.mark.sqlite
def test_a_store_without_labels_comes_from_the_first_version(store):
    path = make_old(store, 1)
    with pytest.raises(OldStore, match="found version 0001"):
        Store.open(path)
    assert Store.migrate(path).before == "0001"
    assert Store.open(path).labels.add(pd.DataFrame(LABEL)) == 1


def test_a_store_that_is_up_to_date_is_left_alone(store, take_snapshot):
    before = take_snapshot(store.path)
    done = Store.migrate(store.path)
    assert (done.before, done.after, done.backup) == (VERSION, VERSION, None)
    assert take_snapshot(store.path) == before
    with pytest.raises(NotAStore):
        Store.migrate(store.path / "images")


@pytest.fixture
def failing_at_the_end():
    def fail(_connection, _cursor, statement, *_):
        if statement.startswith("UPDATE alembic_version"):
            raise MachineFailed("stopped")

    event.listen(Engine, "before_cursor_execute", fail)
    yield
    event.remove(Engine, "before_cursor_execute", fail)


def test_a_migration_that_fails_leaves_the_old_catalogue(old, take_snapshot, failing_at_the_end):
    before = take_snapshot(old)
    with pytest.raises(MachineFailed, match="stopped"):
        Store.migrate(old)
    (old / "catalogue-0002.sqlite").unlink()
    assert take_snapshot(old) == before


def test_a_copy_that_fails_leaves_all_as_it_was(old, take_snapshot):
    before = take_snapshot(old)
    (old / "catalogue-0002.sqlite").mkdir()
    with pytest.raises(IsADirectoryError):
        Store.migrate(old)
    (old / "catalogue-0002.sqlite").rmdir()
    assert take_snapshot(old) == before


KILLED = """
import os, signal
from sqlalchemy import Engine, event
from tests.processes import run_code
from etchscope.store import Store

def stop(_connection, _cursor, statement, *_):
    if statement.strip().startswith({at!r}):
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "before_cursor_execute", stop)
Store.migrate({path!r})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "at", ["CREATE TABLE alembic_version", "DROP TABLE", "UPDATE alembic_version"]
)
def test_a_kill_leaves_the_old_catalogue_and_the_next_try_succeeds(old, take_snapshot, at):
    before = take_snapshot(old)
    assert run_code(KILLED.format(path=str(old), at=at)) == -signal.SIGKILL
    with pytest.raises(OldStore, match="found version 0002"):
        Store.open(old)
    backup = old / "catalogue-0002.sqlite"
    assert backup.exists()
    backup.unlink()
    for end in ("journal", "wal", "shm"):  # SQLite passes them over
        (old / f"catalogue.sqlite-{end}").unlink(missing_ok=True)
    assert take_snapshot(old) == before
    assert Store.migrate(old).after == VERSION
    assert Store.open(old).check() == []


@pytest.fixture
def large(old):
    """An old store with 8,000 more rows of a table that the migration makes anew."""
    rows = [(n, 1000 + n, f"tile{n}.png", "x" * 80, "F1-front") for n in range(8_000)]
    with closing(sqlite3.connect(old / "catalogue.sqlite")) as connection, connection:
        put = "INSERT INTO left_out (place, tile, file, why, scan) VALUES (?, ?, ?, ?, ?)"
        connection.executemany(put, rows)
    return old


def bytes_of(path: Path) -> int:
    return (path / "catalogue.sqlite").stat().st_size


@pytest.mark.sqlite
def test_a_migrated_catalogue_is_not_larger_than_it_was(large):
    before = bytes_of(large)
    assert Store.migrate(large).before == "0002"
    assert bytes_of(large) < 1.1 * before
    assert len(Store.open(large).scans.left_out("F1-front")) == 8_000
    assert Store.open(large).check() == []


@pytest.mark.sqlite
def test_without_room_a_migration_says_so_and_the_next_one_makes_the_file_small(
    large, monkeypatch, caplog
):
    before = bytes_of(large)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        assert Store.migrate(large).before == "0002"
    (line,) = caplog.messages
    assert re.search(r"catalogue.sqlite: [\d,]+ bytes .* on the disk, which has 1,000$", line)
    assert bytes_of(large) > 1.5 * before
    assert Store.open(large).check() == []
    assert Store.migrate(large).backup is None
    assert bytes_of(large) < 1.1 * before


KILLED_WHEN_SHRINKING = """
import os, signal
from etchscope.store import Store
from etchscope.store.sqlite import SqliteFile

connect, shrink = SqliteFile._connect, SqliteFile.shrink
def connect_and_stop(file):
    made = connect(file)
    made.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), {steps})
    return made
def shrink_and_stop(file):
    SqliteFile._connect = connect_and_stop
    shrink(file)
    os._exit(3)
SqliteFile.shrink = shrink_and_stop
Store.migrate({path!r})
"""


@pytest.mark.sqlite
@pytest.mark.parametrize("steps", [2_000, 20_000])
def test_a_kill_while_the_file_is_made_small_loses_nothing(large, steps):
    before = bytes_of(large)
    code = KILLED_WHEN_SHRINKING.format(path=str(large), steps=steps)
    assert run_code(code) == -signal.SIGKILL
    assert bytes_of(large) > 1.5 * before
    store = Store.open(large)
    assert store.check() == []
    assert len(store.scans.left_out("F1-front")) == 8_000
    assert Store.migrate(large).after == VERSION
    assert bytes_of(large) < 1.1 * before
    assert store.check() == []


def test_a_store_is_made_and_opened_without_alembic(tmp_path):
    code = "import sys; from etchscope.store import Store; Store.create(sys.argv[1]); "
    code += "Store.open(sys.argv[1]); sys.exit('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "store")], check=False)
    assert done.returncode == 0


def ungroup(store: Store, scan: str = "F1-front") -> Path:
    """Put the array of a scan where an earlier version had it, in no group."""
    path = store.path / "images" / f"{scan}.zarr"
    (path / "zarr.json").unlink()
    for part in (path / "0").iterdir():
        part.rename(path / part.name)
    (path / "0").rmdir()
    return path


def test_pictures_in_no_group_are_read_and_become_ome_zarr(store, made, take_snapshot):
    new = take_snapshot(store.path)
    path = ungroup(store)
    again = Store.open(store.path)
    np.testing.assert_array_equal(again.scans.read_tile("F1-front", 9), made.pixels[8])
    assert again.check() == []
    shard = (path / "c/1/0/0/0").stat().st_ino
    done = Store.migrate(store.path)
    assert (done.before, done.backup, done.scans) == (VERSION, None, ("F1-front",))
    assert take_snapshot(store.path) == new
    assert (path / "0/c/1/0/0/0").stat().st_ino == shard
    assert Store.migrate(store.path).scans == ()


def test_a_file_system_without_links_copies_the_pictures(store, take_snapshot, monkeypatch):
    new = take_snapshot(store.path)
    ungroup(store)

    def refuse(*_: str) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    Store.migrate(store.path)
    assert take_snapshot(store.path) == new


@pytest.mark.parametrize("after", ["copytree", "link", "group", "delete"])
def test_pictures_are_read_wherever_their_migration_stops(
    store, made, take_snapshot, monkeypatch, after
):
    new = take_snapshot(store.path)
    path = ungroup(store)

    class Stopped(BaseException):
        pass

    def stop(done: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*given: object, **named: object) -> None:
            done(*given, **named)
            raise Stopped

        return wrapped

    module, name = {
        "copytree": (shutil, "copytree"),
        "link": (os, "link"),
        "group": (pictures, "_write_group"),
        "delete": (pictures, "delete"),
    }[after]
    with monkeypatch.context() as patch:
        patch.setattr(module, name, stop(getattr(module, name)))
        with pytest.raises(Stopped):
            Store.migrate(store.path)
    again = Store.open(store.path)
    np.testing.assert_array_equal(again.scans.read_tile("F1-front", 9), made.pixels[8])
    assert {f.severity for f in again.check()} <= {"leftover"}
    Store.migrate(store.path)
    assert take_snapshot(store.path) == new
    assert not (path / "c").exists()


def test_a_description_that_was_changed_is_damage_that_migrate_mends(store):
    path = store.path / "images/F1-front.zarr/zarr.json"
    path.write_text(path.read_text().replace("6.4516", "6.4517"))
    (finding,) = store.check()
    assert (finding.severity, finding.what) == ("damaged", "scan F1-front")
    assert "`etchscope migrate` mends it" in finding.detail
    assert Store.migrate(store.path).scans == ("F1-front",)
    assert store.check() == []
