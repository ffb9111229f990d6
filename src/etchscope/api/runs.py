"""Runs of a store: search, score, and what came of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from etchscope.api.given import File, Region, as_polygon, require_table_file
from etchscope.api.kept import OfStore
from etchscope.foil import Device, UnknownRun
from etchscope.progress import Progress, watch
from etchscope.store.records import RunRecord, ScoreRecord

if TYPE_CHECKING:
    from distributed import Client

    from etchscope.candidates import PriorChoice
    from etchscope.preselect import FindSettings
    from etchscope.run import FindReport
    from etchscope.run.stages.scoring import ScoreReport

__all__ = ["RunSteps"]


class RunSteps(OfStore):
    """What is done with runs."""

    def find(
        self,
        scan: str,
        *,
        settings: "FindSettings | None" = None,
        finder: File | None = None,
        region: Region | None = None,
        workers: int | None = None,
        executor: "str | Client" = "threads",
        join: bool = False,
        device: Device = "auto",
        progress: Progress = False,
    ) -> "FindReport":
        """Search a scan for pits; the same search again is not repeated.

        Parameters
        ----------
        settings : of the search.
        finder : folder of a learned finder's weights; that of the package unless given.
        region : search only inside this polygon.
        workers : threads or processes; as many as there are cores unless given.
        executor : what searches the tiles in parallel: threads, processes, inline, or the name of
            another one that is installed; or a ``dask.distributed.Client``, whose cluster does it.
        join : search nothing, but finish the run whose parts ``find_part`` has searched.
        device : where the learned finder computes: cpu, cuda, or auto, which is the processor.

        Raises
        ------
        UnknownScan : the store has no such scan.
        NoGpu : a GPU is asked for, and there is none.
        PartMissing : the parts that are to be joined are not all there.
        BadInput : nothing to search, too few lights, a damaged picture, or no finder.
        MachineFailed : the disk is full, or a worker process was lost.
        """
        from etchscope.run import find

        with watch(progress, f"Searching {scan}") as bar:
            return find(
                self.kept,
                scan,
                settings=settings,
                weights=None if finder is None else Path(finder),
                region=as_polygon(region),
                workers=workers,
                executor=executor,
                join=join,
                device=device,
                progress=bar.advance,
                total=bar.total,
            )

    def run(
        self,
        scan: str,
        *,
        model: File | None = None,
        region: Region | None = None,
        prior: "PriorChoice | Mapping[str, float]" = "foil",
        workers: int | None = None,
        executor: "str | Client" = "threads",
        join: bool = False,
        device: Device = "auto",
        progress: Progress = False,
    ) -> "ScoreReport":
        """Find the pits of a scan unless that is done, and score them with a model.

        Parameters
        ----------
        model : name of a model of the store, or folder of an exported one; the package's own
            unless given.
        region, workers, executor, device : see ``find``.
        prior : shares of the classes that probabilities assume: foil, model, or class → share.
        join : score nothing, but finish the run whose parts ``run_part`` has scored.

        Raises
        ------
        UnknownScan, UnknownModel : the store has no such scan or model.
        PartMissing : the parts that are to be joined are not all there.
        BadInput : see ``find``; or a scan that the model cannot read.
        MachineFailed : the disk is full, or a worker process was lost.
        """
        from etchscope.run.stages.scoring import score

        name = self.register_model(model, [scan])
        with watch(progress, f"Scoring {scan}") as bar:
            return score(
                self.kept,
                scan,
                name,
                region=as_polygon(region),
                prior=prior,
                workers=workers,
                executor=executor,
                join=join,
                device=device,
                progress=bar.advance,
                total=bar.total,
            )

    def register_model(self, model: File | None, scans: Sequence[str]) -> str:
        """Return the name of a model that will score scans; one in a folder is imported.

        Raises
        ------
        UnknownModel : neither a model of the store nor a folder.
        BadInput : a model that cannot read the scans.
        """
        from etchscope.run.models import register_model

        name = None if model is None else str(model)
        return register_model(self.kept, name, scans, is_temporary=self._is_temporary)

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
