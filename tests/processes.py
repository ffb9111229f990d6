"""Processes that tests start and kill, forked from one that has loaded the package already."""

from collections.abc import Sequence
from multiprocessing import get_context

_LOADED = ["pytest", "etchscope.run", "etchscope.run.stages.training", "etchscope.store"]


def run_code(code: str) -> int:
    """Run code in a process of its own; return its status, below 0 the signal that ended it.

    To load the package takes seconds. Here a server, which does nothing else, loads it once and is
    forked for each code, so that what the tests themselves have loaded and started is not there.
    """
    return run_codes([code])[0]


def run_codes(codes: Sequence[str]) -> list[int]:
    """Run codes at the same time, each in a process of its own; return their statuses."""
    context = get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    given = {"__name__": "__main__"}
    processes = [context.Process(target=exec, args=(code, dict(given))) for code in codes]
    for process in processes:
        process.start()
    statuses = []
    for process in processes:
        process.join()
        statuses.append(process.exitcode)
        process.close()
    return statuses
