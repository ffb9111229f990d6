"""The option that names the scheduler of a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.errors import name_options
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["SchedulerAddress", "opened_executor"]

SchedulerAddress = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask scheduler, such as tcp://host:8786, whose workers do the work.",
    ),
]


@contextmanager
def opened_executor(
    scheduler: str | None, executor: str, workers: int | None
) -> "Iterator[str | Client]":
    """Yield what does the work: a connection to a scheduler if one is named, or an executor.

    Raises
    ------
    BadInput : no address, or an executor or a number of workers beside it.
    MissingExtra : the package distributed is not installed.
    MachineFailed : no scheduler answers.
    """
    if scheduler is None:
        yield executor
        return
    if executor != "threads" or workers is not None:
        beside = "--executor" if workers is None else "--workers"
        raise BadInput("--scheduler", "no --executor and no --workers beside it", beside)
    from etchscope.run.executors.cluster import connected

    with name_options({"scheduler": "--scheduler"}), connected(scheduler) as client:
        yield client
