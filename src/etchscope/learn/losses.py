"""Losses of a training, by name."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LOSSES", "PARTIAL_RATE", "compute_loss"]

_FOCUS = 2.0
"""Exponent of the focal loss (Lin et al. 2017)."""
PARTIAL_RATE = 0.1
"""False-positive rate up to which the partial area under the ROC counts; of a batch, these are the
patches of the second class that look most like the first."""


def _balanced(logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, wanted, weights)


def _focal(logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (weights * each * (1 - torch.exp(-each)) ** _FOCUS).mean()


def _partial_auc(logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Return how far the first class fails to outdo the hardest of the second (Narasimhan 2013).

    A tenth of the balanced loss keeps 0 the border between the classes.
    """
    usual = _balanced(logits, wanted, weights)
    signal, background = logits[wanted > 0.5], logits[wanted < 0.5]
    if not len(signal) or not len(background):
        return usual
    hardest, place = background.topk(max(round(PARTIAL_RATE * len(background)), 1))
    each = weights[wanted > 0.5][:, None] * weights[wanted < 0.5][place][None, :]
    outdone = functional.softplus(hardest[None, :] - signal[:, None])
    return (each * outdone).sum() / each.sum() + 0.1 * usual


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "balanced": _balanced,
    "focal": _focal,
    "partial-auc": _partial_auc,
}
"""Name → loss of (n,) logits, what is wanted of them (1 for the first class) and their weights.

``balanced``: cross-entropy, both classes of the same weight. ``focal``: the same with easy patches
counting less. ``partial-auc``: signal above the hardest tenth of the background, for searches that
can afford few false candidates.
"""


def compute_loss(name: str, logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Return the loss of (k · n, outputs) logits; k = 1 unless every lamp is an example.

    Parameters
    ----------
    name : one of ``LOSSES``; with more than one output the loss is the cross-entropy.
    wanted : (n,) int64 number of the class; with one output, 1 for the first class and
        0 for the second.
    weights : (n,) such that classes weigh the same.
    logits : (k · n, outputs), one block of n for each lamp.
    """
    votes = len(logits) // len(wanted)
    wanted, weights = wanted.repeat(votes), weights.repeat(votes)
    if logits.shape[1] > 1:
        each = functional.cross_entropy(logits, wanted, reduction="none")
        return (each * weights).mean()
    return LOSSES[name](logits[:, 0], wanted.to(torch.float32), weights)
