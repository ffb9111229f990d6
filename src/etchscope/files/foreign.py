"""Bytes that somebody else wrote: regular files of a bounded size."""

import stat
from pathlib import Path

from etchscope.foil import BadInput

__all__ = ["LARGEST_BYTES", "read_bytes", "require_file", "require_table_size"]

LARGEST_BYTES = 256 * 2**20
"""Bytes of the largest JSON file or list that is read whole."""
_MOST_COLUMNS = 10_000
_CELLS, _CELLS_PER_BYTE = 20_000_000, 4
_UNPACKED_BYTES, _UNPACKED_PER_BYTE = 512 * 2**20, 32


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


def require_table_size(path: Path, *, rows: int, columns: int, size: int) -> None:
    """Refuse a table that is far larger than its file, before it is unpacked.

    A table may have 10,000 columns; 20 million cells, or 4 for each byte of its file; and 512 MB
    of unpacked values, or 32 bytes for each byte of its file. Measured tables lie far below: a pit
    takes more than 30 bytes of Parquet for its 33 cells.

    Parameters
    ----------
    rows, columns, size : numbers of rows and columns and unpacked bytes, as the file states them.

    Raises
    ------
    BadInput : the table has more; or see ``require_file``.
    """
    require_file(path)
    on_disk = path.stat().st_size
    if columns > _MOST_COLUMNS:
        raise BadInput(path, f"a table of at most {_MOST_COLUMNS:,} columns", f"{columns:,}")
    most = max(_CELLS, _CELLS_PER_BYTE * on_disk)
    if rows * columns > most:
        expected = f"at most {most:,} cells in a file of {on_disk:,} bytes"
        raise BadInput(path, expected, f"{rows:,} rows of {columns:,} columns")
    most = max(_UNPACKED_BYTES, _UNPACKED_PER_BYTE * on_disk)
    if size > most:
        expected = f"at most {most / 2**20:,.0f} MB unpacked from a file of {on_disk:,} bytes"
        raise BadInput(path, expected, f"{size / 2**20:,.0f} MB")
