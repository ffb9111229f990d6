"""How far long work is: a bar where a person looks at stderr, otherwise a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Protocol

__all__ = ["Bar", "Progress", "ProgressBars", "progress_bar", "watch", "watch_steps"]

_PART = 0.1
"""Share of the steps after which a log gets a line."""
_PAUSE_S = 30.0
"""Seconds after which a log gets a line even if fewer steps are done."""
_LEAST_S = 1.0
"""Seconds between two lines at least, so that short work writes none."""


Progress = bool | Callable[[str, int, int], None]
"""False: silent. True: bars on stderr. Otherwise called with what is being done, how much of it was
just done, and how much of it there is, 0 where that is not known yet; from any thread.
"""


class Bar(Protocol):
    """A running bar; both methods may be called from any thread."""

    def total(self, count: int) -> None:
        """Say how many steps there are."""

    def advance(self, count: int = 1) -> None:
        """Say that some steps are done."""


class _LogBar:
    """Lines for a log: one after a tenth of the steps or half a minute, without control codes."""

    def __init__(self, what: str, total: int | None, clock: Callable[[], float]) -> None:
        self._what, self._total, self._clock = what, total, clock
        self._lock, self._done, self._start = Lock(), 0, clock()
        self._told_done, self._told_at = 0, self._start

    def total(self, count: int) -> None:
        with self._lock:
            self._total = count

    def advance(self, count: int = 1) -> None:
        with self._lock:
            self._done += count
            now = self._clock()
            tenth = max(1, round(_PART * self._total)) if self._total else None
            is_far = tenth is not None and self._done // tenth > self._told_done // tenth
            is_end = self._done == self._total and self._told_done > 0
            waited = now - self._told_at
            if is_end or (is_far and waited >= _LEAST_S) or waited >= _PAUSE_S:
                self._told_done, self._told_at = self._done, now
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
    """Yield a bar on stderr, which goes away at the end where stderr is a terminal.

    Elsewhere a line is written every tenth of the steps, and every 30 s if those take longer, with
    count, total, rate and remaining time; never more than one a second.

    Parameters
    ----------
    what : the words before the bar.
    total : number of steps, if it is known yet.
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
    """One bar after the other, each with its own words; may be called from any thread."""

    def __init__(self) -> None:
        self._stack, self._lock = ExitStack(), Lock()
        self._what = ""
        self._bar: Bar | None = None

    def __enter__(self) -> "ProgressBars":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Say that some more steps of something are done, and how many it has."""
        with self._lock:
            if what != self._what or self._bar is None:
                self._stack.close()
                self._bar = self._stack.enter_context(progress_bar(what, total))
                self._what = what
        self._bar.advance(done)


class _Passed:
    """A bar that hands on how far the work is."""

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
    """Yield a bar that shows itself as ``progress`` asks for.

    Parameters
    ----------
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
    """Yield what long work calls that has several parts, each with words of its own."""
    if progress is True:
        with ProgressBars() as bars:
            yield bars
    else:
        yield progress or _be_silent
