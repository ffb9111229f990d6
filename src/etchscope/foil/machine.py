"""The resources that the machine offers a process."""

import os
from typing import Literal

__all__ = ["Device", "count_usable_cores"]

Device = Literal["auto", "cpu", "cuda"]
"""Where networks are computed: on the processor, or on a GPU by CUDA. auto trains a finder on a GPU
where there is one, and does all else on the processor, where results are the same to the byte."""


def count_usable_cores() -> int:
    """Return how many cores this process may use, at least 1.

    On Linux these are the cores that the process is bound to; elsewhere all cores count.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
