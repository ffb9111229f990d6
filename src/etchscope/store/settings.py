"""Where a store has its parts: all in its folder, unless ``store.json`` in that folder differs."""

import json
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etchscope.files.atomic import find_left_asides, make_folder
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
    "draw_settings",
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
    owner : 32 digits drawn at random, which the schema of the database and ``etchscope.json`` at
        the place of the pictures say, too. A store that does not know them writes and deletes
        nothing there.
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


def draw_settings(folder: Path, catalogue: str | None, pictures: str | None) -> StoreSettings:
    """Return the settings of a store that is to be made, with a new owner.

    An earlier try that did not end has left its settings aside. The owner of these is taken again,
    because the schema or the place for the pictures may be taken under it. Call under the lock of
    the parent of ``folder``, and write the settings to the disk before anything is taken.
    """
    if catalogue is None and pictures is None:
        return StoreSettings()
    new = StoreSettings(catalogue=catalogue, pictures=pictures, owner=secrets.token_hex(16))
    for aside in find_left_asides(folder):
        earlier = StoreSettings()
        with suppress(DamagedFile):  # half of them: nothing was taken
            earlier = _read_settings(aside / SETTINGS_FILE)
        alike = earlier.model_copy(update={"owner": new.owner}) == new
        if alike and earlier.owner is not None:
            return earlier
    return new


def reserve_images(url: str, folder: Path, owner: str) -> None:
    """Take an empty place for the pictures of a store.

    Parameters
    ----------
    folder : of the store, which is to be made.
    owner : of its settings, which are on the disk; a place that has this owner already is taken.

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
    said = {"format": 1, "store": str(folder), "owner": owner}
    expected, file = "an empty place for pictures", images / OWNER_FILE
    is_own = re.compile(rf"{re.escape(OWNER_FILE)}|\.{re.escape(OWNER_FILE)}\..+\.aside")
    others = sorted(path.name for path in images.iterdir() if not is_own.fullmatch(path.name))
    if others:
        raise BadInput(url, expected, f"{others[0]} there")
    if not create_file(file, (json.dumps(said, indent=1) + "\n").encode()):
        known = _read_owner(file)
        if known.get("owner") != owner:
            hint = f"Name another place; delete {OWNER_FILE} if that store was never made."
            of = f", of the store {known['store']!r}" if "store" in known else ""
            raise BadInput(url, expected, f"{OWNER_FILE} there{of}"[:200], hint)


def _read_owner(file: Place) -> dict[str, Any]:
    """Return what the owner of a place for pictures has written there; empty if it is damaged."""
    try:
        known = read_json_file(file)
    except BadInput:
        return {}
    return known if isinstance(known, dict) else {}


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
