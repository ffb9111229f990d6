"""Do independent pieces of work with Dask: in threads, in processes, or one by one."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor as Pool
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Literal

import cv2
from dask.base import compute
from dask.callbacks import Callback
from dask.delayed import delayed
from dask.multiprocessing import RemoteException

from etchscope.foil import MachineFailed
from etchscope.run.threads import one_opencv_thread

__all__ = ["Executor", "execute"]

Executor = Literal["threads", "processes", "inline"]
_SCHEDULERS = {"threads": "threads", "processes": "processes", "inline": "synchronous"}


@contextmanager
def _pool(executor: Executor, workers: int) -> Iterator[Pool | None]:
    """Yield the workers; when the block ends, none of them is at work any more."""
    if executor == "inline":
        yield None
        return
    pool: Pool
    if executor == "threads":
        pool = ThreadPoolExecutor(workers, thread_name_prefix="etchscope")
    else:
        # Not by fork: a thread of ours may hold a lock that the copy would wait for.
        spawn = get_context("spawn")
        start = cv2.setNumThreads
        pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=start, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class _Progress(Callback):
    """Hands on the result of each finished piece."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        super().__init__(posttask=lambda _key, result, *_: progress(result))  # type: ignore[no-untyped-call]


def execute(
    pieces: Sequence[Callable[[], int]],
    *,
    executor: Executor,
    workers: int,
    progress: Callable[[int], None],
) -> None:
    """Call every piece, in any order; after an error none is still running.

    Parameters
    ----------
    pieces : must pickle for processes.
    workers : how many threads or processes.
    progress : called in this thread with what each piece returned.

    Raises
    ------
    MachineFailed : a worker process was lost.
    """
    tasks = [delayed(piece, pure=False)() for piece in pieces]
    schedule: Any = compute
    with _pool(executor, workers) as pool, _Progress(progress), one_opencv_thread():
        try:
            # chunksize: Dask hands six tasks at once to a process, which leaves others idle.
            schedule(*tasks, scheduler=_SCHEDULERS[executor], pool=pool, chunksize=1)
        except BrokenProcessPool as error:
            text = "a worker process was lost, perhaps for want of memory"
            raise MachineFailed(f"{text}; repeat, and the search goes on.") from error
        except RemoteException as error:  # the worker's own error, with its traceback in the text
            raise error.exception from error
