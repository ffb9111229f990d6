"""Run tasks one after the other: the reference for every other executor."""

import pickle
from collections.abc import Callable, Sequence
from typing import TypeVar

from etchscope.foil.debugging import is_debugging
from etchscope.run.threads import one_opencv_thread

__all__ = ["run_inline"]

Result = TypeVar("Result")
Item = TypeVar("Item")


def run_inline(
    tasks: Sequence[Callable[[], Result]],
    *,
    workers: int = 1,
    done: Callable[[Result], None],
) -> None:
    """Call the tasks in their order in this thread; see ``Executor``.

    For debugging, tasks and results are pickled as on their way to a process.
    """
    is_debug = is_debugging()
    with one_opencv_thread():
        for task in tasks:
            done(_pickled(_pickled(task)()) if is_debug else task())


def _pickled(item: Item) -> Item:
    """Return a pickled copy; an error names the object that cannot be pickled."""
    copy: Item = pickle.loads(pickle.dumps(item))
    return copy
