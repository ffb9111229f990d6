"""Files of arrays that are read in part, as a training does many times."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from etchscope.files.atomic import write_aside
from etchscope.foil import BadInput

__all__ = ["read_arrays", "read_rows", "write_arrays"]


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], *, metadata: dict[str, str] | None = None
) -> None:
    """Write arrays into a file, whole or not at all.

    Parameters
    ----------
    metadata : texts that the file carries beside the arrays.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    content = save({k: np.asarray(v, order="C") for k, v in sorted(arrays.items())}, metadata)
    with write_aside(path, sweep=False) as aside:
        aside.write_bytes(content)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return all arrays of a file.

    Raises
    ------
    BadInput : absent or damaged.
    """
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise BadInput(path, "a file of arrays", error.strerror or "no file") from error
    except (SafetensorError, ValueError) as error:
        raise BadInput(path, "a file of arrays", str(error)) from error


def read_rows(path: Path, name: str, first: int, end: int) -> NDArray[Any]:
    """Return rows ``first`` to ``end`` (exclusive) of one array of a file, and read only them.

    Raises
    ------
    BadInput : absent or damaged.
    """
    rows = _opened(path).get_slice(name)
    if first >= end:  # which safetensors refuses behind the last row
        rows = rows[0:1]
        return np.empty((0, *rows.shape[1:]), rows.dtype)
    return np.asarray(rows[first:end])


@lru_cache(maxsize=1024)
def _opened(path: Path) -> Any:
    """Return a file that stays open, so that its head is read once."""
    try:
        return safe_open(path, framework="np")
    except (OSError, SafetensorError) as error:
        raise BadInput(path, "a file of arrays", str(error)) from error
