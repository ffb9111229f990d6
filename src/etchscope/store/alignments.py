"""An alignment as a folder: what was found, in JSON, and each list in Parquet."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from etchscope.foil import BadInput
from etchscope.store.files import made_folder, written_aside
from etchscope.store.tables import read_parquet, write_parquet

__all__ = ["ALIGNMENT_FILE", "read_alignment", "write_alignment"]

ALIGNMENT_FILE = "alignment.json"
_FORMAT = 1


def write_alignment(
    folder: Path, told: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> Path:
    """Write an alignment, its file last; return that file. Files of the same names are replaced.

    Parameters
    ----------
    folder : made if absent.
    told : for JSON.
    tables : name → table, written as ``{name}.parquet``.

    Raises
    ------
    BadInput : the folder is a file.
    MachineFailed : the disk is full.
    """
    made_folder(folder)
    for name, table in tables.items():
        with written_aside(folder / f"{name}.parquet") as aside:
            write_parquet(aside, pa.Table.from_pandas(table, preserve_index=False))
    path = folder / ALIGNMENT_FILE
    text = json.dumps({"format": _FORMAT, **told}, indent=1, ensure_ascii=False, allow_nan=False)
    with written_aside(path) as aside:
        aside.write_text(text + "\n", encoding="utf-8")
    return path


def read_alignment(folder: Path) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Return what ``write_alignment`` wrote: the JSON, and the table of each of its members.

    Raises
    ------
    BadInput : no alignment there, one of another format, or a file is absent or damaged.
    """
    path = folder / ALIGNMENT_FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "Make one with `etchscope align`."
        raise BadInput(folder, "an alignment", f"no {ALIGNMENT_FILE} there", hint=hint) from error
    except ValueError as error:
        raise BadInput(path, "JSON", str(error)) from error
    if not isinstance(told, dict) or told.get("format") != _FORMAT or "members" not in told:
        raise BadInput(path, f"an alignment of format {_FORMAT}", "another file")
    names = [str(member["name"]) for member in told["members"]]
    return told, {name: read_parquet(folder / f"{name}.parquet").to_pandas() for name in names}
