"""Where a store has its parts: all in its folder, unless ``store.json`` in that folder differs."""

import json
import os
import secrets
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etchscope.files.atomic import make_folder
from etchscope.files.strict_json import first_fault
from etchscope.foil import BadInput, DamagedFile, NotAStore
from etchscope.store.catalogue import CATALOGUE_FILE
from etchscope.store.database import Database
from etchscope.store.places import Place, create_file, parse_place, read_json_file
from etchscope.store.postgresql import PostgresSchema, is_address
from etchscope.store.sqlite import SqliteFile

__all__ = [
    "OWNER_FILE",
    "SETTINGS_FILE",
    "StoreSettings",
    "is_store",
    "locate_images",
    "locate_store",
    "open_database",
    "require_own_images",
    "reserve_images",
]

SETTINGS_FILE = "store.json"
OWNER_FILE = "etchscope.json"
"""Beside pictures that are not in the store's folder: says of which store they are."""
_HEX = r"[0-9a-f]{32}"


class StoreSettings(BaseModel):
    """What ``store.json`` says.

    Parameters
    ----------
    catalogue : address of the database, without a password; None for a file in the folder.
    pictures : URL of the place where they lie, without a password; None for the folder.
    owner : what ``etchscope.json`` at that place says: 32 digits drawn at random. Nothing is
        written or deleted there by a store that does not know them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    catalogue: str | None = None
    pictures: str | None = None
    owner: str | None = Field(default=None, pattern=_HEX)


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


def locate_images(folder: Path) -> Place:
    """Return where the pictures of the store in a folder lie; connects to nothing yet.

    Raises
    ------
    BadInput : the settings of the store cannot be read, or have no URL of pictures.
    """
    url = _read_settings(folder / SETTINGS_FILE).pictures
    return folder / "images" if url is None else parse_place(url)


def reserve_images(url: str, folder: Path) -> str:
    """Take an empty place for the pictures of a store, and return the ``owner`` for its settings.

    Parameters
    ----------
    folder : of the store, which is to be made; a place that an earlier try took stays taken.

    Raises
    ------
    BadInput : no such URL, or something else lies there.
    MachineFailed : the object store cannot be reached.
    """
    images = parse_place(url)
    if isinstance(images, Path):
        if folder in (images, *images.parents):
            raise BadInput(url, "a folder outside the store", "one inside")
        make_folder(images)
    owner = secrets.token_hex(16)
    said = {"format": 1, "store": str(folder), "owner": owner}
    names = {path.name for path in images.iterdir()}
    if names <= {OWNER_FILE}:
        file = images / OWNER_FILE
        if create_file(file, (json.dumps(said, indent=1) + "\n").encode()):
            return owner
        known = read_json_file(file)
        if isinstance(known, dict) and known.get("store") == str(folder):
            return str(known.get("owner"))
    raise BadInput(url, "an empty place for pictures", f"{min(names)} there")


def require_own_images(folder: Path) -> None:
    """Return if the place of the pictures is that of the store in this folder.

    Raises
    ------
    BadInput : it is that of another store, or of none.
    MachineFailed : the object store cannot be reached.
    """
    settings = _read_settings(folder / SETTINGS_FILE)
    if settings.pictures is None:
        return
    known = read_json_file(parse_place(settings.pictures) / OWNER_FILE)
    if not isinstance(known, dict) or known.get("owner") != settings.owner:
        raise BadInput(settings.pictures, "the pictures of this store", "those of another one")


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
