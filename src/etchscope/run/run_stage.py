"""The common part of stages that turn the tiles of a scan into a run."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import pandas as pd

from etchscope.foil import Scan
from etchscope.run.stage import Piece, run_name, tile_pieces
from etchscope.store import FindRecord, ScoreRecord, Store
from etchscope.store.run_files import drop_partial

__all__ = ["RunStage"]

Record = TypeVar("Record", FindRecord, ScoreRecord)
Report = TypeVar("Report")


@dataclass(frozen=True)
class RunStage(ABC, Generic[Record, Report]):
    """A stage whose pieces are tiles, and whose parts and whole belong to a run of the store.

    Parameters
    ----------
    store, scan : the store, and the scan of the run.
    prefix : beginning of the run's name.
    record : everything that decides the bytes of the run, with its ``tiles``.
    """

    store: Store
    scan: Scan
    prefix: str
    record: Record

    @property
    def run(self) -> str:
        """The name of the run, which is its identity."""
        return run_name(self.prefix, self.record.as_dict())

    @property
    def tiles(self) -> tuple[int, ...]:
        """The tiles of the run, in order."""
        return self.record.tiles

    @property
    def pieces(self) -> Sequence[Piece]:
        """The pieces: some tiles each."""
        return tile_pieces(self.tiles)

    def parts(self) -> dict[int, Any]:
        """Return index → tiles of the parts that are kept."""
        return {i: record.get("tiles") for i, record in self.store.runs.parts(self.run).items()}

    def is_committed(self) -> bool:
        """Return whether the run is finished."""
        return self.run in self.store.runs

    def commit(self) -> Report:
        """Commit the run as ``joined`` makes it, and return its report."""
        pits, record, judged = self.joined()
        self.store.runs.commit(self.run, pits.assign(run=self.run), record, judged=judged)
        return self.report(record, pits=len(pits), was_done=False)

    def renew(self) -> Report:
        """Make the finished run the latest of its scan, and return its report."""
        drop_partial(self.store.path / "runs", self.run)  # left by a kill right after the commit
        if self.store.runs.latest(self.scan.name) != self.run:
            self.store.runs.renew(self.run)  # an export takes the latest run
        record = cast(Record, self.store.runs.record(self.run))
        return self.report(record, pits=len(self.store.runs.pits(self.run)), was_done=True)

    @abstractmethod
    def joined(self) -> tuple[pd.DataFrame, Record, pd.DataFrame | None]:
        """Return the pit table, the record, and the scores of a model (or None), from the parts."""

    @abstractmethod
    def report(self, record: Record, *, pits: int, was_done: bool) -> Report:
        """Return the report of the finished run from its record."""
