"""Processes that tests start and kill, forked from one that has loaded the package already."""

from multiprocessing import get_context

_LOADED = ["pytest", "etchscope.run", "etchscope.run.stages.training", "etchscope.store"]


def run_code(code: str) -> int:
    """Run code in a process of its own; return its status, below 0 the signal that ended it.

    To load the package takes seconds. Here a server, which does nothing else, loads it once and is
    forked for each code, so that what the tests themselves have loaded and started is not there.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    process = context.Process(target=exec, args=(code, {"__name__": "__main__"}))
    process.start()
    process.join()
    status = process.exitcode
    process.close()
    return status
