"""Locks between processes and machines: a holder that is killed lets go.

A lock is ``flock`` on a file, and the file says who holds it, for those who wait. What it says is
read only while the lock is held, so that what a killed holder has left misleads nobody. A file
system without such locks is used without them: every file is written aside and renamed, so that
two who do the same agree, and only do the work twice.
"""

import errno
import fcntl
import json
import logging
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from etchscope.files.atomic import translate_disk_errors
from etchscope.foil import BadInput, Busy

__all__ = ["Lock", "hold_lock", "is_held", "lock_folder"]

log = logging.getLogger(__name__)

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)
"""Errors of file systems without such locks; EBADF is that of NFS for a folder."""
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_MOST_BYTES = 1000


@dataclass(frozen=True)
class Lock:
    """How a lock was taken.

    Parameters
    ----------
    is_held : False on a file system without locks, and in a folder that cannot be written to.
    has_waited : whether another process held it before, which may have done the same meanwhile.
    """

    is_held: bool
    has_waited: bool


@contextmanager
def lock_folder(folder: Path) -> Iterator[bool]:
    """Wait until nobody else holds the lock of a folder, and hold it in the block, for moments.

    Yields whether it is held: False on a file system without locks.

    Raises
    ------
    OSError : there is no such folder, or it cannot be read.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield _flock(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


@contextmanager
def hold_lock(path: Path, what: str, *, wait: bool = True, keep: bool = False) -> Iterator[Lock]:
    """Hold a lock in the block; where another process holds it, say who does, and wait.

    Parameters
    ----------
    path : file of the lock, which is made, and deleted at the end.
    what : what the lock is for, such as "run find-12 of scan F1", for the words of the one who
        waits.
    wait : wait for the other process, or else raise ``Busy``.
    keep : leave the file, empty.

    Raises
    ------
    Busy : another process holds it, and ``wait`` is false.
    BadInput : the file is a link, or no regular file.
    MachineFailed : the disk is full.
    """
    handle, has_waited = _take(path, what, wait=wait)
    if handle is None:
        yield Lock(is_held=False, has_waited=has_waited)
        return
    try:
        _write_holder(handle, what)
        yield Lock(is_held=True, has_waited=has_waited)
    finally:
        _release(handle, path, keep=keep)


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock of a file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return not _flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)


def _take(path: Path, what: str, *, wait: bool) -> tuple[int | None, bool]:
    """Return the handle of a lock that is held, None without locks; and whether it had to wait."""
    has_waited = False
    while (handle := _open(path)) is not None:
        try:
            try:
                is_locked = _flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                who = _read_holder(handle, what)
                if not wait:
                    raise Busy(what, who) from None
                if not has_waited:
                    log.warning("%s: waiting for %s", what, who)
                has_waited = True
                is_locked = _flock(handle, fcntl.LOCK_EX)
            if is_locked and _is_at(handle, path):
                return handle, has_waited
            if not is_locked:
                path.unlink(missing_ok=True)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if not is_locked:
            break
        # Else its holder has deleted the file meanwhile, and somebody may have made another.
    return None, has_waited


def _open(path: Path) -> int | None:
    """Return the handle of a lock's file; None in a folder that cannot be written to."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with translate_disk_errors(f"writing {path}"):
            handle = os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadInput(path, "the file of a lock", "a link") from error
        if error.errno not in _CLOSED:
            raise
        try:
            handle = os.open(path, flags | os.O_RDONLY)  # that of another user
        except OSError:
            return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BadInput(path, "the file of a lock", "no regular file")
    return handle


def _flock(handle: int, mode: int) -> bool:
    """Lock; return False on a file system without locks.

    Raises
    ------
    BlockingIOError : another process holds it, and ``mode`` does not wait.
    """
    try:
        fcntl.flock(handle, mode)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Return whether an open file is still the one of this path."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _write_holder(handle: int, what: str) -> None:
    since = datetime.now().astimezone().isoformat(" ", "minutes")
    holder = {"process": os.getpid(), "host": socket.gethostname(), "since": since, "at": what}
    with suppress(OSError):  # the words only: a full disk, or the file of another user
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(holder).encode(), 0)


def _read_holder(handle: int, what: str) -> str:
    """Return who holds a lock, in words; ``what``: what is asked for, which need not be said."""
    try:
        for _ in range(10):  # the holder may be about to write
            if content := os.pread(handle, _MOST_BYTES, 0):
                break
            time.sleep(0.02)
        holder = json.loads(content)
        said = [str(holder[key]) for key in ("process", "host", "since", "at")]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return "another process"
    process, host, since, at = ("".join(c for c in one if c.isprintable())[:100] for one in said)
    return f"process {process} on {host}, at {'it' if said[3] == what else at} since {since}"


def _release(handle: int, path: Path, *, keep: bool) -> None:
    """Delete the file of a lock, or empty it, and let go."""
    try:
        with suppress(OSError):  # the folder or the file of another user cannot be written to
            if keep:
                os.ftruncate(handle, 0)
            elif _is_at(handle, path):
                path.unlink()
    finally:
        os.close(handle)
