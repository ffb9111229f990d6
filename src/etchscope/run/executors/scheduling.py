"""Give tasks to a pool of workers through Dask."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor as Pool
from typing import Any, Literal

from dask.base import compute
from dask.callbacks import Callback
from dask.delayed import delayed

from etchscope.run.threads import one_opencv_thread

__all__ = ["schedule"]


class _Progress(Callback):
    """Calls ``done`` with the result of each finished task."""

    def __init__(self, done: Callable[[Any], None]) -> None:
        super().__init__(posttask=lambda _key, result, *_: done(result))  # type: ignore[no-untyped-call]


def schedule(
    tasks: Sequence[Callable[[], Any]],
    scheduler: Literal["threads", "processes"],
    pool: Pool,
    done: Callable[[Any], None],
) -> None:
    """Call every task in a pool, and shut the pool down, so that no worker is left.

    Parameters
    ----------
    done : called in this thread with the result of each task.
    """
    lazy = [delayed(task, pure=False)() for task in tasks]
    run: Any = compute
    try:
        with _Progress(done), one_opencv_thread():
            # chunksize: Dask hands six tasks at once to a process, which leaves others idle.
            run(*lazy, scheduler=scheduler, pool=pool, chunksize=1)
    finally:
        pool.shutdown(cancel_futures=True)
