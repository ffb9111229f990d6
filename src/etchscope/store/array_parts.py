"""Parts of work that goes on, as files of arrays: those of a training, and those of a report.

``part-00000.safetensors`` holds the arrays of one part, and its record in the metadata of the file.
The parts of a training lie in ``models/.training/{model}/`` until the model is kept.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from etchscope.files.atomic import delete, make_folder
from etchscope.files.strict_json import canonical_json
from etchscope.foil import BadInput
from etchscope.store.arrays import read_arrays, write_arrays

__all__ = [
    "TRAINING_FOLDER",
    "drop_training",
    "read_array_part",
    "read_part_records",
    "training_folder",
    "write_array_part",
]

TRAINING_FOLDER = ".training"
_PART = re.compile(r"part-(\d{5,})\.safetensors")
_RECORD = "etchscope_part"


def training_folder(models: Path, name: str) -> Path:
    """Return the folder of the parts of a model that is being trained."""
    return models / TRAINING_FOLDER / name


def write_array_part(
    folder: Path, index: int, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]
) -> None:
    """Write one part, whole or not at all.

    Parameters
    ----------
    folder : is made if it is absent.
    index : number of the part, from 0.
    record : what JSON can hold.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    make_folder(folder)
    text = canonical_json(dict(record))
    write_arrays(_part_file(folder, index), arrays, metadata={_RECORD: text})


def _part_file(folder: Path, index: int) -> Path:
    return folder / f"part-{index:05d}.safetensors"


def read_part_records(folder: Path) -> dict[int, dict[str, Any]]:
    """Return index → record of the parts that are there; none if the folder is absent.

    Raises
    ------
    BadInput : a file is damaged.
    """
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _PART.fullmatch(path.name)
        if match:
            found[int(match[1])] = _read_record(path)
    return found


def _read_record(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="np") as file:
            record: dict[str, Any] = json.loads(file.metadata()[_RECORD])
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
        hint = "Delete the file; its part will be made again."
        raise BadInput(path, "a part of unfinished work", str(error), hint=hint) from error
    return record


def read_array_part(folder: Path, index: int) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the record of one part.

    Raises
    ------
    BadInput : the file is absent or damaged.
    """
    path = _part_file(folder, index)
    return read_arrays(path), _read_record(path)


def drop_training(models: Path, name: str) -> None:
    """Delete the parts of a training, since the model is kept."""
    folder = training_folder(models, name)
    delete(folder)
    with suppress(OSError):  # other trainings may go on
        folder.parent.rmdir()
