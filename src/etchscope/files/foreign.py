"""Bytes that somebody else wrote: regular files of a bounded size."""

import stat
from pathlib import Path

from etchscope.foil import BadInput

__all__ = ["LARGEST_BYTES", "read_bytes", "require_file"]

LARGEST_BYTES = 256 * 2**20
"""Bytes of the largest JSON file or list that is read whole."""


def require_file(path: Path, most_bytes: int | None = None) -> None:
    """Refuse what is no regular file, before it is opened: reading a pipe may wait for ever.

    Parameters
    ----------
    most_bytes : of the largest file that is accepted; any size unless given.

    Raises
    ------
    BadInput : absent, a folder, a pipe or a device, or a larger file.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(path, "a readable file", reason) from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, a socket or a device"
        raise BadInput(path, "a regular file", kind)
    if most_bytes is not None and found.st_size > most_bytes:
        expected = f"a file of at most {most_bytes // 2**20} MB"
        raise BadInput(path, expected, f"one of {found.st_size / 2**20:.0f} MB")


def read_bytes(path: Path, most_bytes: int = LARGEST_BYTES) -> bytes:
    """Return the content of a regular file.

    Raises
    ------
    BadInput : see ``require_file``, or the file cannot be read.
    """
    require_file(path, most_bytes)
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(path, "a readable file", error.strerror or str(error)) from error
