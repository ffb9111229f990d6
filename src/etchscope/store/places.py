"""Where pictures lie: in a folder, or on an object store, where no folder can be renamed."""

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO

from etchscope.files.atomic import (
    delete,
    drop_dead_asides,
    name_aside,
    sync_path,
    sync_tree,
    write_aside,
)
from etchscope.files.strict_json import parse_json, read_json
from etchscope.foil import BadInput, Busy, MachineFailed
from etchscope.store.objects import ObjectPath, parse_url

__all__ = [
    "META_FILE",
    "Place",
    "begin",
    "create_file",
    "delete_place",
    "discard",
    "list_files",
    "named_errors",
    "parse_place",
    "publish",
    "read_json_file",
    "replacing",
    "size_of",
    "write_whole",
    "writing",
    "zarr_store",
]

Place = Path | ObjectPath
"""A folder or a file, or its like on an object store."""

META_FILE = "zarr.json"
"""The file of a Zarr array or group that says what it is."""
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)
"""Errors of file systems on which a file has one name."""


def parse_place(url: str) -> Place:
    """Return the place of a URL: that of ``objects.parse_url``, or ``file:///folder``.

    Raises
    ------
    BadInput : no such URL.
    MissingExtra : obstore is not installed.
    """
    if not url.startswith("file:"):
        return parse_url(url)
    folder = Path(url.removeprefix("file://"))
    if not (url.startswith("file:///") and url.isprintable() and ".." not in folder.parts):
        raise BadInput("URL of pictures", "file:///FOLDER", "another form")
    return folder


def named_errors(place: Place) -> AbstractContextManager[None]:
    """Turn the errors of an object store within the block into ones that name the place."""
    return place.named_errors() if isinstance(place, ObjectPath) else nullcontext()


def zarr_store(place: Place) -> Any:
    """Return what Zarr takes as the store of an array at this place."""
    return place.open_zarr_store() if isinstance(place, ObjectPath) else str(place)


def begin(final: Place) -> Place:
    """Return where to write the pictures that ``publish`` brings to their final place.

    Nobody else writes there. On an object store it is the final place itself: no row of the
    catalogue names it yet.

    Raises
    ------
    Busy : somebody else has begun to write there.
    """
    if not isinstance(final, ObjectPath):
        aside = name_aside(final)
        aside.mkdir()
        return aside
    if not (final / META_FILE).create(b"{}"):
        raise Busy(str(final), "another process, or one that was killed")
    return final


def publish(begun: Place, final: Place) -> None:
    """Bring pictures to their final place, all at once, and flush them to the disk."""
    if isinstance(begun, Path) and isinstance(final, Path):
        sync_tree(begun)
        begun.rename(final)
        sync_path(final.parent)


def discard(place: Place) -> None:
    """Delete what was begun in vain; what cannot be deleted now is left over."""
    if isinstance(place, Path):
        delete(place)
        return
    with suppress(BadInput, MachineFailed):
        place.delete()


def delete_place(place: Place) -> None:
    """Delete a file or a folder with all it holds, if it exists."""
    if isinstance(place, ObjectPath):
        place.delete()
    else:
        delete(place)


def list_files(place: Place) -> list[Place]:
    """Return all files in a folder and in those below, sorted."""
    if isinstance(place, ObjectPath):
        return sorted(place.list_files())
    return sorted(path for path in place.rglob("*") if path.is_file())


def size_of(file: Place) -> int:
    """Return the number of bytes of a file, which must exist."""
    return file.size() if isinstance(file, ObjectPath) else file.stat().st_size


def read_json_file(place: Place) -> Any:
    """Return the value of a JSON file.

    Raises
    ------
    BadInput : absent or damaged.
    """
    if not isinstance(place, ObjectPath):
        return read_json(place)
    try:
        return parse_json(place.read_bytes().decode(), str(place))
    except UnicodeDecodeError as error:
        raise BadInput(str(place), "JSON in UTF-8", "other bytes") from error


def create_file(place: Place, content: bytes) -> bool:
    """Write a file, whole or not at all, unless there is one; return whether it was written."""
    if isinstance(place, ObjectPath):
        return place.create(content)
    drop_dead_asides(place)
    aside = name_aside(place)
    try:
        aside.write_bytes(content)
        sync_path(aside)
        _link(aside, place)
        sync_path(place.parent)
    except FileExistsError:
        return False
    finally:
        delete(aside)
    return True


def _link(aside: Path, place: Path) -> None:
    try:
        os.link(aside, place)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with place.open("xb") as file:
            file.write(aside.read_bytes())


def write_whole(place: Place, content: bytes) -> None:
    """Write a file, or replace it, whole or not at all.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    if isinstance(place, ObjectPath):
        place.write_bytes(content)
        return
    place.parent.mkdir(exist_ok=True)
    with write_aside(place) as aside:
        aside.write_bytes(content)


@contextmanager
def writing(place: Place) -> Iterator[BinaryIO]:
    """Yield a new file of pictures that were begun; ``publish`` flushes it."""
    if isinstance(place, ObjectPath):
        with place.writing() as file:
            yield file
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        yield file


@contextmanager
def replacing(place: Place, *, of: Place) -> Iterator[BinaryIO]:
    """Yield a file that replaces another one when the block succeeds.

    Parameters
    ----------
    of : the pictures that the file is a part of; what a kill leaves lies beside them.
    """
    if isinstance(place, ObjectPath) or isinstance(of, ObjectPath):
        with writing(place) as file:
            yield file
        return
    aside = name_aside(of)
    try:
        with aside.open("wb") as file:
            yield file
        sync_path(aside)
        aside.replace(place)
        sync_path(place.parent)
    finally:
        delete(aside)
