"""Files that are either whole or absent: write aside, fsync, replace."""

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etchscope.foil import BadInput, MachineFailed

__all__ = [
    "delete",
    "folder_aside",
    "machine_failures",
    "made_folder",
    "sync_path",
    "sync_tree",
    "written_aside",
]

_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def machine_failures(what: str) -> Iterator[None]:
    """Turn a full or failing disk inside the block into ``MachineFailed``.

    Parameters
    ----------
    what : what was being written, the first words of the message.

    Raises
    ------
    MachineFailed : the disk or quota is full, a file is too large, or the device fails.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        raise MachineFailed(
            f"{what}: {error.strerror}. Nothing was changed; free some space and repeat."
        ) from error


def sync_path(path: Path) -> None:
    """Flush one file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below ``folder``, and itself, to the disk."""
    for path in folder.rglob("*"):
        sync_path(path)
    sync_path(folder)


def made_folder(folder: Path) -> None:
    """Make a folder unless it is there.

    Raises
    ------
    BadInput : it is a file, or lies below one.
    MachineFailed : the disk is full.
    """
    try:
        with machine_failures(f"writing {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(folder, "a folder", "a file") from error


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it replaces ``path`` when the block succeeds.

    A reader sees the old file or the whole new one, never a part. After an error the
    temporary file is gone and ``path`` is as it was.

    Raises
    ------
    MachineFailed : see ``machine_failures``.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.aside")
    with machine_failures(f"writing {path}"):
        try:
            yield aside
            sync_path(aside)
            os.replace(aside, path)  # noqa: PTH105 - the rule of the project names it
            sync_path(path.parent)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def folder_aside(folder: Path, within: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, which becomes ``folder`` when the block succeeds.

    A reader sees the whole folder or none. One that another process has made meanwhile stays.

    Parameters
    ----------
    within : folder on the same disk in which the files are prepared.

    Raises
    ------
    MachineFailed : see ``machine_failures``.
    """
    aside = within / f".{folder.name}.{os.getpid()}-{threading.get_ident()}.aside"
    with machine_failures(f"writing {folder}"):
        try:
            aside.mkdir()
            yield aside
            try:
                aside.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
        finally:
            delete(aside)


def delete(path: Path) -> None:
    """Delete a file or a folder of the store; absent is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
