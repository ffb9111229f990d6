"""Run tasks in threads of this process, which suits work in NumPy and OpenCV."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from etchscope.foil.machine import make_thread_pool
from etchscope.run.executors.scheduling import run_in_pool

__all__ = ["run_in_threads"]

Result = TypeVar("Result")


def run_in_threads(
    tasks: Sequence[Callable[[], Result]], *, workers: int, done: Callable[[Result], None]
) -> None:
    """Call the tasks in ``workers`` threads; see ``Executor``."""
    run_in_pool(tasks, make_thread_pool(workers), workers, done)
