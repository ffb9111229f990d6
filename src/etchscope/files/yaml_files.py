"""YAML: written as whole documents, one after the other in a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from etchscope.files.atomic import make_folder, write_aside

__all__ = ["write_yaml_files"]


def write_yaml_files(folder: Path, files: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Path]:
    """Write documents into files of a folder, which is made if it is absent; return the files.

    Keys keep their order. A list of documents becomes one file with ``---`` between them.

    Parameters
    ----------
    files : name of the file → its documents, of plain Python values.

    Raises
    ------
    BadInput : the path of the folder is a file.
    MachineFailed : the disk is full.
    """
    make_folder(folder)
    for name, documents in files.items():
        with write_aside(folder / name) as aside:
            text = yaml.safe_dump_all(
                [dict(one) for one in documents], sort_keys=False, allow_unicode=True
            )
            aside.write_text(text, encoding="utf-8")
    return [folder / name for name in files]
