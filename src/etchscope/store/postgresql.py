"""What PostgreSQL does in its own way: connect, begin, say what failed, copy, check itself.

One store is one schema. Passwords come from where libpq finds them, ``PGPASSWORD`` or
``~/.pgpass``, and never from an address, which stands in files, messages and lists of processes.
"""

import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from etchscope.foil import BadInput, MachineFailed, NotAStore
from etchscope.foil.extras import require_package
from etchscope.store import database
from etchscope.store.database import INTACT

__all__ = ["PostgresSchema", "is_address"]

_SCHEMA, _NAME = "etchscope", re.compile(r"[a-z_][a-z0-9_]{0,58}")
_COMMENT = "Etchscope store in "
_SAID = re.compile(rf"{_COMMENT}(?P<folder>.+?)(\nowner (?P<owner>[0-9a-f]{{32}}))?", re.DOTALL)
"""What a schema says of itself; earlier versions drew no owner."""
_CONNECT_S = 10
_PASSWORD_HINT = "Give the password in PGPASSWORD or in ~/.pgpass."


def is_address(text: object) -> bool:
    """Return whether this is the address of a database instead of the path of a folder."""
    return isinstance(text, str) and text.startswith(("postgresql:", "postgres:"))


class PostgresSchema:
    """A catalogue in a schema of a database; the methods are those of ``database.Database``.

    Parameters
    ----------
    address : ``postgresql://user@host/database``, and ``?schema=NAME`` unless it is ``etchscope``.
    folder : of the store; None where it is not known yet, see ``find_folder``.
    owner : of the settings of a store that is to be made, see ``settings.StoreSettings``.

    Raises
    ------
    BadInput : no such address, or one with a password.
    MissingExtra : the driver is not installed.
    """

    def __init__(self, address: str, folder: Path | None = None, owner: str | None = None) -> None:
        require_package("psycopg")
        self._url, self._schema = _parse(address)
        self._folder, self._owner = folder, owner

    @property
    def name(self) -> str:
        """The address, which has no password."""
        schema = {} if self._schema == _SCHEMA else {"schema": self._schema}
        return self._url.update_query_dict(schema).render_as_string()

    def make(self) -> None:
        """Make an empty schema for the store in the folder."""
        with self.named_errors(), self._writer.begin() as connection:
            if connection.scalar(text("SHOW server_encoding")) != "UTF8":
                raise BadInput(self.name, "a database in UTF8", "one in another encoding")
            comment = self._comment(connection)
            if comment is None:
                connection.exec_driver_sql(f'CREATE SCHEMA "{self._schema}"')
            tables = inspect(connection).get_table_names()
            said = _SAID.fullmatch(comment or "")
            # Not the folder alone, which other machines and later stores have as well.
            is_ours = said is not None and said["owner"] == self._owner is not None
            if is_ours and "scan" in tables:
                is_ours = not connection.scalar(text("SELECT EXISTS (SELECT 1 FROM scan)"))
            if (tables or said is not None) and not is_ours:
                hint = "Name another schema: postgresql://…?schema=NAME."
                found = (comment or "tables there").partition("\n")[0]
                raise BadInput(self.name, "an empty schema", found, hint=hint)
            quoted = f"{_COMMENT}{self._folder}\nowner {self._owner}"
            quoted = quoted.replace("'", "''").replace("%", "%%")
            connection.exec_driver_sql(f"COMMENT ON SCHEMA \"{self._schema}\" IS '{quoted}'")

    def _comment(self, connection: Connection) -> str | None:
        """Return what the schema says of itself, or None without a schema."""
        query = "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace"
        wanted = text(f"{query} WHERE nspname = :name")
        comment: str | None = connection.scalar(wanted, {"name": self._schema})
        return comment

    def find_folder(self) -> Path:
        """Return the folder of the store, as it was when the store was made.

        Raises
        ------
        NotAStore : the database has no store in this schema, or its folder is not here.
        """
        with self.named_errors(), self._engine.begin() as connection:
            said = _SAID.fullmatch(self._comment(connection) or "")
        if said is None:
            raise NotAStore(self.name, "a store", f"none in the schema {self._schema}")
        folder = Path(said["folder"])
        if not folder.is_dir():
            hint = "Give the folder in place of the address if it lies elsewhere on this machine."
            raise BadInput(self.name, f"its folder {folder}", "no such folder here", hint)
        return folder

    def tune(self) -> None:
        """Leave the settings to the server."""

    def shrink(self) -> None:
        """Do nothing: PostgreSQL gives back the files of dropped tables itself."""

    def open_engine(self) -> Engine:
        """Return what connects to the database; every connection uses the store's schema."""
        return self._engine

    @cached_property
    def _engine(self) -> Engine:
        given = str(self._url.query.get("options", ""))
        own = f"-csearch_path={self._schema} -clock_timeout={1000 * database.BUSY_S:.0f}"
        engine = create_engine(
            self._url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
            connect_args={"options": f"{given} {own}", "connect_timeout": _CONNECT_S},
            # One connection is kept; more are closed after their use.
            pool_size=1,
            max_overflow=-1,
            pool_pre_ping=True,
        )
        weakref.finalize(self, engine.dispose)  # closes the connection that is kept
        schema = self._schema

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            if connection.get_execution_options().get("is_write", False):
                lock = "SELECT pg_advisory_xact_lock(hashtext('etchscope'), hashtext(%s))"
                connection.exec_driver_sql(lock, (schema,))
            else:
                how = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
                connection.exec_driver_sql(f"SET TRANSACTION {how}")

        return engine

    @property
    def _writer(self) -> Engine:
        return self._engine.execution_options(is_write=True)

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Turn the errors of PostgreSQL within the block into ones that name the address."""
        try:
            yield
        except IntegrityError:  # a mistake in the code, not in the database
            raise
        except DBAPIError as error:
            raise self._named(error) from error

    def _named(self, error: DBAPIError) -> BadInput | MachineFailed:
        words = " ".join(str(error.orig).split())[:300]
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if state.startswith("53"):  # the disk, memory or connections of the server
            return MachineFailed(
                f"writing {self.name}: {words}. Nothing was changed; repeat later."
            )
        if state == "55P03":
            return MachineFailed(f"{self.name}: another process is writing; repeat later.")
        if state in ("25006", "42501"):
            return BadInput(self.name, "a store that can be written to", words)
        if re.search("authentication|password|role .* does not exist", words):
            return BadInput(self.name, "a user who may connect", words, _PASSWORD_HINT)
        if re.search("database .* does not exist", words):
            return BadInput(self.name, "a database that exists", words, "Make it with `createdb`.")
        if not state or state.startswith(("08", "57")):
            return MachineFailed(f"{self.name}: no connection: {words}. Repeat later.")
        return BadInput(self.name, INTACT, words)

    def copy(self, session: Session, version: str) -> str:
        """Copy the tables to the schema ``{schema}_{version}``; return its name."""
        connection, to = session.connection(), f"{self._schema}_{version}"
        connection.exec_driver_sql(f'CREATE SCHEMA "{to}"')
        for table in inspect(connection).get_table_names():
            connection.exec_driver_sql(f'CREATE TABLE "{to}"."{table}" AS TABLE "{table}"')
        return f"the schema {to}"

    def find_damage(self, _session: Session) -> Iterator[tuple[str, str]]:
        """Yield nothing: the server checks what it reads, and no row can lack its parent."""
        yield from ()

    def stamp(self, scan: str) -> object:
        """Return which transaction has written the row of a scan last, and where it put it."""
        query = text("SELECT xmin::text, ctid::text FROM scan WHERE name = :scan")
        with self.named_errors(), self._engine.begin() as connection:
            row = connection.execute(query, {"scan": scan}).first()
        return None if row is None else tuple(row)


def _parse(address: str) -> tuple[URL, str]:
    """Return the address without the schema, and the schema."""
    expected = "postgresql://user@host/database"
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        # Not the address itself, which may have a password.
        raise BadInput("address of a database", expected, "another form") from error
    if url.password is not None or "password" in url.query:
        found = "one with a password"
        raise BadInput(
            "address of a database", f"{expected}, and no password", found, _PASSWORD_HINT
        )
    schema = url.query.get("schema", _SCHEMA)
    if not (isinstance(schema, str) and _NAME.fullmatch(schema)):
        raise BadInput("schema", "lower-case letters, digits and underscores", repr(schema)[:100])
    if url.drivername not in ("postgresql", "postgres") or not url.database:
        raise BadInput("address of a database", expected, url.render_as_string()[:200])
    return url.set(drivername="postgresql").difference_update_query(["schema"]), schema
