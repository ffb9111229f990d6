"""Carry out a stage of the pipeline: do in pieces what is not there yet, and commit the whole.

A stage says what it is made of; ``carry_out`` does the rest alike for every stage. Killed at any
moment and asked for again, it goes on with the pieces whose parts are not there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from etchscope.files.digests import digest_of
from etchscope.foil import BadInput, count_usable_cores
from etchscope.run.executors import Executor

__all__ = ["Piece", "Progress", "Stage", "carry_out", "run_name", "tile_pieces"]

Report = TypeVar("Report", covariant=True)
Progress = Callable[[int], None]

_BATCH = 16
"""Tiles per piece: few, so that little is lost at a kill, and enough for a file of their own."""


@dataclass(frozen=True)
class Piece:
    """One piece of the work of a stage, of which one part is made.

    ``index``: of the part, from 0. ``covers``: what the part is of, as its record says it; a part
    of something else is made anew. ``units``: of progress.
    """

    index: int
    covers: Any
    units: int


class Stage(Protocol[Report]):
    """What ``carry_out`` needs to know of a stage."""

    @property
    def pieces(self) -> Sequence[Piece]:
        """The pieces, in the order of their indices."""

    @property
    def work(self) -> Callable[[Piece], object]:
        """What makes the part of a piece and keeps it: it pickles, and shares only the disk."""

    def parts(self) -> Mapping[int, Any]:
        """Return index → what it covers of the parts that are kept."""

    def is_committed(self) -> bool:
        """Return whether the whole is there already, of the same identity."""

    def commit(self) -> Report:
        """Join the parts in the order of the pieces, keep the whole, and drop the parts."""

    def renew(self) -> Report:
        """Return the report of what was committed before, and count it as asked for just now."""


def carry_out(
    stage: Stage[Report],
    executor: Executor,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    total: Progress | None = None,
) -> Report:
    """Do the pieces of a stage whose parts are not there, commit, and return the stage's report.

    Parameters
    ----------
    workers : threads or processes; as many as there are cores unless given.
    progress : called in this thread with the units just done.
    total : called once with the units of all pieces, before the first.

    Raises
    ------
    BadInput : whatever a piece or the commit refuses.
    MachineFailed : the disk is full, or a worker was lost.
    """
    pieces = stage.pieces
    if total is not None:
        total(sum(piece.units for piece in pieces))
    if stage.is_committed():
        return stage.renew()
    advance = progress or (lambda _: None)
    parts = stage.parts()
    todo = []
    for piece in pieces:
        if piece.index in parts and parts[piece.index] == piece.covers:
            advance(piece.units)
        else:
            todo.append(partial(_do, stage.work, piece))
    try:
        executor(todo, workers=workers or count_usable_cores(), done=advance)
        return stage.commit()
    except (BadInput, OSError):
        # Another process may have done the same, and dropped the parts under this one.
        if not stage.is_committed():
            raise
    return stage.renew()


def _do(work: Callable[[Piece], object], piece: Piece) -> int:
    """Do one piece; return how many units that were."""
    work(piece)
    return piece.units


def run_name(prefix: str, record: Mapping[str, Any]) -> str:
    """Return the name of a run: its identity, made of all that decides its bytes."""
    return f"{prefix}-{digest_of(record)[:16]}"


def tile_pieces(tiles: Sequence[int]) -> list[Piece]:
    """Return pieces of some tiles each; each covers the list of its tiles, a unit per tile."""
    batches = [list(tiles[i : i + _BATCH]) for i in range(0, len(tiles), _BATCH)]
    return [Piece(index, batch, len(batch)) for index, batch in enumerate(batches)]
