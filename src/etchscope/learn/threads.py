"""The number of threads of PyTorch."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["set_threads", "use_one_torch_thread"]


def set_threads(count: int) -> int:
    """Let PyTorch use a number of threads in this process, and return the number before.

    One thread is right where workers share the cores. It also always adds in the same order.

    Parameters
    ----------
    count : number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    return before


@contextmanager
def use_one_torch_thread() -> Iterator[None]:
    """Let PyTorch use one thread within the context, where workers share the cores."""
    before = set_threads(1)
    try:
        yield
    finally:
        set_threads(before)
