"""Runs of a store: what was made from the pictures of its scans."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from etchscope.files.atomic import delete, translate_disk_errors
from etchscope.files.inside import path_inside
from etchscope.files.locks import lock_folder
from etchscope.files.tables import read_frame, read_pits_file
from etchscope.foil import BadInput, MachineFailed, NotScored, UnknownRun
from etchscope.foil.records import Name
from etchscope.store import run_files
from etchscope.store.catalogue import Catalogue, RunRow
from etchscope.store.records import RunRecord, ScoreRecord, read_run_record
from etchscope.store.removal import delete_unnamed
from etchscope.store.rows import now, require_scan

__all__ = ["Runs", "Stage"]

Stage = Literal["find", "score"]


class Runs:
    """The runs of a store: what was made from the pictures of a scan."""

    def __init__(self, root: Path, catalogue: Catalogue) -> None:
        self._root = root
        self._catalogue = catalogue

    def write_part(
        self, run: str, index: int, table: pd.DataFrame, record: Mapping[str, Any]
    ) -> None:
        """Write one part of a run that goes on, whole or not at all.

        Parameters
        ----------
        table : any table; its dtypes come back.
        record : what is to be known of the part; its ``scan`` lets ``remove`` find it.

        Raises
        ------
        BadInput : the name of the run is no file name.
        MachineFailed : the disk is full.
        """
        run_files.write_part(self._folder(run), run, index, table, record)

    def parts(self, run: str) -> dict[int, dict[str, Any]]:
        """Return index → record of the parts of a run that goes on; empty if none is there."""
        return run_files.read_parts(self._folder(run), run)

    def read_part(self, run: str, index: int) -> pd.DataFrame:
        """Return the table of one part, in the dtypes it was written with."""
        return run_files.read_part(self._folder(run), run, index)

    def note_shares(self, run: str, count: int) -> None:
        """Keep that a run is done in a number of shares, for as long as it is not finished.

        Raises
        ------
        BadInput : the name of the run is no file name.
        MachineFailed : the disk is full.
        """
        run_files.note_shares(self._folder(run), run, count)

    def share_counts(self, run: str) -> list[int]:
        """Return the numbers of shares that ``note_shares`` has kept; empty if none is."""
        return run_files.share_counts(self._folder(run), run)

    def _folder(self, run: str) -> Path:
        try:
            TypeAdapter(Name).validate_python(run)
        except ValidationError as error:
            expected = "letters, digits, dot, dash, underscore"
            raise BadInput("name of a run", expected, repr(run)) from error
        return self._root / "runs"

    def commit(
        self,
        run: str,
        pits: pd.DataFrame,
        record: RunRecord,
        *,
        judged: pd.DataFrame | None = None,
    ) -> None:
        """Finish a run: write its pit table and record, and drop its parts.

        Committing the identical run again changes nothing.

        Parameters
        ----------
        pits : pit table, see ``foil.as_pits``.
        record : names the scan; it is part of the run's bytes, so it has no times.
        judged : any table that is kept beside the pits, see ``judged``.

        Raises
        ------
        BadInput : no such scan, no pit table, or another run of that name.
        MachineFailed : the disk is full.
        """
        folder, scan = self._folder(run), record.scan
        with ExitStack() as clean, ExitStack() as undo:
            clean.enter_context(lock_folder(folder))  # one writes a folder aside at a time
            aside, files = run_files.prepare_run(folder, run, pits, record.as_dict(), judged)
            clean.callback(delete, aside)
            with self._catalogue.writing() as session:
                require_scan(session, scan)
                old = session.get(RunRow, run)
                if old is None:
                    undo.callback(self._delete_uncommitted, run)
                    run_files.publish_run(folder, run, aside)
                    row = {"name": run, "scan": scan, "pits": len(pits), "files": files}
                    number = _next_number(session)
                    session.add(RunRow(**row, number=number, committed_at=now()))
                elif (old.scan, old.files) != (scan, files):
                    expected = "the same tables as before"
                    raise BadInput(f"run {run}", expected, "other tables under the same name")
            undo.pop_all()
        run_files.drop_partial(folder, run)

    def _delete_uncommitted(self, run: str) -> None:
        """Delete the files of a commit that failed, unless the error came after the commit."""
        # If the catalogue cannot be asked, the files stay until the next addition or removal.
        with suppress(BadInput, MachineFailed):
            delete_unnamed(self._catalogue, [path_inside(self._root / "runs", run)])

    def renew(self, run: str) -> None:
        """Make a finished run the latest of its scan again, since it was asked for again.

        Raises
        ------
        BadInput : no such run.
        """
        self._run_folder(run)
        with self._catalogue.writing() as session:
            session.get_one(RunRow, run).number = _next_number(session)

    def table(self, scan: str | None = None) -> pd.DataFrame:
        """Return one row per finished run, the latest last: run, scan, pits, committed_at."""
        query = select(RunRow.name, RunRow.scan, RunRow.pits, RunRow.committed_at)
        if scan is not None:
            query = query.where(RunRow.scan == scan)
        with self._catalogue.reading() as session:
            rows = session.execute(query.order_by(RunRow.number)).all()
        return pd.DataFrame(rows, columns=["run", "scan", "pits", "committed_at"])

    def names(self, scan: str | None = None) -> list[str]:
        """Return the finished runs, of a scan or of all, the latest first."""
        return [str(run) for run in self.table(scan)["run"][::-1]]

    def __contains__(self, run: object) -> bool:
        with self._catalogue.reading() as session:
            return session.get(RunRow, run) is not None

    def latest(
        self,
        scan: str,
        *,
        stage: Stage | None = None,
        whole: bool = False,
        weights_sha256: str | None = None,
    ) -> str | None:
        """Return the run of a scan that was committed or renewed last, or None without one.

        Parameters
        ----------
        stage : ``find`` for searches only, ``score`` for runs that a model has judged.
        whole : pass over runs of a region of the scan.
        weights_sha256 : of the model that has judged the run.

        Raises
        ------
        BadInput : the record of a run is damaged.
        """
        for run in self.names(scan):
            if stage is None and weights_sha256 is None and not whole:
                return run
            record = self.record(run)
            if stage not in (None, record.stage):
                continue
            if whole and record.region_mm is not None:
                continue
            weights = record.model.weights_sha256 if isinstance(record, ScoreRecord) else None
            if weights_sha256 not in (None, weights):
                continue
            return run
        return None

    def pits(self, run: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return a finished run's pit table.

        Parameters
        ----------
        columns : those that are read; all of them unless given.

        Raises
        ------
        BadInput : no such run, or its file is damaged.
        """
        path = self._run_folder(run) / "pits.parquet"
        if columns is None:
            return read_pits_file(path)
        return read_frame(path, columns)

    def judged(self, run: str) -> pd.DataFrame | None:
        """Return what a model said of a finished run's pits before a prior; None if not kept.

        Raises
        ------
        BadInput : no such run, or its file is damaged.
        """
        path = self._run_folder(run) / run_files.JUDGED_FILE
        if not path.exists():
            return None
        return read_frame(path)

    def record(self, run: str) -> RunRecord:
        """Return a finished run's record.

        Raises
        ------
        UnknownRun : no such run.
        DamagedFile : its file is absent or damaged.
        """
        return read_run_record(self._run_folder(run) / run_files.RECORD_FILE)

    def score_record(self, run: str) -> ScoreRecord:
        """Return a scored run's record.

        Raises
        ------
        UnknownRun : no such run.
        NotScored : a search.
        DamagedFile : its file is absent or damaged.
        """
        record = self.record(run)
        if not isinstance(record, ScoreRecord):
            raise NotScored(f"run {run}", "a scored run", "a search")
        return record

    def _run_folder(self, run: str) -> Path:
        with self._catalogue.reading() as session:
            if session.get(RunRow, run) is None:
                raise UnknownRun("run", "one of the store's finished runs", repr(run))
        return path_inside(self._root / "runs", run)

    def require_removable(self, runs: Collection[str]) -> None:
        """Refuse runs that are not there, and searches that runs which stay were made from.

        Raises
        ------
        BadInput : names the run.
        """
        for run in runs:
            self._run_folder(run)
        for name in self.names():
            record = self.record(name)
            search = record.search if isinstance(record, ScoreRecord) else None
            if search in runs and name not in runs:
                expected = "a run that no other one was made from"
                hint = "Remove both."
                raise BadInput(f"run {search}", expected, f"the scored run {name}", hint=hint)

    def remove(self, runs: Collection[str]) -> None:
        """Remove finished runs; the catalogue forgets them first, their files are deleted after.

        Raises
        ------
        BadInput : see ``require_removable``.
        MachineFailed : the disk fails.
        """
        self.require_removable(runs)
        folders = [path_inside(self._root / "runs", run) for run in runs]
        with translate_disk_errors("removing"):
            with self._catalogue.writing() as session:
                session.execute(delete_rows(RunRow).where(RunRow.name.in_(list(runs))))
            delete_unnamed(self._catalogue, folders)


def _next_number(session: Session) -> int:
    """Return the number of a run that is the latest now; nobody else writes meanwhile."""
    return (session.scalar(select(func.max(RunRow.number))) or 0) + 1
