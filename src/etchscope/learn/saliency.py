"""Saliency: how much each pixel contributes to the logit of an expert."""

from collections.abc import Sequence

import numpy as np
import torch

from etchscope.foil.types import Floats
from etchscope.learn.expert import Expert
from etchscope.learn.patches import Patches

__all__ = ["compute_saliency"]


def compute_saliency(experts: Sequence[Expert], patches: Patches) -> Floats:
    """Return the contribution of each pixel, (n, size, size) float64, with a greatest value of 1.

    It is |gradient × input| of the mean of the experts' logits, summed over the channels (Shrikumar
    et al. 2016), and 0 where a picture shows bulk.

    Parameters
    ----------
    experts : experts of one kind, each with one output.
    patches : n patches.

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
