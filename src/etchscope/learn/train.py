"""Training of one expert: a binary network on patches, and what to do if it does not learn."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import nn
from torch.nn import functional

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.imaging import symmetries_of, turned_by_steps
from etchscope.learn.networks import network
from etchscope.learn.patches import Lights, Patches

__all__ = ["Augmentation", "Expert", "Training", "folds", "train_expert"]

Augmentation = Literal["none", "C4", "D4", "C8"]
"""none; turns by 90°; these and mirrors; turns from lamp to lamp, interpolated unless by 90°.
Of C4 and D4 what the lamps have.
"""
_INVARIANT = ("equivariant",)  # networks that exact symmetries teach nothing


@dataclass(frozen=True)
class Training:
    """How an expert is trained.

    ``network``: its name in ``NETWORKS``. ``augmentation``: how each batch is moved at random;
    exact moves are left out for a network that has them built in. ``epochs`` at most; it stops once
    the validation loss has not fallen for ``patience`` of them. ``learnt``: balanced accuracy on
    validation below which a training counts as failed and starts anew, at most ``restarts`` times,
    with other weights.
    """

    network: str = "equivariant"
    augmentation: Augmentation = "D4"
    epochs: int = 40
    patience: int = 10
    batch: int = 64
    rate: float = 4e-3
    decay: float = 1e-3
    learnt: float = 0.75
    restarts: int = 3


@dataclass(frozen=True)
class Expert:
    """A trained network, and how its training went.

    ``history``: a row (training loss, validation loss, validation balanced accuracy) an epoch of
    the training that was kept; ``failed``: how many trainings did not learn, this one included if
    it is ``learnt`` false.
    """

    training: Training
    lights: Lights
    size: int
    state: dict[str, NDArray[np.float32]]
    history: Floats
    failed: int
    learnt: bool
    seed: int = field(default=0)

    def scores(self, patches: Patches, *, batch: int = 512) -> Floats:
        """Return the logit of each patch, (n,): positive where the first class is likelier.

        Raises
        ------
        BadInput : other lights or another size than it was trained on.
        """
        if patches.lights != self.lights or patches.pixels.shape[2] != self.size:
            expected = f"{self.lights}, {self.size} px"
            raise BadInput("patches", expected, f"{patches.lights}, {patches.pixels.shape[2]} px")
        module = self.module()
        return _logits(module, torch.from_numpy(patches.pixels), batch)

    def module(self) -> nn.Module:
        """Return the network, ready to use."""
        made = network(self.training.network, self.lights, self.size)
        made.load_state_dict({k: torch.from_numpy(v) for k, v in self.state.items()})
        return made.eval()


def folds(region: Ints, target: NDArray[np.generic], count: int, seed: int) -> Iterator[Bools]:
    """Yield the test set of each fold, (n,) bool: whole regions, classes as even as can be.

    Raises
    ------
    BadInput : fewer regions than folds, or a class with fewer members than folds.
    """
    regions = len(np.unique(region))
    if regions < count:
        raise BadInput("folds", f"{count} regions or more", str(regions))
    fewest = int(np.unique(target, return_counts=True)[1].min())
    if fewest < count:
        raise BadInput("folds", f"{count} labels a class or more", str(fewest))
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    for _, test in splitter.split(np.zeros(len(region)), target, region):
        is_test = np.zeros(len(region), bool)
        is_test[test] = True
        yield is_test


def train_expert(
    patches: Patches, target: Bools, training: Training, *, validation: Bools, seed: int
) -> Expert:
    """Return an expert that tells ``target`` from the rest.

    Both classes weigh the same, however rare one is. Trainings that do not learn are recognised on
    the validation set, started anew and counted.

    Parameters
    ----------
    patches : to train on and to validate with.
    target : (n,) whether a patch is of the first class.
    validation : (n,) which patches decide when to stop; the others are trained on.
    seed : of weights and order; the same seed gives the same expert on the same machine.

    Raises
    ------
    BadInput : a class is missing in either set.
    """
    for name, part in (("training", ~validation), ("validation", validation)):
        for what, count in (("first", target[part].sum()), ("second", (~target[part]).sum())):
            if count == 0:
                raise BadInput(f"{name} set", f"labels of the {what} class", "none")
    best: Expert | None = None
    for attempt in range(training.restarts + 1):
        expert = _attempt(patches, target, training, validation, seed + 1000 * attempt, attempt)
        if best is None or expert.history[:, 2].max() > best.history[:, 2].max():
            best = expert
        if expert.learnt:
            return expert
    if best is None:
        raise BadInput("training.restarts", "0 or more", str(training.restarts))
    return replace(best, failed=training.restarts + 1)


def _attempt(
    patches: Patches, target: Bools, training: Training, validation: Bools, seed: int, failed: int
) -> Expert:
    size = patches.pixels.shape[2]
    module = network(training.network, patches.lights, size, seed=seed)
    rng = np.random.default_rng(seed)
    train = np.flatnonzero(~validation)
    held = torch.from_numpy(patches.pixels[validation])
    wanted = torch.from_numpy(target.astype(np.float32))
    weight = np.where(target, 0.5 / target[train].mean(), 0.5 / (~target[train]).mean())
    weights = torch.from_numpy(weight.astype(np.float32))
    optimiser = torch.optim.AdamW(module.parameters(), training.rate, weight_decay=training.decay)
    steps = -(-len(train) // training.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, training.rate, total_steps=steps * training.epochs
    )
    history: list[tuple[float, float, float]] = []
    best_loss, state, waited = np.inf, _state(module), 0
    for _ in range(training.epochs):
        module.train()
        losses = []
        for part in np.array_split(rng.permutation(train), steps):
            pixels = _augmented(patches, part, rng, training)
            loss = _loss(module(pixels)[:, 0], wanted[part], weights[part])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        logits = _logits(module, held, 512)
        held_loss = float(_loss(torch.from_numpy(logits), wanted[validation], weights[validation]))
        accuracy = float(balanced_accuracy_score(target[validation], logits > 0))
        history.append((float(np.mean(losses)), held_loss, accuracy))
        waited += 1
        if held_loss < best_loss:
            best_loss, state, waited = held_loss, _state(module), 0
        if waited >= training.patience:
            break
    figures = np.array(history)
    learnt = bool(figures[figures[:, 1].argmin(), 2] >= training.learnt)
    return Expert(training, patches.lights, size, state, figures, failed, learnt, seed)


def _loss(logits: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits.to(torch.float32), wanted, weights)


def _state(module: nn.Module) -> dict[str, NDArray[np.float32]]:
    return {k: v.detach().numpy().copy() for k, v in module.state_dict().items()}


def _augmented(
    patches: Patches, part: Ints, rng: np.random.Generator, training: Training
) -> torch.Tensor:
    """Return a batch, moved at random as a whole, unless that teaches nothing."""
    pixels = patches.pixels[part]
    azimuths = np.asarray(patches.lights.azimuths_deg)
    if training.augmentation == "C8":
        lamps, steps = np.arange(len(azimuths)), int(rng.integers(len(azimuths)))
        turned = [turned_by_steps(p, azimuths, lamps, steps) for p in pixels]
        return torch.from_numpy(np.stack(turned))
    if training.augmentation == "none" or training.network in _INVARIANT:
        return torch.from_numpy(pixels)
    mirrors = training.augmentation == "D4"
    exact = [s for s in symmetries_of(azimuths) if mirrors or not s.mirrored]
    symmetry = exact[rng.integers(len(exact))]
    order = [*symmetry.channels(azimuths), *range(len(azimuths), patches.lights.count)]
    moved = pixels[:, order]
    if symmetry.mirrored:
        moved = moved[..., ::-1]
    moved = np.rot90(moved, symmetry.quarter_turns, (2, 3))
    return torch.from_numpy(np.ascontiguousarray(moved))


def _logits(module: nn.Module, pixels: torch.Tensor, batch: int) -> Floats:
    module.eval()
    with torch.inference_mode():
        parts = [module(some)[:, 0] for some in torch.split(pixels, batch)]
    return torch.cat(parts).numpy().astype(np.float64) if parts else np.empty(0)
