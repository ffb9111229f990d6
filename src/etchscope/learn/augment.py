"""How the patches of a batch are moved at random in training."""

import numpy as np
import torch
from numpy.typing import NDArray

from etchscope.imaging import turn_by_steps
from etchscope.learn.given import vary_planes
from etchscope.learn.patches import Lights
from etchscope.learn.training import Training

__all__ = ["move_batch"]

_INVARIANT = ("equivariant",)
"""Networks that exact symmetries of the scene do not change, so that moves add nothing."""


def move_batch(
    pixels: NDArray[np.float32], lights: Lights, rng: np.random.Generator, training: Training
) -> torch.Tensor:
    """Return a batch of patches, all of them moved alike at random.

    They stay as they are if the network does not change under such a move. From planes some lights
    are left out, too, see ``vary_planes``.

    Parameters
    ----------
    pixels : (n, channel, size, size) float32.
    lights : what the channels are.
    rng : source of the random moves.
    training : states the moves, and the network.

    Returns
    -------
    (n, channel, size, size) float32, on the processor.
    """
    if lights.are_planes:
        pixels = vary_planes(rng, pixels, training.left_out)
    azimuths = np.asarray(lights.azimuths_deg)
    if training.augmentation == "C8" and len(azimuths) > 1:
        lamps, steps = np.arange(len(azimuths)), int(rng.integers(len(azimuths)))
        turned = [turn_by_steps(p, azimuths, lamps, steps) for p in pixels]
        return torch.from_numpy(np.stack(turned))
    if training.augmentation in ("none", "C8") or training.network in _INVARIANT:
        return torch.from_numpy(pixels)
    mirrors = training.augmentation == "D4"
    exact = [s for s in lights.symmetries if mirrors or not s.mirrored]
    symmetry = exact[rng.integers(len(exact))]
    mixing = lights.mixing(symmetry).astype(np.float32)
    moved = np.einsum("dc,ncyx->ndyx", mixing, pixels, optimize=True)
    if symmetry.mirrored:
        moved = moved[..., ::-1]
    moved = np.rot90(moved, symmetry.quarter_turns, (2, 3))
    return torch.from_numpy(np.ascontiguousarray(moved))
