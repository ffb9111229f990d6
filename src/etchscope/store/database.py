"""What a catalogue needs of a database: the part that each database does in its own way."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.orm import Session

__all__ = ["BUSY_S", "INTACT", "Database"]

INTACT = "an intact Etchscope catalogue"
"""What an error about a damaged catalogue expected."""
BUSY_S = 60.0
"""How long a writer waits for its turn."""


class Database(Protocol):
    """Where the rows of one store lie."""

    @property
    def name(self) -> str:
        """What an error names: the file, or the address without a password."""

    def make(self) -> None:
        """Make an empty database, unless an earlier try to make the same store left one.

        Raises
        ------
        BadInput : something else is there.
        """

    def tune(self) -> None:
        """Choose the settings that a new database has, for one of an earlier version."""

    def shrink(self) -> None:
        """Give back to the disk what a migration has left free, or log a warning that says why not.

        A kill at any moment loses nothing.
        """

    def open_engine(self) -> Engine:
        """Return what connects to the database, which must exist.

        A connection of the execution option ``is_write`` waits for its turn when its transaction
        begins: one writes at a time. Other transactions see one state of the database.
        """

    def named_errors(self) -> AbstractContextManager[None]:
        """Turn the errors of the database within the block into named ones.

        Raises
        ------
        MachineFailed : the disk is full, the database cannot be reached, or another process
            writes for too long.
        BadInput : the database is damaged, or cannot be written to.
        """

    def copy(self, session: Session, version: str) -> str:
        """Copy the catalogue as it is to a place beside it, and return the name of that place.

        Parameters
        ----------
        session : one that writes, so that nobody else does.
        version : of the catalogue; part of the name.

        Raises
        ------
        MachineFailed : the disk is full.
        """

    def find_damage(self, session: Session) -> Iterator[tuple[str, str]]:
        """Yield what the database finds damaged: the table, empty for all, and what is wrong."""

    def stamp(self, scan: str) -> object:
        """Return what changes whenever the tiles of a scan do."""
