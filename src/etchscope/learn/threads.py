"""How many threads a network is evaluated with."""

import torch

__all__ = ["set_threads"]


def set_threads(count: int) -> int:
    """Let PyTorch use so many threads in this process, and return how many it used before.

    One where workers share the cores; also, one thread always adds in the same order.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    return before
