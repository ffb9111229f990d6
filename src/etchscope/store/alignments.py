"""Alignments: as a folder with each list in Parquet, and what a store keeps of its scans.

A store keeps how the frames of its own scans lie to each other, one JSON file per alignment.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import pyarrow as pa
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)

from etchscope.files.atomic import make_folder, write_aside
from etchscope.files.foreign import read_bytes
from etchscope.files.strict_json import first_fault
from etchscope.files.tables import read_columns, write_parquet
from etchscope.foil import BadInput, Side, UnknownAlignment
from etchscope.foil.records import Name
from etchscope.geometry import FoilFrame, Similarity

__all__ = [
    "ALIGNMENTS_FOLDER",
    "ALIGNMENT_FILE",
    "AlignedScan",
    "Alignments",
    "KeptAlignment",
    "WrittenAlignment",
    "WrittenMember",
    "read_alignment",
    "read_kept_alignment",
    "write_alignment",
]

ALIGNMENT_FILE = "alignment.json"
ALIGNMENTS_FOLDER = "alignments"
_FORMAT = 1
_FARTHEST_MM = 1e6


def write_alignment(
    folder: Path, figures: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> Path:
    """Write an alignment, its file last; return that file. Files of the same names are replaced.

    Parameters
    ----------
    folder : made if absent.
    figures : for JSON; has at least what ``WrittenAlignment`` reads.
    tables : name → table, written as ``{name}.parquet``.

    Raises
    ------
    BadInput : the folder is a file.
    MachineFailed : the disk is full.
    """
    make_folder(folder)
    for name, table in tables.items():
        with write_aside(folder / f"{name}.parquet") as aside:
            write_parquet(aside, pa.Table.from_pandas(table, preserve_index=False))
    path = folder / ALIGNMENT_FILE
    text = json.dumps({"format": _FORMAT, **figures}, indent=1, ensure_ascii=False, allow_nan=False)
    with write_aside(path) as aside:
        aside.write_text(text + "\n", encoding="utf-8")
    return path


def _require_file_name(name: str) -> str:
    if not name or "/" in name or "\0" in name:
        raise ValueError("the name of a file is wanted")
    return name


def _require_near(transform: Similarity) -> Similarity:
    values = (transform.angle_rad, transform.shift_x, transform.shift_y, transform.scale)
    if not all(abs(value) <= _FARTHEST_MM for value in values) or transform.scale < 1e-3:
        raise ValueError(
            f"shifts up to {_FARTHEST_MM:g} mm and a scale of 0.001 or more are wanted"
        )
    return transform


Length = Annotated[float, Field(ge=1e-6, le=1e6)]
"""A distance on foils in mm: a nanometre to a kilometre."""


class WrittenMember(BaseModel):
    """A list in an alignment: ``transform`` takes its frame to that of the first list.

    ``against``: the list that it was registered with; None of the first.
    """

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, AfterValidator(_require_file_name)]
    foil: str
    side: Side
    against: str | None
    transform: Annotated[Similarity, AfterValidator(_require_near)]


class WrittenAlignment(BaseModel):
    """What is needed of ``alignment.json`` to go on; its other figures are for people."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1]
    tolerance_mm: Length
    spread_mm: Length
    members: Annotated[tuple[WrittenMember, ...], Field(min_length=1)]


def read_alignment(folder: Path) -> tuple[WrittenAlignment, dict[str, pd.DataFrame]]:
    """Return what ``write_alignment`` wrote: the JSON, and the table of each of its members.

    Raises
    ------
    UnknownAlignment : no alignment there.
    BadInput : one of another format, or a file is absent or damaged; names the key.
    """
    path = folder / ALIGNMENT_FILE
    if not path.exists():
        raise UnknownAlignment(folder, "an alignment", f"no {ALIGNMENT_FILE} there")
    try:
        written = WrittenAlignment.model_validate_json(read_bytes(path))
    except ValidationError as error:
        where, found = first_fault(path, error)
        raise BadInput(where, f"an alignment of format {_FORMAT}", found) from error
    names = [member.name for member in written.members]
    if len(set(names)) < len(names):
        raise BadInput(f"{path}: members", "every name once", ", ".join(names))
    return written, {name: read_columns(folder / f"{name}.parquet") for name in names}


class AlignedScan(BaseModel):
    """A scan in an alignment: ``transform`` takes its foil frame, as it was, to the common one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scan: Name
    frame: FoilFrame
    transform: Similarity


class KeptAlignment(BaseModel):
    """How the frames of a store's scans lie to each other, and since when that is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    name: Name
    when: AwareDatetime
    members: tuple[AlignedScan, ...] = Field(min_length=2)


def read_kept_alignment(path: Path) -> KeptAlignment:
    """Return an alignment of a store's file.

    Raises
    ------
    BadInput : absent or damaged; names the key.
    """
    try:
        return KeptAlignment.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(path, "an alignment", error.strerror or "no file") from error
    except ValidationError as error:
        where, found = first_fault(path, error)
        raise BadInput(where, "an alignment", found) from error


class Alignments:
    """The alignments that a store keeps of its scans."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def newest_first(self) -> list[KeptAlignment]:
        """Return the alignments, the newest first.

        Raises
        ------
        BadInput : one of them is damaged.
        """
        paths = sorted((self._root / ALIGNMENTS_FOLDER).glob("[!.]*.json"))
        found = [read_kept_alignment(path) for path in paths]
        return sorted(found, key=lambda one: one.when, reverse=True)

    def keep(self, alignment: KeptAlignment) -> None:
        """Keep an alignment; it takes the place of one of the same name.

        Raises
        ------
        MachineFailed : the disk is full.
        """
        folder = self._root / ALIGNMENTS_FOLDER
        make_folder(folder)
        with write_aside(folder / f"{alignment.name}.json") as aside:
            aside.write_text(alignment.model_dump_json(indent=1) + "\n", encoding="utf-8")
