"""Share a run among jobs that know nothing of each other, and join it when all are done.

Users call a share a part of the run. Here a part is what one piece leaves.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from etchscope.foil import BadInput, PartMissing
from etchscope.run.executors import Executor
from etchscope.run.stage import Piece, Progress, Report, Stage, do_pieces

__all__ = ["DividedStage", "PartReport", "Share", "do_share", "joiner", "require_shares"]

_NAMED = 5
"""Most missing parts that an error names."""


@dataclass(frozen=True)
class Share:
    """A share of the pieces of a run: every ``count``-th piece, from the ``number``-th on.

    Parameters
    ----------
    number : from 1.
    count : number of shares; it may be larger than that of the pieces.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Return the share of a text such as ``17/1000``.

        Raises
        ------
        BadInput : another text.

        Examples
        --------
        >>> str(Share.parse("17/1000"))
        '17/1000'
        """
        match = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", text, re.ASCII)
        if match is None or int(match[1]) > int(match[2]):
            expected = "a number from 1 and how many parts there are, such as 17/1000"
            raise BadInput("part", expected, repr(text))
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def choose(self, pieces: Sequence[Piece]) -> range:
        """Return the indices of its pieces."""
        return range(self.number - 1, len(pieces), self.count)


@dataclass(frozen=True)
class PartReport:
    """The report of a share.

    Parameters
    ----------
    run, scan : names; the run is not finished before all shares are joined.
    part : the share, such as 17/1000.
    tiles : number of its tiles.
    was_done : whether the run had been finished before.
    """

    run: str
    scan: str
    part: str
    tiles: int
    was_done: bool


class DividedStage(Stage[Report], Protocol[Report]):
    """A stage that keeps into how many shares it was divided."""

    @property
    def title(self) -> str:
        """What errors call it."""

    def note_shares(self, count: int) -> None:
        """Keep a number of shares until the whole is committed."""

    def share_counts(self) -> Collection[int]:
        """Return the numbers of shares that are kept."""


def do_share(
    stage: DividedStage[Any],
    share: Share,
    executor: Executor,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    total: Progress | None = None,
) -> tuple[int, bool]:
    """Do a share of a stage without committing; return its units, and whether all was done before.

    Any number of shares may be done at once, in any order and again.

    Parameters
    ----------
    workers, progress, total : see ``run.stage.carry_out``; the units are those of the share.

    Raises
    ------
    BadInput, MachineFailed : see ``run.stage.carry_out``.
    """
    pieces = stage.pieces
    units = sum(pieces[at].units for at in share.choose(pieces))
    if total is not None:
        total(units)
    if stage.is_committed():
        return units, True
    stage.note_shares(share.count)
    mine = (pieces[at] for at in share.choose(pieces))
    try:
        do_pieces(stage, mine, executor, workers=workers, progress=progress)
    except (BadInput, OSError):
        if not stage.is_committed():
            raise
    if stage.is_committed():  # joined meanwhile: what this one has written is not needed
        stage.renew()
    return units, False


def joiner(stage: DividedStage[Any]) -> Executor:
    """Return an executor for ``carry_out`` that does nothing, but names the missing shares."""

    def refuse(tasks: Sequence[object], **_: object) -> None:
        if len(tasks):
            require_shares(stage)

    return refuse


def require_shares(stage: DividedStage[Any]) -> None:
    """Refuse a stage of which a share is missing, unless it is committed.

    Raises
    ------
    PartMissing : names the shares.
    """
    if stage.is_committed():
        return
    kept, pieces = stage.parts(), stage.pieces
    missing = {piece.index for piece in pieces if kept.get(piece.index) != piece.covers}
    if not missing:
        return
    count = max(stage.share_counts(), default=0)
    if not count:
        raise PartMissing(stage.title, "parts that were done", "none")
    named = [str(Share(number, count)) for number in sorted({i % count + 1 for i in missing})]
    parts, rest = ", ".join(named[:_NAMED]), len(named) - _NAMED
    found = f"part {parts} missing" if len(named) == 1 else f"parts {parts} missing"
    if rest > 0:
        found = f"parts {parts} and {rest} more missing"
    raise PartMissing(stage.title, f"all {count} parts", found)
