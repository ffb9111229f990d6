"""A store as a notebook and the command line use it: every step of the work is one method."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from etchscope.api.alignment import align
from etchscope.api.density_maps import DensitySteps
from etchscope.api.given import File
from etchscope.api.injection import InjectionSteps
from etchscope.api.labels import LabelSteps
from etchscope.api.models import ModelSteps
from etchscope.api.residuals import ResidualSteps
from etchscope.api.runs import RunSteps
from etchscope.api.scans import ScanSteps
from etchscope.api.searches import SearchSteps
from etchscope.api.stack import StackSteps
from etchscope.api.stars import StarSteps
from etchscope.api.training import TrainingSteps
from etchscope.progress import Progress, watch
from etchscope.store import Store as KeptStore
from etchscope.store.postgresql import is_address
from etchscope.store.settings import is_store

if TYPE_CHECKING:
    from etchscope.align import AlignedStack
    from etchscope.store.migration import Migration

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
    if create and not is_address(path) and not is_store(Path(path)):
        return Store.create(path)
    return Store.open(path)


class Store(
    ScanSteps,
    SearchSteps,
    RunSteps,
    DensitySteps,
    LabelSteps,
    TrainingSteps,
    ModelSteps,
    InjectionSteps,
    StarSteps,
    ResidualSteps,
    StackSteps,
):
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
    def create(
        cls, path: File, *, catalogue: str | None = None, pictures: str | None = None
    ) -> "Store":
        """Return a new store in a folder, which must be absent or empty.

        Parameters
        ----------
        catalogue : address of a database for what is no picture, table or model, as
            ``postgresql://user@host/database``; a file in the folder unless given.
        pictures : URL of an empty place for the pictures, as ``s3://bucket/plate7``; the folder
            unless given.

        Raises
        ------
        BadInput : the folder is a store already, or holds something else; or the place for the
            pictures does.
        MachineFailed : the disk is full, or the database or object store cannot be reached.
        """
        return cls(KeptStore.create(path, catalogue=catalogue, pictures=pictures))

    @classmethod
    def open(cls, path: File) -> "Store":
        """Return the store in a folder, or that of a database, given by its address.

        Raises
        ------
        NotAStore : there is none.
        BadInput : a store of another version.
        """
        return cls(KeptStore.open(path))

    @staticmethod
    def migrate(path: File) -> "Migration":
        """Bring a store of an earlier version up to date, and return what was done.

        Raises
        ------
        NotAStore : there is none.
        BadInput : a store of a later version, or a damaged one.
        MachineFailed : the disk is full, or another process writes for too long.
        """
        return KeptStore.migrate(path)

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

    def align(
        self, lists: Sequence[File], folder: File | None = None, **how: Any
    ) -> "AlignedStack":
        """Return sides and foils of a stack in the frame of the first; see ``api.align``.

        Parameters
        ----------
        lists : scans of the store, or files of pits.
        how : name, tolerance_um and others of ``api.align``.
        """
        return align(lists, folder, store=self, **how)

    def report(
        self,
        scan: str | None,
        folder: File,
        *,
        run: str | None = None,
        form: Literal["png", "svg", "pdf"] = "png",
        progress: Progress = False,
    ) -> Path:
        """Write figures and one HTML page of a run into a folder, and return the page.

        Parameters
        ----------
        scan : may be None where only one scan has runs.
        run : the latest unless given.
        form : in which figures are written besides PNG.

        Raises
        ------
        BadInput : no such scan or run, several scans and none named, or the folder is a file.
        MachineFailed : the disk is full.
        """
        from etchscope.pages import gather_content, write_report
        from etchscope.run.results import choose_run

        content = gather_content(self.kept, choose_run(self.kept, scan=scan, run=run))
        with watch(progress, "Drawing tiles", len(content.scan.included)) as bar:
            return write_report(content, Path(folder), form=form, progress=bar.advance)

    def sheet(
        self,
        folder: File,
        scan: str | None = None,
        *,
        run: str | Sequence[str] | None = None,
        every: bool = False,
        count: int = 100,
        table: pd.DataFrame | None = None,
        progress: Progress = False,
    ) -> Path:
        """Write a page with cut-outs of the best candidates into a folder, and return it.

        Parameters
        ----------
        scan, run, every : see ``candidates``.
        count : most candidates to show.
        table : rows of ``candidates`` to show, if you select them yourself.

        Raises
        ------
        BadInput : see ``candidates``; or the folder is a file.
        MachineFailed : the disk is full.
        """
        from etchscope.pages.candidates import write_candidates
        from etchscope.pages.views import gather_views

        runs = self.chosen_runs(scan, run=run, scored=True)
        best = (self.candidates(run=runs, every=every) if table is None else table).head(count)
        with watch(progress, "Drawing candidates", len(best)) as bar:
            views = gather_views(self.kept, best, progress=bar.advance)
            return write_candidates(views, Path(folder), pits=self.pits(run=runs))
