"""The interface of executors, which call independent tasks on this or other machines."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

__all__ = ["Executor"]

Result = TypeVar("Result")


class Executor(Protocol):
    """A function that calls independent tasks."""

    def __call__(
        self,
        tasks: Sequence[Callable[[], Result]],
        *,
        workers: int,
        done: Callable[[Result], None],
    ) -> None:
        """Call every task, in any order.

        After an error no task is begun, and none is still running but on other machines.

        Parameters
        ----------
        tasks : each is called once. They are made when they are asked for, since there may be a
            million. They and their results must pickle, so that an executor may send them to
            another process or machine; they share only the disk.
        workers : largest number of tasks that run at once.
        done : called in the caller's thread with the result of each task that ends.

        Raises
        ------
        MachineFailed : a worker was lost. An error of a task is raised as it is.
        """
