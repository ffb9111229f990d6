"""Finished runs of a store, and what came of them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from etchscope.api.given import File, require_table_file
from etchscope.api.kept import OfStore
from etchscope.foil import UnknownRun
from etchscope.store.records import RunRecord, ScoreRecord

__all__ = ["RunSteps"]


class RunSteps(OfStore):
    """What is done with finished runs."""

    def runs(self, scan: str | None = None) -> pd.DataFrame:
        """Return one row per finished run, the latest last.

        Raises
        ------
        UnknownScan : the store has no such scan.
        """
        if scan is not None:
            self.kept.scans.get(scan)
        table = self.kept.runs.table(scan)
        records = [self.kept.runs.record(run) for run in table["run"]]
        scored = [record if isinstance(record, ScoreRecord) else None for record in records]
        return table.assign(
            stage=[record.stage for record in records],
            tiles=[len(record.tiles) for record in records],
            model=["" if record is None else record.model.name for record in scored],
            search=["" if record is None else record.search for record in scored],
        )

    def record(self, run: str) -> RunRecord:
        """Return how a run was made.

        Raises
        ------
        UnknownRun : the store has no such run.
        """
        return self.kept.runs.record(run)

    def remove_runs(self, runs: str | Sequence[str]) -> None:
        """Remove finished runs; scans, labels and models stay.

        Raises
        ------
        UnknownRun : the store has no such run.
        BadInput : a search from which a run that stays was made.
        """
        self.kept.runs.remove(_as_list(runs))

    def require_removable(self, runs: str | Sequence[str]) -> None:
        """Raise what ``remove_runs`` would raise; changes nothing.

        If one of them is not there, a removal of it that was killed is finished.
        """
        try:
            self.kept.runs.require_removable(_as_list(runs))
        except UnknownRun:
            self.kept.scans.finish_removals()
            raise

    def chosen_runs(
        self,
        scan: str | None = None,
        *,
        run: str | Sequence[str] | None = None,
        scored: bool = False,
    ) -> list[str]:
        """Return the chosen runs: ``run``, or the latest run of the scan, or of each scan.

        Parameters
        ----------
        scored : choose only among runs that a model has scored.

        Raises
        ------
        UnknownScan, UnknownRun : the store has no such scan or run.
        NotSearched, NotScored : there is none.
        BadInput : a run of another scan.
        """
        from etchscope.run.results import choose_runs, choose_scored_runs

        if run is not None and not isinstance(run, str):
            return list(run)
        choose = choose_scored_runs if scored else choose_runs
        return choose(self.kept, scan=scan, run=run)

    def pits(
        self, scan: str | None = None, *, run: str | Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the pit table of a scan, or of all scans, from the latest runs or from ``run``.

        Raises
        ------
        BadInput : see ``chosen_runs``.
        """
        from etchscope.run.results import gather_pits

        return gather_pits(self.kept, self.chosen_runs(scan, run=run))

    def candidates(
        self,
        scan: str | None = None,
        *,
        run: str | Sequence[str] | None = None,
        every: bool = False,
    ) -> pd.DataFrame:
        """Return the candidates of scored runs, sorted by score, highest first.

        Parameters
        ----------
        every : also those that do not pass the working point.

        Raises
        ------
        BadInput : see ``chosen_runs``.
        """
        from etchscope.run.results import gather_candidates, select_candidates

        table = gather_candidates(self.kept, self.chosen_runs(scan, run=run, scored=True))
        return table if every else select_candidates(table)

    def export(
        self, path: File, scan: str | None = None, *, run: str | Sequence[str] | None = None
    ) -> list[str]:
        """Write the table of ``pits`` with its record into a file; return the runs it is of.

        Parameters
        ----------
        path : .csv, .parquet or .root.

        Raises
        ------
        BadInput : see ``chosen_runs``; or another suffix, or no such folder.
        MachineFailed : the disk is full.
        """
        runs = self.chosen_runs(scan, run=run)
        self._write(path, self.pits(run=runs), runs)
        return runs

    def export_candidates(
        self,
        path: File,
        scan: str | None = None,
        *,
        run: str | Sequence[str] | None = None,
        every: bool = False,
        count: int | None = None,
        table: pd.DataFrame | None = None,
    ) -> list[str]:
        """Write the table of ``candidates`` with its record into a file; return the runs it is of.

        Parameters
        ----------
        path : .csv, .parquet or .root.
        count : most candidates to write; all unless given.
        table : rows of ``candidates`` to write, if you select them yourself.

        Raises
        ------
        BadInput : see ``candidates``; or another suffix, or no such folder.
        MachineFailed : the disk is full.
        """
        runs = self.chosen_runs(scan, run=run, scored=True)
        best = self.candidates(run=runs, every=every) if table is None else table
        self._write(path, best.iloc[:count], runs)
        return runs

    def _write(self, path: File, table: pd.DataFrame, runs: Sequence[str]) -> None:
        from etchscope.files.tables import write_table
        from etchscope.run.results import gather_records

        require_table_file(path)
        write_table(Path(path), table, record=gather_records(self.kept, runs))


def _as_list(runs: str | Sequence[str]) -> list[str]:
    return [runs] if isinstance(runs, str) else list(runs)
