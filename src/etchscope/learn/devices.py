"""Where networks are computed."""

from typing import Literal

import torch

from etchscope.foil import Device, NoGpu

__all__ = ["choose_device"]


def choose_device(device: Device, *, prefers_gpu: bool = False) -> Literal["cpu", "cuda"]:
    """Return the device that PyTorch is to compute on.

    Parameters
    ----------
    prefers_gpu : whether auto means a GPU where there is one; otherwise it means the processor.

    Raises
    ------
    BadInput : a GPU is asked for, and PyTorch finds none.

    Examples
    --------
    >>> choose_device("cpu"), choose_device("auto")
    ('cpu', 'cpu')
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise NoGpu("device", "a GPU that PyTorch can compute on", "none")
    return "cuda" if device == "cuda" or (device == "auto" and prefers_gpu and has_gpu) else "cpu"
