"""Bring the catalogue of an earlier version of Etchscope up to date; only this imports Alembic."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from etchscope.store.catalogue import VERSION, Catalogue, is_stamped, version_of
from etchscope.store.sqlite import copy_file

__all__ = ["Migration", "migrate_catalogue"]

_SCRIPTS = Path(__file__).with_name("migrations")


@dataclass(frozen=True)
class Migration:
    """What was done to a catalogue.

    Parameters
    ----------
    before, after : its version; equal where nothing was to be done.
    backup : a copy of the catalogue as it was, beside it; None where nothing was to be done.
    """

    before: str
    after: str
    backup: Path | None


def migrate_catalogue(catalogue: Catalogue) -> Migration:
    """Bring a catalogue up to date in one transaction, after copying it to a file beside it.

    A kill at any moment leaves the catalogue as it was, or up to date.

    Raises
    ------
    BadInput : not a catalogue, or one of a later version.
    MachineFailed : the disk is full, or another process holds the catalogue for too long.
    """
    catalogue.known_version()
    with catalogue.writing() as session:
        before = version_of(session)
        if before == VERSION:
            return Migration(before, VERSION, None)
        backup = catalogue.path.with_name(f"catalogue-{before}.sqlite")
        copy_file(catalogue.path, backup)  # nobody writes meanwhile
        _upgrade(session.connection(), before, VERSION)
    return Migration(before, VERSION, backup)


def _upgrade(connection: Connection, before: str, after: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    if not is_stamped(connection):
        command.stamp(config, before)
    command.upgrade(config, after)
