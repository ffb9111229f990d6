"""Experts of a training that goes on: a file each, until the model is kept.

``models/.training/{model}/expert-00000.safetensors`` holds the arrays of one expert, and its record
in the metadata of the file.
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
    "read_expert",
    "read_expert_records",
    "training_folder",
    "write_expert",
]

TRAINING_FOLDER = ".training"
_EXPERT = re.compile(r"expert-(\d{5,})\.safetensors")
_RECORD = "etchscope_expert"


def training_folder(models: Path, name: str) -> Path:
    """Return the folder of the experts of a model that is being trained."""
    return models / TRAINING_FOLDER / name


def write_expert(
    folder: Path, index: int, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]
) -> None:
    """Write one expert, whole or not at all.

    Parameters
    ----------
    folder : is made if it is absent.
    index : number of the expert, from 0.
    record : what JSON can hold.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    make_folder(folder)
    text = canonical_json(dict(record))
    write_arrays(_expert_file(folder, index), arrays, metadata={_RECORD: text})


def _expert_file(folder: Path, index: int) -> Path:
    return folder / f"expert-{index:05d}.safetensors"


def read_expert_records(folder: Path) -> dict[int, dict[str, Any]]:
    """Return index → record of the experts that are there; none if the folder is absent.

    Raises
    ------
    BadInput : a file is damaged.
    """
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _EXPERT.fullmatch(path.name)
        if match:
            found[int(match[1])] = _read_record(path)
    return found


def _read_record(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="np") as file:
            record: dict[str, Any] = json.loads(file.metadata()[_RECORD])
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
        hint = "Delete the file; the training will make it again."
        raise BadInput(path, "an expert of a training", str(error), hint=hint) from error
    return record


def read_expert(folder: Path, index: int) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the record of one expert.

    Raises
    ------
    BadInput : the file is absent or damaged.
    """
    path = _expert_file(folder, index)
    return read_arrays(path), _read_record(path)


def drop_training(models: Path, name: str) -> None:
    """Delete the experts of a training, since the model is kept."""
    folder = training_folder(models, name)
    delete(folder)
    with suppress(OSError):  # other trainings may go on
        folder.parent.rmdir()
