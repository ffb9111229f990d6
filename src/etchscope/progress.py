"""Progress of long work: a bar on a terminal, and lines at intervals in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Protocol

__all__ = ["Bar", "Progress", "ProgressBars", "progress_bar", "watch", "watch_steps"]

_PART = 0.1
"""Share of the steps between two lines of a log."""
_PAUSE_S = 30.0
"""Greatest time between two lines of a log, in seconds."""
_LEAST_S = 1.0
"""Least time between two lines of a log, in seconds, so that short work writes none."""


Progress = bool | Callable[[str, int, int], None]
"""False: silent. True: bars on stderr. A function is called, from any thread, with the name of the
work, the number of steps just done, and the number of all steps, which is 0 while it is unknown.
"""


class Bar(Protocol):
    """A running bar; both methods may be called from any thread."""

    def total(self, count: int) -> None:
        """Set the number of all steps.

        Parameters
        ----------
        count : number of all steps.
        """

    def advance(self, count: int = 1) -> None:
        """Count some more steps as done.

        Parameters
        ----------
        count : number of steps that are done now.
        """


class _LogBar:
    """Lines for a log, after each tenth of the steps or half a minute, without control codes."""

    def __init__(self, what: str, total: int | None, clock: Callable[[], float]) -> None:
        self._what, self._total, self._clock = what, total, clock
        self._lock, self._done, self._start = Lock(), 0, clock()
        self._written_done, self._written_at = 0, self._start

    def total(self, count: int) -> None:
        with self._lock:
            self._total = count

    def advance(self, count: int = 1) -> None:
        with self._lock:
            self._done += count
            now = self._clock()
            tenth = max(1, round(_PART * self._total)) if self._total else None
            is_far = tenth is not None and self._done // tenth > self._written_done // tenth
            is_end = self._done == self._total and self._written_done > 0
            waited = now - self._written_at
            if is_end or (is_far and waited >= _LEAST_S) or waited >= _PAUSE_S:
                self._written_done, self._written_at = self._done, now
                sys.stderr.write(f"{self._line(now - self._start)}\n")
                sys.stderr.flush()

    def _line(self, seconds: float) -> str:
        rate = self._done / seconds if seconds > 0 else float("inf")
        known = "" if self._total is None else f" of {self._total:,}"
        text = f"{self._what}: {self._done:,}{known}, {rate:.3g} per second"
        if self._total is None or self._done >= self._total:
            return text
        return f"{text}, {_duration((self._total - self._done) / rate)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextmanager
def progress_bar(
    what: str, total: int | None = None, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Bar]:
    """Yield a bar on stderr, which disappears at the end on a terminal.

    Elsewhere a line is written after every tenth of the steps, and every 30 s if they take longer,
    with count, total, rate and remaining time, but at most one line per second.

    Parameters
    ----------
    what : the words before the bar.
    total : number of steps, if it is known yet.
    clock : returns the time in seconds.
    """
    if sys.stderr.isatty():
        with _terminal_bar(what, total) as bar:
            yield bar
    else:
        yield _LogBar(what, total, clock)


@contextmanager
def _terminal_bar(what: str, total: int | None) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    text, console = TextColumn("{task.description}"), Console(stderr=True)
    with Progress(text, *columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)

        class Terminal:
            def total(self, count: int) -> None:
                progress.update(task, total=count)

            def advance(self, count: int = 1) -> None:
                progress.advance(task, count)

        yield Terminal()


class ProgressBars:
    """Bars one after the other, each with its own words; may be called from any thread."""

    def __init__(self) -> None:
        self._stack, self._lock = ExitStack(), Lock()
        self._what = ""
        self._bar: Bar | None = None

    def __enter__(self) -> "ProgressBars":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Count some more steps of a piece of work as done.

        Parameters
        ----------
        what : the words before the bar.
        done : number of steps that are done now.
        total : number of all steps.
        """
        with self._lock:
            if what != self._what or self._bar is None:
                self._stack.close()
                self._bar = self._stack.enter_context(progress_bar(what, total))
                self._what = what
        self._bar.advance(done)


class _Passed:
    """A bar that passes its progress on to a function."""

    def __init__(self, to: Callable[[str, int, int], None], what: str, total: int | None) -> None:
        self._to, self._what, self._total = to, what, total or 0

    def total(self, count: int) -> None:
        self._total = count

    def advance(self, count: int = 1) -> None:
        self._to(self._what, count, self._total)


def _be_silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


@contextmanager
def watch(progress: Progress, what: str, total: int | None = None) -> Iterator[Bar]:
    """Yield a bar, silent or shown as ``progress`` states.

    Parameters
    ----------
    progress : see ``Progress``.
    what : the words before the bar.
    total : number of steps, if it is known yet.
    """
    if progress is True:
        with progress_bar(what, total) as bar:
            yield bar
    else:
        yield _Passed(progress or _be_silent, what, total)


@contextmanager
def watch_steps(progress: Progress) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that shows the progress of several pieces of work.

    Parameters
    ----------
    progress : see ``Progress``.
    """
    if progress is True:
        with ProgressBars() as bars:
            yield bars
    else:
        yield progress or _be_silent
