"""Tables in ROOT files: a tree with one branch per column, read and written with uproot.

ROOT has no null. In a column with nulls, a null text becomes "", and whole numbers and truth values
become floating-point numbers with NaN.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from uuid import UUID

import numpy as np
import pandas as pd

from etchscope.files.foreign import require_file, require_table_size
from etchscope.foil import BadInput, require_package

__all__ = ["read_root", "write_root"]

_TREE = "pits"
_NO_ID = UUID(int=0)
_CLOCK = threading.Lock()


class _Epoch(datetime):
    """A clock that stands at the first moment that a ROOT file can state."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(1995, 1, 1, tzinfo=tz)


@contextmanager
def _without_clock() -> Iterator[None]:
    """Let uproot, which has no option for it, write the same time into every file."""
    from uproot.writing import _cascade, _cascadetree, writable

    with _CLOCK, ExitStack() as restore:
        for module in (_cascade, _cascadetree, writable):
            restore.callback(setattr, module, "datetime", module.datetime)
            module.datetime = SimpleNamespace(datetime=_Epoch)
        yield


def read_root(path: Path, tree: str | None = None) -> pd.DataFrame:
    """Return the table of a ROOT file's tree, one column per branch.

    Parameters
    ----------
    tree : name of the tree; by default "pits", or else the only tree of the file.

    Raises
    ------
    BadInput : there is no such file or tree, the file is no regular file, not ROOT or has several
        trees, a branch has several values per entry or another number of entries than the tree, or
        the table is too large, see ``require_table_size``.
    MissingExtra : uproot is not installed.
    """
    require_package("uproot")
    import uproot  # here, since it is slow to load and few tables are ROOT files

    require_file(path)
    try:
        with uproot.open(path) as file:
            kinds = file.classnames(recursive=True, cycle=False)
            trees = [n for n, kind in kinds.items() if "TTree" in kind or "RNTuple" in kind]
            wanted = tree or (_TREE if _TREE in trees or len(trees) != 1 else trees[0])
            if wanted not in trees:
                raise BadInput(path, f"a tree {wanted}", ", ".join(trees) or "none")
            found = file[wanted]
            _require_table(path, found)
            columns = found.arrays(library="np")
    except BadInput:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise BadInput(path, "an intact ROOT file", reason) from error
    out: dict[str, Any] = {}
    for name, values in columns.items():
        if values.ndim != 1 or (values.dtype == object and not _is_text(values)):
            raise BadInput(f"{path}: branch {name}", "one value an entry", "several")
        text = values.dtype.kind in "OU"
        out[name] = pd.Series(values).astype("str").replace("", None) if text else values
    if len({len(values) for values in out.values()}) > 1:
        raise BadInput(path, "branches of one length", "branches of different lengths")
    return pd.DataFrame(out)


def _require_table(path: Path, tree: Any) -> None:
    """Refuse a tree that is too large, or whose branches differ in length, before it is read."""
    rows, size = int(tree.num_entries), 0
    require_table_size(path, rows=rows, columns=len(tree.keys()), size=0)
    for name in tree.keys():  # noqa: SIM118 - a tree is no dictionary
        branch = tree[name]
        entries = int(getattr(branch, "num_entries", rows))  # a field of an RNTuple has none
        if entries != rows:
            raise BadInput(f"{path}: branch {name}", f"{rows} entries", str(entries))
        size += int(getattr(branch, "uncompressed_bytes", 0))
    require_table_size(path, rows=rows, columns=1, size=size)


def _is_text(values: "np.ndarray[Any, Any]") -> bool:
    return all(isinstance(value, str) for value in values)


def write_root(path: Path, table: pd.DataFrame) -> None:
    """Write a table as the tree "pits", one branch per column; equal tables give equal bytes.

    A file that exists is replaced.

    Raises
    ------
    MissingExtra : uproot is not installed.
    """
    require_package("uproot")
    import uproot

    columns: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    for name in table.columns:
        values = table[name]
        if pd.api.types.is_numeric_dtype(values):
            has_null = bool(values.isna().any())
            whole = pd.api.types.is_integer_dtype(values) and not has_null
            true = pd.api.types.is_bool_dtype(values) and not has_null
            kind = "bool" if true else "int64" if whole else "float64"
            columns[name] = (
                values.to_numpy(kind, na_value=np.nan)
                if kind == "float64"
                else (values.to_numpy(kind))
            )
            kinds[name] = kind
        else:
            columns[name] = ["" if pd.isna(v) else str(v) for v in values]
            kinds[name] = "string"
    # An open file, since uproot writes the name of a path into the file.
    with (
        _without_clock(),
        path.open("w+b") as opened,
        uproot.recreate(opened, uuid_function=lambda: _NO_ID) as file,
    ):
        file.mktree(_TREE, kinds)
        if len(table):
            file[_TREE].extend(columns)
