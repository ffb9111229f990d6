"""The resources that the machine offers a process."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from typing import Literal

__all__ = ["Device", "count_usable_cores", "make_process_context", "make_thread_pool"]

Device = Literal["auto", "cpu", "cuda"]
"""Where networks are computed: on the processor, or on a GPU by CUDA. auto trains a finder on a GPU
where there is one, and does all else on the processor, where results are the same to the byte."""


def count_usable_cores() -> int:
    """Return how many cores this process may use, at least 1.

    On Linux these are the cores that the process is bound to; elsewhere all cores count.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def make_process_context(module: str) -> ForkServerContext:
    """Return how processes for work are started: forked from a server that has loaded a module.

    They are not forked from this process, where a thread may hold a lock that the copy would wait
    for. Nor are they started anew, since each would need seconds to load PyTorch and the rest.

    Parameters
    ----------
    module : full name of what the work needs. The first one counts: the server stays.
    """
    context = get_context("forkserver")
    # The server computes nothing, so that no thread of PyTorch runs when it forks.
    context.set_forkserver_preload([module, *({"torch"} & sys.modules.keys())])
    return context


def make_thread_pool(workers: int) -> ThreadPoolExecutor:
    """Return threads for work, which may call what Numba compiles.

    Where Numba was loaded, its extensions are loaded here. Otherwise the first compiled functions
    that are called load them, and two threads that do this at once fail: one looks through the
    table of types while the other adds to it.

    Parameters
    ----------
    workers : number of threads.
    """
    if "numba" in sys.modules:
        from numba.core.registry import cpu_target  # here, since few callers need Numba

        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()
    return ThreadPoolExecutor(workers, thread_name_prefix="etchscope")
