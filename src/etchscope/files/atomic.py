"""Files that are either whole or absent: write beside, fsync, replace.

What is written aside has a name of its own, ``.{name}.{place}-{process}-{random}.aside``: many
processes on many hosts may write the same file at once. ``place`` stands for the host and its
processes, so that what a killed process has left is known to belong to nobody, and is deleted by
the next one that writes the same file there.
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from etchscope.foil import BadInput, MachineFailed

__all__ = [
    "delete",
    "drop_dead_asides",
    "find_left_asides",
    "is_dead_aside",
    "link_tree",
    "make_folder",
    "name_aside",
    "sync_path",
    "sync_tree",
    "translate_disk_errors",
    "write_aside",
    "write_folder_aside",
]

_ASIDE = re.compile(
    r"\.(?P<name>.+)\.(?P<place>[0-9a-f]{8})-(?P<process>\d{1,9})-[0-9a-f]{8}\.aside", re.DOTALL
)
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def translate_disk_errors(what: str) -> Iterator[None]:
    """Raise ``MachineFailed`` where the disk is full or fails inside the block.

    Parameters
    ----------
    what : what was being done, such as "writing a.csv"; the message begins with it.

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
    """Flush every file and folder below ``folder``, and the folder itself, to the disk."""
    for path in folder.rglob("*"):
        sync_path(path)
    sync_path(folder)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it exists.

    Raises
    ------
    BadInput : the path is a file, or lies below one.
    MachineFailed : the disk is full.
    """
    try:
        with translate_disk_errors(f"writing {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(folder, "a folder", "a file") from error


def name_aside(path: Path) -> Path:
    """Return a hidden path beside ``path`` that nobody else writes to, on any host."""
    unique = f"{_place()}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.name}.{unique}.aside")


def _place() -> str:
    """Return 8 hex digits for the host and the processes that this one can see."""
    with suppress(OSError):  # processes in a container have a numbering of their own
        seen = Path("/proc/self/ns/pid").stat().st_ino
        return hashlib.sha256(f"{socket.gethostname()} {seen}".encode()).hexdigest()[:8]
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def drop_dead_asides(path: Path) -> None:
    """Delete what processes of this host wrote aside for ``path`` before they were killed."""
    for aside in _find_asides(path):
        if is_dead_aside(aside):
            delete(aside)


def _find_asides(path: Path) -> list[Path]:
    """Return what processes of any host write aside for ``path``, or have left."""
    found = []
    with suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        found = [match for entry in entries if (match := _ASIDE.fullmatch(entry.name))]
    return [path.with_name(match[0]) for match in found if match["name"] == path.name]


def find_left_asides(path: Path) -> list[Path]:
    """Return what killed processes of this host, and this one, have written aside for ``path``.

    Call it where no other thread of this process writes the same file.
    """
    own = f".{path.name}.{_place()}-{os.getpid()}-"
    return [p for p in _find_asides(path) if is_dead_aside(p) or p.name.startswith(own)]


def is_dead_aside(path: Path) -> bool:
    """Return whether this was written aside by a process of this host that is there no more."""
    match = _ASIDE.fullmatch(path.name)
    if match is None or match["place"] != _place():
        return False
    return not _is_alive(int(match["process"]))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


@contextmanager
def write_aside(path: Path, *, sweep: bool = True) -> Iterator[Path]:
    """Yield a path to write to; that file replaces ``path`` when the block succeeds.

    A reader sees the old file or the whole new one, never a part of it. After an error the
    temporary file is deleted and ``path`` is unchanged.

    Parameters
    ----------
    sweep : delete what killed writers of ``path`` have left, which takes a look at every file of
        the folder; False where very many files are written into one folder that is temporary.

    Raises
    ------
    MachineFailed : see ``translate_disk_errors``.
    """
    aside = name_aside(path)
    with translate_disk_errors(f"writing {path}"):
        if sweep:
            drop_dead_asides(path)
        try:
            yield aside
            sync_path(aside)
            os.replace(aside, path)  # noqa: PTH105 - the rule of the project names it
            sync_path(path.parent)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def write_folder_aside(folder: Path, within: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, which becomes ``folder`` when the block succeeds.

    A reader sees the whole folder or none. One that another process has made meanwhile stays.

    Parameters
    ----------
    within : folder on the same disk in which the files are prepared.

    Raises
    ------
    MachineFailed : see ``translate_disk_errors``.
    """
    aside = name_aside(within / folder.name)
    with translate_disk_errors(f"writing {folder}"):
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
    """Delete a file or a folder with all it holds, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link_tree(path: Path, to: Path) -> None:
    """Give a file, or all files of a folder, a second name; they are copied where links cannot be.

    Raises
    ------
    MachineFailed : the disk is full.
    """

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:  # a file system without links, or with too many of this file
            shutil.copyfile(source, target)

    with translate_disk_errors(f"writing {to}"):
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, to, copy_function=link)
        else:
            link(str(path), str(to))
