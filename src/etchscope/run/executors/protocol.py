"""What an executor is: it calls independent tasks, wherever that may be."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

__all__ = ["Executor"]

Result = TypeVar("Result")


class Executor(Protocol):
    """A function that has independent tasks done."""

    def __call__(
        self,
        tasks: Sequence[Callable[[], Result]],
        *,
        workers: int,
        done: Callable[[Result], None],
    ) -> None:
        """Call every task, in any order; after an error no task is running any more.

        Parameters
        ----------
        tasks : each is called once. They and their results must pickle, so that an executor may
            send them to another process or machine; they share nothing but the disk.
        workers : how many tasks may run at once.
        done : called in the caller's thread with the result of each task that ends.

        Raises
        ------
        MachineFailed : a worker was lost. An error of a task comes out as the task raised it.
        """
