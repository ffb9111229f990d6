"""What all trainings of experts share: optimiser and schedule, a step, and copies of weights."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from etchscope.learn.training import Training

__all__ = ["copy_state", "make_optimiser", "take_step"]


def make_optimiser(
    module: nn.Module, training: Training, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.OneCycleLR]:
    """Return the optimiser of a training, and its one-cycle schedule.

    Parameters
    ----------
    steps : of an epoch.
    """
    parameters, decay = module.parameters(), training.decay
    optimiser: torch.optim.Optimizer
    if training.optimiser == "adam":
        optimiser = torch.optim.AdamW(parameters, training.rate, weight_decay=decay)
    else:
        optimiser = torch.optim.SGD(parameters, training.rate, momentum=0.9, weight_decay=decay)
    total = steps * training.epochs
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(
        optimiser, training.rate, total_steps=total
    )


def take_step(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.OneCycleLR,
    loss: Tensor,
) -> float:
    """Take one step down the gradient of a loss, () float32, and return its value."""
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimiser.step()
    schedule.step()
    return float(loss.detach())


def copy_state(module: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Return name → weights, which further training does not change."""
    return {k: v.detach().cpu().numpy().copy() for k, v in module.state_dict().items()}
