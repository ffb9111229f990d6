"""Run tasks in processes, which suits work in Python itself."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2

from etchscope.foil import MachineFailed
from etchscope.foil.machine import make_process_context
from etchscope.run.executors.scheduling import run_in_pool

__all__ = ["run_in_processes"]

Result = TypeVar("Result")


def run_in_processes(
    tasks: Sequence[Callable[[], Result]], *, workers: int, done: Callable[[Result], None]
) -> None:
    """Call the tasks in ``workers`` processes; see ``Executor``.

    Raises
    ------
    MachineFailed : a process was lost.
    """
    context = make_process_context("etchscope.run")
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)
    )
    try:
        run_in_pool(tasks, pool, workers, done)
    except BrokenProcessPool as error:
        text = "a worker process was lost, perhaps for want of memory"
        raise MachineFailed(f"{text}; repeat, and the work goes on.") from error
