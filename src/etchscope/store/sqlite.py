"""What SQLite does in its own way: connect, begin, say what failed, copy, check itself.

On a local disk the journal is a write-ahead log (WAL), so that readers and a writer never wait for
each other: a check that reads for hours would otherwise keep every writer out. The processes share
memory then, which no network file system can do; there, and where the file system is not known,
the journal is SQLite's default (rollback). After a kill SQLite mends either one when the file is
read next.
"""

import json
import logging
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from etchscope.files.atomic import write_aside
from etchscope.files.filesystems import is_on_local_disk
from etchscope.foil import BadInput, MachineFailed
from etchscope.store import database
from etchscope.store.database import INTACT

__all__ = ["SqliteFile"]

log = logging.getLogger(__name__)

_PAUSE_S = (0.001, 0.01)
_LARGE_SHARE = 0.25
"""Share of free space from which a file is written anew."""
_FULL = "disk I/O"
"""How SQLite says, among others, that the disk has no room for a file of its own."""


class SqliteFile:
    """A catalogue in one file; the methods are those of ``database.Database``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_unlocked = False

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.path)

    @cached_property
    def _is_local(self) -> bool:
        return is_on_local_disk(self.path.parent)

    def make(self) -> None:
        """Make an empty file, which must be absent."""
        self.path.touch(exist_ok=False)
        self.tune()

    def tune(self) -> None:
        """Choose the write-ahead log on a local disk, unless somebody reads just now."""
        if self._is_local:
            with self.named_errors(), self.open_engine().connect() as connection:
                raw = connection.connection.dbapi_connection
                with suppress(sqlite3.OperationalError):  # somebody reads just now
                    raw.execute("PRAGMA journal_mode=WAL")  # type: ignore[union-attr]

    def shrink(self) -> None:
        """Write the file anew if a quarter of it or more is free, or log why it stays large."""
        with closing(self._connect()) as connection:
            asked = ("freelist_count", "page_count", "page_size")
            free, pages, size = (connection.execute(f"PRAGMA {n}").fetchone()[0] for n in asked)
            if free < _LARGE_SHARE * pages:
                return
            # SQLite makes a copy, and then puts it into the log beside the file.
            needed, room = 2 * (pages - free) * size, shutil.disk_usage(self.path.parent).free
            why = f"this needs {needed:,} bytes on the disk, which has {room:,}"
            if room > needed:
                try:
                    connection.execute("VACUUM")
                except sqlite3.Error as error:
                    why = str(error)
                else:
                    return
        expected = "repeat the migration later to write the file anew without them"
        log.warning("%s: %s bytes are free; %s: %s", self.path, f"{free * size:,}", expected, why)

    def open_engine(self) -> Engine:
        """Return what connects to the file, which must exist, with foreign keys enforced."""
        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)

        @event.listens_for(engine, "connect")
        def enforce_foreign_keys(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA foreign_keys=ON")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            # IMMEDIATE: a writer waits for its turn at the start, and never fails half-way.
            if connection.get_execution_options().get("is_write", False):
                _wait_for_turn(connection)
            else:
                connection.exec_driver_sql("BEGIN")

        return engine

    def _connect(self) -> sqlite3.Connection:
        connection = self._connect_with("mode=rw")  # never creates the file
        try:
            connection.execute("PRAGMA schema_version")
        except sqlite3.Error as error:
            is_closed = not os.access(self.path.parent, os.W_OK)
            if (is_closed or _FULL in str(error)) and not self._has_log():
                # SQLite cannot make the file through which users of the log share memory.
                connection.close()
                self._is_unlocked = True
                return self._connect_with("mode=ro&immutable=1")
            return connection  # whose first use fails, with a name
        if not self._is_local:
            with suppress(sqlite3.OperationalError):  # for a file that was copied from elsewhere
                connection.execute("PRAGMA journal_mode=DELETE")
        return connection

    def _has_log(self) -> bool:
        """Return whether changes are still to be taken from the log into the file."""
        log = self.path.with_name(f"{self.path.name}-wal")
        return log.exists() and log.stat().st_size > 0

    def _connect_with(self, how: str) -> sqlite3.Connection:
        uri = f"file:{quote(str(self.path))}?{how}"
        return sqlite3.connect(uri, uri=True, timeout=database.BUSY_S, isolation_level=None)

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Turn the errors of SQLite within the block into ones that name the file."""
        before = self.stamp()
        try:
            yield
        except IntegrityError:  # a mistake in the code, not in the file
            raise
        except DatabaseError as error:
            raise self._named(error) from error
        except (UnicodeDecodeError, json.JSONDecodeError) as error:  # from a damaged row
            raise BadInput(self.path, INTACT, str(error)) from error
        if self._is_unlocked and self.stamp() != before:
            raise MachineFailed(f"{self.path}: it was changed while it was read; repeat.")

    def _named(self, error: DatabaseError) -> BadInput | MachineFailed:
        words = str(error.orig)
        is_closed = not os.access(self.path.parent, os.W_OK)
        if "readonly" in words and self._is_unlocked and not is_closed:
            words = "the disk is full"
        if "full" in words or _FULL in words:
            hint = "Nothing was changed; free some space and repeat."
            return MachineFailed(f"writing {self.path}: {words}. {hint}")
        if "readonly" in words:
            return BadInput(self.path, "a store that can be written to", "a read-only one")
        if "locked" in words:
            return MachineFailed(f"{self.path}: another process is writing; repeat later.")
        return BadInput(self.path, INTACT, words)

    def copy(self, _session: Session, version: str) -> str:
        """Copy what is committed to ``catalogue-{version}.sqlite``; return its path."""
        # By SQLite and not by the file system: closing a file of one's own would drop SQLite's
        # lock.
        to = self.path.with_name(f"{self.path.stem}-{version}{self.path.suffix}")
        with (
            write_aside(to) as aside,
            closing(sqlite3.connect(self.path)) as source,
            closing(sqlite3.connect(aside)) as copy,
        ):
            try:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")  # all of it in the one file
            except sqlite3.Error as error:
                raise MachineFailed(f"writing {to}: {error}. Nothing was changed.") from error
        return str(to)

    def find_damage(self, session: Session) -> Iterator[tuple[str, str]]:
        """Yield what SQLite finds damaged, and rows without their parents."""
        for row in session.execute(text("PRAGMA integrity_check")):
            if row[0] != "ok":
                yield "", str(row[0])
        for row in session.execute(text("PRAGMA foreign_key_check")):
            yield str(row[0]), "a row without its parent"

    def stamp(self, _scan: str = "") -> object:
        """Return when the file and its log were last written to, by any process."""
        found = []
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            with suppress(OSError):
                stat = path.stat()
                found += [(path.name, stat.st_mtime_ns, stat.st_size)] * bool(stat.st_size)
        return tuple(found)


def _wait_for_turn(connection: Connection) -> None:
    """Begin to write as soon as nobody else does.

    SQLite itself looks every 0.1 s only, so that one of several busy writers may wait for ever.
    """
    raw: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
    end = time.monotonic() + database.BUSY_S
    raw.execute("PRAGMA busy_timeout=0")
    while True:
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # for an error of SQLAlchemy's
                break
            time.sleep(random.uniform(*_PAUSE_S))
        else:
            break
    raw.execute(f"PRAGMA busy_timeout={1000 * database.BUSY_S:.0f}")
