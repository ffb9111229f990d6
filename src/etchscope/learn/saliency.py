"""Which pixels the answer of an expert rests on."""

from collections.abc import Sequence

import numpy as np
import torch

from etchscope.foil.types import Floats
from etchscope.learn.expert import Expert
from etchscope.learn.patches import Patches

__all__ = ["saliency_of"]


def saliency_of(experts: Sequence[Expert], patches: Patches) -> Floats:
    """Return how much each pixel speaks for or against, (n, size, size), the largest 1.

    It is |gradient × input| of the mean of the experts' logits, summed over the channels (Shrikumar
    et al. 2016), and 0 where a picture is bulk. All experts have one output.

    Raises
    ------
    BadInput : patches of other lights or another size.
    """
    total = np.zeros(patches.pixels.shape)
    if not len(patches):
        return total[:, 0]
    for expert in experts:
        expert.require(patches.lights, patches.pixels.shape[2])
        channels, _ = expert.lights.used(expert.training.lights)
        pixels = torch.from_numpy(patches.pixels[:, channels].copy()).requires_grad_()
        logits = expert.module()(pixels)
        (gradient,) = torch.autograd.grad(logits.sum(), pixels)
        total[:, channels] += (gradient * pixels).detach().numpy()
    each = np.abs(total).sum(1)
    return np.asarray(each / np.maximum(each.max((1, 2), keepdims=True), 1e-12))
