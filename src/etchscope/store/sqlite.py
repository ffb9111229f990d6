"""What SQLite does in its own way: connect, begin, say what failed, copy, check itself.

The journal is SQLite's default (rollback): after a kill SQLite rolls back when the file is read
next, so that nothing has to be repaired; and reading writes no file.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from etchscope.files.atomic import write_aside
from etchscope.foil import BadInput, MachineFailed

__all__ = ["INTACT", "copy_file", "find_damage", "named_errors", "open_engine"]

INTACT = "an intact Etchscope catalogue"
"""What an error about a damaged file expected."""
_BUSY_S = 30.0


def open_engine(path: Path) -> Engine:
    """Return what connects to the file, which must exist, with foreign keys enforced.

    A connection of the execution option ``is_write`` waits for its turn when its transaction
    begins.
    """

    def connect() -> sqlite3.Connection:
        uri = f"file:{quote(str(path))}?mode=rw"  # never creates the file
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def enforce_foreign_keys(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE: a writer waits for its turn at the start, and never fails half-way.
        is_write = connection.get_execution_options().get("is_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")

    return engine


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn the errors of the database within the block into named ones of a file.

    Raises
    ------
    MachineFailed : the disk is full, or another process holds the file for too long.
    BadInput : the file is damaged.
    """
    try:
        yield
    except IntegrityError:  # a mistake in the code, not in the file
        raise
    except DatabaseError as error:
        words = str(error.orig)
        if "full" in words or "disk I/O" in words:
            hint = "Nothing was changed; free some space and repeat."
            raise MachineFailed(f"writing {path}: {words}. {hint}") from error
        if "readonly" in words:
            raise BadInput(path, "a store that can be written to", "a read-only one") from error
        if "locked" in words:
            raise MachineFailed(f"{path}: another process is writing; repeat later.") from error
        raise BadInput(path, INTACT, words) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:  # from a damaged row
        raise BadInput(path, INTACT, str(error)) from error


def copy_file(file: Path, to: Path) -> None:
    """Copy a database as it is at this moment; the copy is whole, or absent.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    # By SQLite and not by the file system: closing a file of one's own would drop SQLite's lock.
    with (
        write_aside(to) as aside,
        closing(sqlite3.connect(file)) as source,
        closing(sqlite3.connect(aside)) as copy,
    ):
        try:
            source.backup(copy)
        except sqlite3.Error as error:
            raise MachineFailed(f"writing {to}: {error}. Nothing was changed.") from error


def find_damage(session: Session) -> Iterator[tuple[str, str]]:
    """Yield what SQLite finds damaged: the table, empty for the whole file, and what is wrong."""
    for row in session.execute(text("PRAGMA integrity_check")):
        if row[0] != "ok":
            yield "", str(row[0])
    for row in session.execute(text("PRAGMA foreign_key_check")):
        yield str(row[0]), "a row without its parent"
