"""Pieces that the networks share."""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["close_circle", "halve", "initialise", "make_head", "radius_map"]

_Layer = TypeVar("_Layer", nn.Linear, nn.Conv2d, nn.Conv3d)


def initialise(layer: _Layer) -> _Layer:
    """Return a layer with Glorot's weights and no bias."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def make_head(features: int, outputs: int) -> nn.Sequential:
    """Return the last two layers of a network: (n, features) to (n, outputs) logits."""
    return nn.Sequential(
        initialise(nn.Linear(features, 32)), nn.ReLU(), initialise(nn.Linear(32, outputs))
    )


def radius_map(size: int) -> Tensor:
    """Return the distance from the patch's middle, 0 to about 1, (1, 1, size, size)."""
    axis = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    return (torch.hypot(axis[:, None], axis[None, :]) / (size / 2))[None, None]


def close_circle(x: Tensor) -> Tensor:
    """Return (n, channel, azimuth, y, x) with one azimuth more at each end, from the other end."""
    return torch.cat([x[:, :, -1:], x, x[:, :, :1]], 2)


def halve(x: Tensor) -> Tensor:
    """Return means over 2 × 2 pixels; an odd size stays, since no symmetric halves make it up."""
    return functional.avg_pool2d(x, 2) if x.shape[-1] % 2 == 0 else x
