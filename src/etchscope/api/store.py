"""A store as a notebook and the command line use it: every step of the work is one method."""

from html import escape
from pathlib import Path
from typing import Any

from etchscope.api.given import File
from etchscope.api.labels import LabelSteps
from etchscope.api.models import ModelSteps
from etchscope.api.runs import RunSteps
from etchscope.api.scans import ScanSteps
from etchscope.store import Store as KeptStore
from etchscope.store.catalogue import CATALOGUE_FILE

__all__ = ["Store", "open_store"]


def open_store(path: File, *, create: bool = False) -> "Store":
    """Return the store in a folder.

    Parameters
    ----------
    create : make an empty one where there is none yet.

    Raises
    ------
    NotAStore : there is none, and ``create`` is false.
    BadInput : a store of another version, or a folder that holds something else.
    """
    if create and not (Path(path) / CATALOGUE_FILE).is_file():
        return Store.create(path)
    return Store.open(path)


class Store(ScanSteps, RunSteps, LabelSteps, ModelSteps):
    """Scans, runs, labels and models in one folder, and all that is done with them.

    Each method does one step and returns what came of it. What reads a scan takes its latest run
    unless ``run`` names another. ``progress`` is False, or True for bars on stderr, or a function
    that is called with what is being done, how much was just done and how much there is.

    Parameters
    ----------
    kept : the store that holds the files.
    is_temporary : whether it was made for one search only.
    """

    @classmethod
    def create(cls, path: File) -> "Store":
        """Return a new store in a folder, which must be absent or empty.

        Raises
        ------
        BadInput : the folder is a store already, or holds something else.
        MachineFailed : the disk is full.
        """
        return cls(KeptStore.create(path))

    @classmethod
    def open(cls, path: File) -> "Store":
        """Return the store in a folder.

        Raises
        ------
        NotAStore : there is none.
        BadInput : a store of another version.
        """
        return cls(KeptStore.open(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Store.open, (str(self.path),))

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Return scans, runs and models as small tables, for a notebook."""
        tables = {"scans": self.scans(), "runs": self.runs(), "models": self.models()}
        parts = [f"<h4>{escape(str(self.path))}</h4>"]
        for what, table in tables.items():
            shown = table.to_html(index=False, na_rep="") if len(table) else "none"
            parts.append(f"<p>{what}</p>{shown}")
        return "".join(parts)
