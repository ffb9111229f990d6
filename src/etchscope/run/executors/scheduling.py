"""Give tasks to a pool of workers, some at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures import Executor as Pool
from itertools import islice
from typing import TypeVar

from etchscope.run.threads import one_opencv_thread

__all__ = ["run_in_pool"]

Result = TypeVar("Result")

_AHEAD = 2
"""Tasks that a pool holds for each worker: the one at work and the next."""


def run_in_pool(
    tasks: Sequence[Callable[[], Result]],
    pool: Pool,
    workers: int,
    done: Callable[[Result], None],
) -> None:
    """Call every task in a pool, and shut the pool down, so that no worker is left.

    Parameters
    ----------
    workers : of the pool.
    done : called in this thread with the result of each task.
    """
    waiting: set[Future[Result]] = set()
    begun = iter(tasks)
    try:
        with one_opencv_thread():
            while True:
                free = _AHEAD * workers - len(waiting)
                waiting.update(pool.submit(task) for task in islice(begun, free))
                if not waiting:
                    return
                ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in ended:
                    done(future.result())
    finally:
        pool.shutdown(cancel_futures=True)
