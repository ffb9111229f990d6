"""The common part of stages that turn the tiles of a scan into a run."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Self, TypeVar, cast

import pandas as pd

from etchscope.foil import BadInput, Scan
from etchscope.run.executors import Executor
from etchscope.run.shares import PartReport, Share, do_share
from etchscope.run.stage import Piece, run_name, tile_pieces
from etchscope.store import FindRecord, ScoreRecord, Store
from etchscope.store.run_files import drop_partial
from etchscope.store.shards import MOST_SHARDS

__all__ = ["RunStage"]

_LARGE = 16 * MOST_SHARDS
"""Tiles of a scan above which its shards hold more than 16."""
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

    @cached_property
    def run(self) -> str:
        """The name of the run, which is its identity: a digest of the record with all its tiles."""
        return run_name(self.prefix, self.record.as_dict())

    def on_kept_pictures(self) -> Self:
        """Return the stage with a record that says of compressed pictures, if it will read them.

        It will not where its result is there, of pictures as they were added.
        """
        compression = self.store.compressions.of(self.scan.name)
        if compression is None or self.is_done_before():
            return self
        return replace(
            self, record=self.record.model_copy(update={"compressed": compression.digest})
        )

    def is_done_before(self) -> bool:
        """Return whether the result is there, so that no picture will be read."""
        return self.is_committed()

    @property
    def tiles(self) -> tuple[int, ...]:
        """The tiles of the run, in order."""
        return self.record.tiles

    @property
    def pieces(self) -> Sequence[Piece]:
        """The pieces: some tiles each; of a large scan, those of one shard."""
        if len(self.tiles) <= _LARGE:
            return tile_pieces(self.tiles)
        return tile_pieces(self.tiles, self.store.scans.shards(self.scan.name, self.tiles))

    def parts(self) -> dict[int, Any]:
        """Return index → tiles of the parts that are kept."""
        return {i: record.get("tiles") for i, record in self.store.runs.parts(self.run).items()}

    @property
    def title(self) -> str:
        """What errors call the run."""
        return f"run {self.run} of scan {self.scan.name}"

    def note_shares(self, count: int) -> None:
        """Keep a number of shares until the run is finished."""
        self.store.runs.note_shares(self.run, count)

    def share_counts(self) -> list[int]:
        """Return the numbers of shares that are kept."""
        return self.store.runs.share_counts(self.run)

    def do_share(self, text: str, executor: Executor, **given: Any) -> PartReport:
        """Do a share of the run, such as 17/1000; see ``run.shares.do_share``."""
        share = Share.parse(text)
        tiles, was_done = do_share(self, share, executor, **given)
        return PartReport(self.run, self.scan.name, str(share), tiles, was_done)

    def hold(self) -> AbstractContextManager[object]:
        """Keep other processes from the same run in a block."""
        return self.store.hold(self.run, self.title)

    def is_committed(self) -> bool:
        """Return whether the run is finished."""
        return self.run in self.store.runs

    def commit(self) -> Report:
        """Commit the run as ``joined`` makes it, and return its report."""
        self._require_same_pictures()
        pits, record, judged = self.joined()
        self.store.runs.commit(self.run, pits.assign(run=self.run), record, judged=judged)
        return self.report(record, pits=len(pits), was_done=False)

    def _require_same_pictures(self) -> None:
        """Refuse a result of pictures that were compressed meanwhile, and drop its parts."""
        compression = self.store.compressions.of(self.scan.name)
        if compression is None or self.record.compressed or self.is_done_before():
            return
        drop_partial(self.store.path / "runs", self.run)
        found = "pictures that were compressed meanwhile"
        raise BadInput(self.title, "pictures that stay as they are", found, "Repeat it.")

    def renew(self) -> Report:
        """Make the finished run the latest of its scan, and return its report."""
        drop_partial(self.store.path / "runs", self.run)  # left by a kill right after the commit
        if self.store.runs.latest(self.scan.name) != self.run:
            self.store.runs.renew(self.run)  # an export takes the latest run
        record = cast(Record, self.store.runs.record(self.run))
        return self.report(record, pits=len(self.store.runs.pits(self.run)), was_done=True)

    @property
    @abstractmethod
    def work(self) -> Callable[[Piece], object]:
        """The function that makes and keeps a part; it pickles, and shares only the disk."""

    @abstractmethod
    def joined(self) -> tuple[pd.DataFrame, Record, pd.DataFrame | None]:
        """Return the pit table, the record, and the scores of a model (or None), from the parts."""

    @abstractmethod
    def report(self, record: Record, *, pits: int, was_done: bool) -> Report:
        """Return the report of the finished run from its record."""
