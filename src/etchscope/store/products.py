"""Runs and fits of a store: what was made from the pictures."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select, text

from etchscope.foil import BadInput, Mask
from etchscope.foil.records import Name
from etchscope.store import runs as run_files
from etchscope.store.catalogue import Catalogue, FitRow, RunRow
from etchscope.store.files import delete, written_aside
from etchscope.store.fits import arrays_from_npz, arrays_to_npz
from etchscope.store.rows import now, require_scan
from etchscope.store.tables import read_parquet, read_pits_file

__all__ = ["Products"]

_MASK = "mask"
"""Recipe under which a scan's mask is kept among its fits."""


class Products:
    """The half of a ``Store`` that holds runs and fits."""

    path: Path
    _catalogue: Catalogue

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
        run_files.write_part(self._runs(run), run, index, table, record)

    def parts(self, run: str) -> dict[int, dict[str, Any]]:
        """Return index → record of the parts of a run that goes on; empty if none is there."""
        return run_files.read_parts(self._runs(run), run)

    def read_part(self, run: str, index: int) -> pd.DataFrame:
        """Return the table of one part, in the dtypes it was written with."""
        return run_files.read_part(self._runs(run), run, index)

    def _runs(self, run: str) -> Path:
        try:
            TypeAdapter(Name).validate_python(run)
        except ValidationError as error:
            expected = "letters, digits, dot, dash, underscore"
            raise BadInput("name of a run", expected, repr(run)) from error
        return self.path / "runs"

    def commit_run(
        self,
        run: str,
        scan: str,
        pits: pd.DataFrame,
        record: Mapping[str, Any],
        *,
        judged: pd.DataFrame | None = None,
    ) -> None:
        """Finish a run: write its pit table and record, and drop its parts.

        Committing the identical run again changes nothing.

        Parameters
        ----------
        pits : pit table, see ``foil.as_pits``.
        record : provenance, without times: it is part of the run's bytes.
        judged : any table that is kept beside the pits, see ``read_judged``.

        Raises
        ------
        BadInput : no such scan, no pit table, or another run of that name.
        MachineFailed : the disk is full.
        """
        folder = self._runs(run)
        aside, files = run_files.prepare_run(folder, run, pits, record, judged)
        with ExitStack() as clean, ExitStack() as undo:
            clean.callback(delete, aside)
            with self._catalogue.writing() as session:
                require_scan(session, scan)
                old = session.get(RunRow, run)
                if old is None:
                    undo.callback(delete, folder / run)
                    run_files.publish_run(folder, run, aside)
                    row = {"name": run, "scan": scan, "pits": len(pits), "files": files}
                    session.add(RunRow(**row, committed_at=now()))
                elif (old.scan, old.files) != (scan, files):
                    expected = "the same tables as before"
                    raise BadInput(f"run {run}", expected, "other tables under the same name")
            undo.pop_all()
        run_files.drop_partial(folder, run)

    def renew_run(self, run: str) -> None:
        """Make a finished run the latest of its scan again, since it was asked for again.

        Raises
        ------
        BadInput : no such run.
        """
        self._run_folder(run)
        with self._catalogue.writing() as session:
            row = session.get_one(RunRow, run)
            values = {column.name: getattr(row, column.name) for column in RunRow.__table__.columns}
            session.delete(row)
            session.flush()
            session.add(RunRow(**values))

    def runs(self, scan: str | None = None) -> pd.DataFrame:
        """Return one row a finished run, the latest last: run, scan, pits, committed_at."""
        query = select(RunRow.name, RunRow.scan, RunRow.pits, RunRow.committed_at)
        if scan is not None:
            query = query.where(RunRow.scan == scan)
        with self._catalogue.reading() as session:
            rows = session.execute(query.order_by(text("rowid"))).all()
        return pd.DataFrame(rows, columns=["run", "scan", "pits", "committed_at"])

    def latest_run(self, scan: str) -> str | None:
        """Return the run of a scan that was committed or renewed last, or None."""
        names = self.runs(scan)["run"]
        return str(names.iloc[-1]) if len(names) else None

    def read_pits(self, run: str) -> pd.DataFrame:
        """Return a finished run's pit table.

        Raises
        ------
        BadInput : no such run, or its file is damaged.
        """
        return read_pits_file(self._run_folder(run) / "pits.parquet")

    def read_judged(self, run: str) -> pd.DataFrame | None:
        """Return what a model said of a finished run's pits before a prior; None if not kept.

        Raises
        ------
        BadInput : no such run, or its file is damaged.
        """
        path = self._run_folder(run) / run_files.JUDGED_FILE
        if not path.exists():
            return None
        table: pd.DataFrame = read_parquet(path).to_pandas()
        return table

    def run_record(self, run: str) -> dict[str, Any]:
        """Return a finished run's record.

        Raises
        ------
        BadInput : no such run, or its file is damaged.
        """
        path = self._run_folder(run) / "record.json"
        try:
            record: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise BadInput(path, "the record of a run", str(error)) from error
        return record

    def _run_folder(self, run: str) -> Path:
        with self._catalogue.reading() as session:
            if session.get(RunRow, run) is None:
                raise BadInput("run", "one of the store's finished runs", repr(run))
        return self.path / "runs" / run

    def save_fit(
        self,
        scan: str,
        recipe: str,
        arrays: Mapping[str, "np.ndarray[Any, Any]"],
        record: Mapping[str, Any],
    ) -> str:
        """Keep the constants fitted to a scan under a recipe; return their SHA-256.

        A new fit of the same scan and recipe takes the place of the old one.

        Raises
        ------
        BadInput : no such scan, or an array of objects.
        MachineFailed : the disk is full.
        """
        content, digest = arrays_to_npz(arrays)
        file = f"{scan}-{digest[:16]}.npz"
        with self._catalogue.writing() as session:
            require_scan(session, scan)
            # One writer at a time: what lies aside here belongs to one that was killed.
            for stale in (self.path / "fits").glob(".*.aside"):
                delete(stale)
            with written_aside(self.path / "fits" / file) as aside:
                aside.write_bytes(content)
            old = session.get(FitRow, {"scan": scan, "recipe": recipe})
            gone = old.file if old is not None else file
            session.merge(
                FitRow(
                    scan=scan,
                    recipe=recipe,
                    file=file,
                    sha256=digest,
                    record=dict(record),
                    saved_at=now(),
                )
            )
            session.flush()
            is_used = session.scalar(select(FitRow.file).where(FitRow.file == gone))
        if is_used is None:
            delete(self.path / "fits" / gone)
        return digest

    def load_fit(
        self, scan: str, recipe: str
    ) -> tuple[dict[str, "np.ndarray[Any, Any]"], dict[str, Any]] | None:
        """Return the arrays and the record of a fit, or None without one.

        Raises
        ------
        BadInput : the file is damaged.
        """
        with self._catalogue.reading() as session:
            row = session.get(FitRow, {"scan": scan, "recipe": recipe})
            if row is None:
                return None
            file, digest, record = row.file, row.sha256, dict(row.record)
        return arrays_from_npz(self.path / "fits" / file, digest), record

    def set_mask(self, scan: str, mask: Mask | None) -> None:
        """Keep where a scan is to be searched from now on; None searches all of it again.

        Earlier masks stay, so that a run can be told what its mask was. Removing tiles of the scan
        takes its masks along, as it does all fits: the foil's frame may hang on those tiles.

        Raises
        ------
        BadInput : no such scan.
        MachineFailed : the disk is full.
        """
        if mask is None:
            self.save_fit(scan, _MASK, {}, {"mask": None})
            return
        arrays, record = mask.to_arrays(), {"mask": mask.digest}
        self.save_fit(scan, f"{_MASK}-{mask.digest}", arrays, record)
        # Last, since it is what counts; equal arrays share their file.
        self.save_fit(scan, _MASK, arrays, record)

    def mask(self, scan: str, digest: str | None = None) -> Mask | None:
        """Return where a scan is to be searched; None for all of it.

        Parameters
        ----------
        digest : of an earlier mask, as a run's record names it; by default the present one.

        Raises
        ------
        BadInput : no mask of that digest, or its file is damaged.
        """
        known = self.load_fit(scan, _MASK if digest is None else f"{_MASK}-{digest}")
        if known is None and digest is not None:
            raise BadInput(f"scan {scan}", "a mask of the store", f"mask {digest}")
        if known is None or known[1].get("mask") is None:
            return None
        return Mask.from_arrays(known[0])
