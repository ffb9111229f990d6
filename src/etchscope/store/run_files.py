"""Runs on disk: parts while a run goes on, one folder when it is finished.

``runs/.{run}.partial/part-00000.parquet`` is a part, its record in the file's metadata;
``runs/{run}/`` holds ``pits.parquet``, ``record.json`` and, of a run that scored, what the model
said before a prior, ``judged.parquet``.
"""

import json
import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from etchscope.files.atomic import (
    delete,
    drop_dead_asides,
    name_aside,
    sync_path,
    sync_tree,
    translate_disk_errors,
    write_aside,
)
from etchscope.files.digests import sha256_of
from etchscope.files.strict_json import canonical_json
from etchscope.files.tables import pits_to_arrow, read_frame, write_parquet
from etchscope.foil import BadInput

__all__ = [
    "JUDGED_FILE",
    "RECORD_FILE",
    "drop_partial",
    "note_shares",
    "partial_folder",
    "partial_runs_of",
    "prepare_run",
    "publish_run",
    "read_part",
    "read_parts",
    "share_counts",
    "write_part",
]

log = logging.getLogger(__name__)

JUDGED_FILE = "judged.parquet"
RECORD_FILE = "record.json"
_RECORD = b"etchscope_part"
_PART = re.compile(r"part-(\d{5,})\.parquet")
_SHARES = re.compile(r"shares-([1-9]\d{0,8})", re.ASCII)


def partial_folder(runs: Path, run: str) -> Path:
    """Return the folder of a run that is not finished."""
    return runs / f".{run}.partial"


def _part_file(runs: Path, run: str, index: int) -> Path:
    return partial_folder(runs, run) / f"part-{index:05d}.parquet"


def note_shares(runs: Path, run: str, count: int) -> None:
    """Keep that a run is done in a number of shares, for as long as it is not finished.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    folder = partial_folder(runs, run)
    with translate_disk_errors(f"writing {folder}"):
        folder.mkdir(exist_ok=True)
        (folder / f"shares-{count}").touch()


def share_counts(runs: Path, run: str) -> list[int]:
    """Return the numbers of shares that ``note_shares`` has kept."""
    names = (path.name for path in partial_folder(runs, run).glob("shares-*"))
    return sorted(int(match[1]) for match in map(_SHARES.fullmatch, names) if match)


def write_part(
    runs: Path, run: str, index: int, table: pd.DataFrame, record: Mapping[str, Any]
) -> None:
    """Write one part of a run, whole or not at all; the same table gives the same bytes.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    path = _part_file(runs, run, index)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), _RECORD: canonical_json(dict(record)).encode()}
    with translate_disk_errors(f"writing {path}"):
        path.parent.mkdir(exist_ok=True)
    with write_aside(path, sweep=False) as aside:
        write_parquet(aside, arrow.replace_schema_metadata(metadata))


def read_parts(runs: Path, run: str) -> dict[int, dict[str, Any]]:
    """Return index → record of the parts that are there; none for an unknown run.

    Raises
    ------
    BadInput : a part is damaged.
    """
    folder = partial_folder(runs, run)
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _PART.fullmatch(path.name)
        if match:
            found[int(match[1])] = _record_of(path)
    return found


def _record_of(path: Path) -> dict[str, Any]:
    try:
        metadata = pq.read_schema(path).metadata or {}
        record: dict[str, Any] = json.loads(metadata[_RECORD])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        hint = "Delete the file; the run will make it again."
        raise BadInput(path, "a part of a run", str(error), hint=hint) from error
    return record


def read_part(runs: Path, run: str, index: int) -> pd.DataFrame:
    """Return the table of one part, in the dtypes it was written with.

    Raises
    ------
    BadInput : the part is absent or damaged.
    """
    return read_frame(_part_file(runs, run, index))


def partial_runs_of(runs: Path, scans: Collection[str]) -> list[str]:
    """Return the unfinished runs whose parts name one of these scans (``scan`` in the record)."""
    found = []
    for folder in sorted(runs.glob(".*.partial")):
        run = folder.name.removeprefix(".").removesuffix(".partial")
        for part in sorted(p for p in folder.iterdir() if _PART.fullmatch(p.name)):
            try:
                record = _record_of(part)
            except BadInput as error:
                log.warning("a part of run %s is passed over: %s", run, error)
                continue
            if record.get("scan") in scans:
                found.append(run)
            break
    return found


def drop_partial(runs: Path, run: str) -> None:
    """Delete the parts of a run."""
    delete(partial_folder(runs, run))


def prepare_run(
    runs: Path,
    run: str,
    pits: pd.DataFrame,
    record: Mapping[str, Any],
    judged: pd.DataFrame | None = None,
) -> tuple[Path, dict[str, str]]:
    """Write a run's folder aside, flushed; return it and the SHA-256 of each file in it.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    drop_dead_asides(runs / run)
    aside = name_aside(runs / run)
    with translate_disk_errors(f"writing run {run}"):
        try:
            aside.mkdir()
            write_parquet(aside / "pits.parquet", pits_to_arrow(pits, record=record))
            if judged is not None:
                arrow = pa.Table.from_pandas(judged, preserve_index=False)
                write_parquet(aside / JUDGED_FILE, arrow)
            text = json.dumps(dict(record), sort_keys=True, indent=1, ensure_ascii=False)
            (aside / RECORD_FILE).write_text(text + "\n", encoding="utf-8")
            sync_tree(aside)
        except BaseException:
            delete(aside)
            raise
    return aside, {path.name: sha256_of(path) for path in sorted(aside.iterdir())}


def publish_run(runs: Path, run: str, aside: Path) -> None:
    """Give a prepared folder its name; a folder left by a killed commit gives way."""
    with translate_disk_errors(f"writing run {run}"):
        delete(runs / run)
        aside.rename(runs / run)
        sync_path(runs)
