"""A network that sees a patch as 4 × 4 means per light."""

from torch import nn


def make_coarse(lights, size, outputs, width, depth):
    """Return a network with fresh weights: (n, lights.count, size, size) to (n, outputs)."""
    features = round(32 * width)
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(16 * lights.count, features),
        nn.ReLU(),
        nn.Linear(features, outputs),
    )
