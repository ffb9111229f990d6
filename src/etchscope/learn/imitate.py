"""Training of one expert that gives the logits of others (Hinton, Vinyals & Dean 2015)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from etchscope.foil import BadInput, Device
from etchscope.foil.types import Bools, Floats
from etchscope.learn.augment import move_batch
from etchscope.learn.devices import choose_device
from etchscope.learn.expert import Expert, compute_logits, make_network
from etchscope.learn.optimise import copy_state, make_optimiser, take_step
from etchscope.learn.patches import Patches
from etchscope.learn.training import Training

__all__ = ["train_to_imitate"]


def train_to_imitate(
    patches: Patches,
    wanted: Floats,
    training: Training,
    *,
    validation: Bools,
    seed: int,
    device: Device = "cpu",
    progress: Callable[[int], None] | None = None,
) -> Expert:
    """Return an expert whose logits are close to wanted ones, of which only differences count.

    Deviations count squared up to 1 and linearly beyond, for each class against the mean of all,
    and for each class against the sum of the others. The weights are those of the epoch with the
    smallest deviation on the validation set.

    Parameters
    ----------
    patches : n patches to train on and to validate with.
    wanted : (n, k) logits, k > 2.
    training : of the expert; its loss is not used.
    validation : (n,) which patches decide when to stop; the others are trained on.
    seed : of weights and order; the same seed gives the same expert on the same machine.
    device : where it is trained.
    progress : called with 1 after each epoch.

    Raises
    ------
    BadInput : no patch to train on or to validate with, planes that are to be turned from lamp to
        lamp, or no such device.
    """
    if patches.lights.are_planes and training.augmentation == "C8":
        raise BadInput("training: augmentation", "none, C4 or D4 for planes", "'C8'")
    if validation.all() or not validation.any():
        raise BadInput("patches", "some to train on and some to validate with", "none of one kind")
    channels, lights = patches.lights.used(training.lights)
    pixels, size, outputs = patches.pixels[:, channels], patches.pixels.shape[2], wanted.shape[1]
    module = make_network(training, patches.lights, size, outputs, seed).to(choose_device(device))
    at = next(module.parameters()).device
    target = torch.from_numpy(wanted.astype(np.float32)).to(at)
    train, rng = np.flatnonzero(~validation), np.random.default_rng(seed)
    steps = -(-len(train) // training.batch)
    optimiser, schedule = make_optimiser(module, training, steps)
    history: list[tuple[float, float, float]] = []
    least, state, waited = np.inf, copy_state(module), 0
    for _ in range(training.epochs):
        module.train()
        losses = []
        for rows in np.array_split(rng.permutation(train), steps):
            moved = move_batch(pixels[rows], lights, rng, training)
            loss = _deviation(module(moved.to(at)), target[rows])
            losses.append(take_step(module, optimiser, schedule, loss))
        given = compute_logits(module, torch.from_numpy(pixels[validation]), 64)
        held = target[validation].cpu()
        deviation = float(_deviation(torch.from_numpy(given.astype(np.float32)), held))
        alike = float((given.argmax(1) == wanted[validation].argmax(1)).mean())
        history.append((float(np.mean(losses)), deviation, alike))
        waited += 1
        if deviation < least:
            least, state, waited = deviation, copy_state(module), 0
        if progress is not None:
            progress(1)
        if waited >= training.patience:
            break
    return Expert(training, patches.lights, size, state, np.array(history), 0, True, seed, outputs)


def _deviation(given: Tensor, wanted: Tensor) -> Tensor:
    """Return how far logits are from wanted ones, see ``train_to_imitate``."""
    one, other = (v - v.mean(1, keepdim=True) for v in (given, wanted))
    odds = functional.smooth_l1_loss(_log_odds(given), _log_odds(wanted))
    return functional.smooth_l1_loss(one, other) + odds


def _log_odds(logits: Tensor) -> Tensor:
    """Return the logarithm of each class's odds against all others, (n, k)."""
    k = logits.shape[1]
    others = ~torch.eye(k, dtype=torch.bool, device=logits.device)
    rest = [torch.logsumexp(logits[:, others[i]], 1) for i in range(k)]
    return logits - torch.stack(rest, 1)
