"""Where a store has its parts: all in its folder, unless ``store.json`` in that folder differs."""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from etchscope.files.strict_json import first_fault
from etchscope.foil import DamagedFile, NotAStore
from etchscope.store.catalogue import CATALOGUE_FILE
from etchscope.store.database import Database
from etchscope.store.postgresql import PostgresSchema, is_address
from etchscope.store.sqlite import SqliteFile

__all__ = ["SETTINGS_FILE", "StoreSettings", "is_store", "locate_store", "open_database"]

SETTINGS_FILE = "store.json"


class StoreSettings(BaseModel):
    """What ``store.json`` says.

    Parameters
    ----------
    catalogue : address of the database, without a password; None for a file in the folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    catalogue: str | None = None


def is_store(folder: Path) -> bool:
    """Return whether a folder is that of a store."""
    return (folder / CATALOGUE_FILE).is_file() or (folder / SETTINGS_FILE).is_file()


def locate_store(place: str | os.PathLike[str]) -> Path:
    """Return the folder of a store, given the folder or the address of its database.

    Raises
    ------
    NotAStore : the database has no store.
    BadInput : no such database or folder.
    MachineFailed : the database cannot be reached.
    """
    given = os.fspath(place)
    return PostgresSchema(given).find_folder() if is_address(given) else Path(given).absolute()


def open_database(folder: Path) -> Database:
    """Return where the rows of the store in a folder lie; connects to nothing yet.

    Raises
    ------
    NotAStore : there is no store.
    DamagedFile : its settings cannot be read.
    """
    if not is_store(folder):
        raise NotAStore(folder, "a store", f"no {CATALOGUE_FILE} there")
    settings = _read_settings(folder / SETTINGS_FILE)
    if settings.catalogue is None:
        return SqliteFile(folder / CATALOGUE_FILE)
    return PostgresSchema(settings.catalogue, folder)


def _read_settings(path: Path) -> StoreSettings:
    try:
        return StoreSettings.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return StoreSettings()
    except OSError as error:
        raise DamagedFile(path, "the settings of a store", error.strerror or "none") from error
    except ValidationError as error:
        where, found = first_fault(path, error)
        raise DamagedFile(where, "the settings of a store", found) from error
