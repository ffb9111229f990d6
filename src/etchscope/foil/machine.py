"""The resources that the machine offers a process."""

import os

__all__ = ["count_usable_cores"]


def count_usable_cores() -> int:
    """Return how many cores this process may use, at least 1.

    On Linux these are the cores that the process is bound to; elsewhere all cores count.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
