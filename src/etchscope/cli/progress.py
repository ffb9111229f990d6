"""One progress bar for all commands: on stderr, and only where a person looks at it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

__all__ = ["Bar", "progress_bar"]


@dataclass(frozen=True)
class Bar:
    """A running bar; both methods may be called from any thread."""

    _progress: Progress
    _task: TaskID

    def total(self, count: int) -> None:
        """Say how many steps there are."""
        self._progress.update(self._task, total=count)

    def advance(self, count: int = 1) -> None:
        """Say that some steps are done."""
        self._progress.advance(self._task, count)


@contextmanager
def progress_bar(what: str, total: int | None = None) -> Iterator[Bar]:
    """Yield a bar that goes away at the end; silent where stderr is no terminal.

    Parameters
    ----------
    what : the words before the bar.
    total : number of steps, if it is known yet.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:
        yield Bar(progress, progress.add_task(what, total=total))
