"""How many threads a network is evaluated with."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_torch_thread", "set_threads"]


def set_threads(count: int) -> int:
    """Let PyTorch use so many threads in this process, and return how many it used before.

    One where workers share the cores; also, one thread always adds in the same order.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    return before


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let PyTorch use the calling thread only, as where workers share the cores."""
    before = set_threads(1)
    try:
        yield
    finally:
        set_threads(before)
