"""Options of work on many machines: the scheduler of a cluster, and the parts of array jobs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etchscope.cli.errors import name_options
from etchscope.foil import BadInput

if TYPE_CHECKING:
    from distributed import Client

    from etchscope.api.clusters import PartReport

__all__ = ["Join", "PartOf", "SchedulerAddress", "echo_part", "opened_executor", "require_job"]

SchedulerAddress = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask scheduler, such as tcp://host:8786, whose workers do the work.",
    ),
]


PartOf = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="K/N",
        help="Do only part K of N, such as 17/1000, as one of many jobs; --join finishes the run.",
    ),
]


Join = Annotated[
    bool, typer.Option("--join", help="Do nothing but finish a run of which all parts are done.")
]


def require_job(paths: Sequence[Path], part: str | None, *, join: bool, writes: bool) -> None:
    """Refuse a part or a joining of what is no store, and files that a part cannot write.

    Raises
    ------
    BadInput : also if both are asked for.
    """
    if part is None and not join:
        return
    from etchscope.api import open_store
    from etchscope.api.clusters import Share

    name = "--join" if join else "--part"
    if part is not None and join:
        raise BadInput("--join", "no --part beside it", part)
    if len(paths) != 1:
        raise BadInput(name, "one store", f"{len(paths)} paths")
    open_store(paths[0])
    if part is not None:
        with name_options({"part": "--part"}):
            Share.parse(part)
    if part is not None and writes:
        raise BadInput("--part", "no file to write beside it", "one", "Write it with --join.")


def echo_part(done: "PartReport") -> None:
    """Print what came of a part."""
    again = ", which was finished before" if done.was_done else ""
    typer.echo(f"{done.scan}: part {done.part}, {done.tiles} tiles, of {done.run}{again}")


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
    from etchscope.api.clusters import connected

    with name_options({"scheduler": "--scheduler"}), connected(scheduler) as client:
        yield client
