"""Carry out a stage of the pipeline: do in pieces what is not there yet, and commit the whole.

A stage states its pieces and how their parts are joined; ``carry_out`` does the rest, in the same
way for every stage. A stage that was killed at any moment and is repeated goes on with the pieces
whose parts are missing.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, overload

import numpy as np

from etchscope.files.digests import digest_of
from etchscope.foil import BadInput, count_usable_cores
from etchscope.foil.types import Ints
from etchscope.run.executors import Executor

__all__ = ["Piece", "Progress", "Stage", "carry_out", "do_pieces", "run_name", "tile_pieces"]

Report = TypeVar("Report", covariant=True)
Item = TypeVar("Item", covariant=True)
Progress = Callable[[int], None]

_BATCH = 16
"""Tiles per piece: few, so that a kill loses little, but enough for a file of their own."""


@dataclass(frozen=True)
class Piece:
    """One piece of the work of a stage, which makes one part.

    Parameters
    ----------
    index : number of the piece and its part, from 0.
    covers : what the part is made of, as JSON; a kept part of something else is made again.
    units : size of the piece, for progress.
    """

    index: int
    covers: Any
    units: int


class Stage(Protocol[Report]):
    """The interface of a stage for ``carry_out``."""

    @property
    def pieces(self) -> Sequence[Piece]:
        """The pieces, in the order of their indices."""

    @property
    def work(self) -> Callable[[Piece], object]:
        """The function that makes and keeps a part; it pickles, and shares only the disk."""

    def parts(self) -> Mapping[int, Any]:
        """Return index → ``covers`` of the parts that are kept."""

    def hold(self) -> AbstractContextManager[object]:
        """Keep other processes from the same whole in a block, and wait for one that is at it."""

    def is_committed(self) -> bool:
        """Return whether the whole of the same identity is kept already."""

    def commit(self) -> Report:
        """Join the parts in the order of the pieces, keep the whole, and drop the parts."""

    def renew(self) -> Report:
        """Return the report of the committed whole, and make it the latest."""


def carry_out(
    stage: Stage[Report],
    executor: Executor,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    total: Progress | None = None,
) -> Report:
    """Do the pieces of a stage whose parts are missing, commit, and return the stage's report.

    Parameters
    ----------
    workers : threads or processes; as many as there are cores unless given.
    progress : called in this thread with the units just done.
    total : called once with the units of all pieces, before the first.

    Raises
    ------
    BadInput : a piece or the commit refuses its input.
    MachineFailed : the disk is full, or a worker was lost.
    """
    if total is not None:
        total(sum(piece.units for piece in stage.pieces))
    # Also for what is committed: a process that was killed after it has left its lock.
    with stage.hold():
        if stage.is_committed():
            return stage.renew()
        try:
            do_pieces(stage, stage.pieces, executor, workers=workers, progress=progress)
            return stage.commit()
        except (BadInput, OSError):
            # Without locks another process may have done the same, and dropped the parts.
            if not stage.is_committed():
                raise
        return stage.renew()


def do_pieces(
    stage: Stage[Any],
    pieces: Iterable[Piece],
    executor: Executor,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Do those of some pieces of a stage whose parts are missing.

    Parameters
    ----------
    workers, progress : see ``carry_out``.

    Raises
    ------
    BadInput, MachineFailed : see ``carry_out``.
    """
    advance = progress or (lambda _: None)
    todo = array("q")
    parts = stage.parts()
    for piece in pieces:
        if piece.index in parts and parts[piece.index] == piece.covers:
            advance(piece.units)
        else:
            todo.append(piece.index)
    tasks = _Tasks(stage.work, stage.pieces, todo)
    executor(tasks, workers=workers or count_usable_cores(), done=advance)


class _Lazy(Sequence[Item]):
    """A sequence whose items are made when they are asked for: there may be a million of them."""

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Item]: ...
    def __getitem__(self, at: int | slice) -> Item | Sequence[Item]:
        if isinstance(at, slice):
            return [self.item(i) for i in range(*at.indices(len(self)))]
        return self.item(range(len(self))[at])

    def item(self, at: int) -> Item:
        """Return an item by its place, from 0."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class _Tasks(_Lazy[Callable[[], int]]):
    """The tasks of an executor: the pieces that are to be done, by their indices."""

    work: Callable[[Piece], object]
    pieces: Sequence[Piece]
    todo: Sequence[int]

    def __len__(self) -> int:
        return len(self.todo)

    def item(self, at: int) -> Callable[[], int]:
        return partial(_do, self.work, self.pieces[self.todo[at]])


def _do(work: Callable[[Piece], object], piece: Piece) -> int:
    """Do one piece; return its units."""
    work(piece)
    return piece.units


def run_name(prefix: str, record: Mapping[str, Any]) -> str:
    """Return the name of a run, which is a digest of everything that decides its bytes."""
    return f"{prefix}-{digest_of(record)[:16]}"


@dataclass(frozen=True, eq=False)
class _TilePieces(_Lazy[Piece]):
    """Pieces of some tiles each, which begin at ``begin`` of the tiles."""

    tiles: Sequence[int]
    begin: "range | Ints"

    def __len__(self) -> int:
        return len(self.begin)

    def item(self, at: int) -> Piece:
        end = self.begin[at + 1] if at + 1 < len(self.begin) else None
        batch = list(self.tiles[self.begin[at] : end])
        return Piece(at, batch, len(batch))


def tile_pieces(tiles: Sequence[int], shards: Ints | None = None) -> Sequence[Piece]:
    """Return pieces of 16 tiles, or of one shard; each covers the list of its tiles.

    Parameters
    ----------
    tiles : numbers of tiles; each is one unit.
    shards : (tiles,) the shard in which each tile lies, where shards hold more than 16 tiles.
    """
    if shards is None:
        return _TilePieces(tiles, range(0, len(tiles), _BATCH))
    return _TilePieces(tiles, np.flatnonzero(np.diff(shards, prepend=-1)))
