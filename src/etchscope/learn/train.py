"""Training of one expert: a network on patches, and what to do if it does not learn."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import nn

from etchscope.foil import BadInput, Device
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.learn.augment import move_batch
from etchscope.learn.devices import device_of
from etchscope.learn.expert import Expert, compute_logits, make_network
from etchscope.learn.losses import loss_of
from etchscope.learn.patches import Patches
from etchscope.learn.training import Training

__all__ = ["folds", "train_expert"]


def folds(region: Ints, target: NDArray[np.generic], count: int, seed: int) -> Iterator[Bools]:
    """Yield the test set of each fold, (n,) bool: whole regions, classes as even as can be.

    Raises
    ------
    BadInput : fewer regions than folds, or a class with fewer members than folds.
    """
    regions = len(np.unique(region))
    if regions < count:
        hint = "Label more tiles, or ask for fewer folds."
        raise BadInput("folds", f"{count} regions or more", str(regions), hint)
    fewest = int(np.unique(target, return_counts=True)[1].min())
    if fewest < count:
        raise BadInput("folds", f"{count} labels a class or more", str(fewest))
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    for _, test in splitter.split(np.zeros(len(region)), target, region):
        is_test = np.zeros(len(region), bool)
        is_test[test] = True
        yield is_test


def train_expert(
    patches: Patches,
    target: NDArray[np.generic],
    training: Training,
    *,
    validation: Bools,
    seed: int,
    start: Expert | None = None,
    weight: Floats | None = None,
    device: Device = "cpu",
) -> Expert:
    """Return an expert that tells ``target`` from the rest.

    All classes weigh the same, however rare one is. Trainings that do not learn are recognised on
    the validation set, started anew and counted.

    Parameters
    ----------
    patches : to train on and to validate with.
    target : (n,) bool, whether a patch is of the first class; or int, the number of its class,
        0 to k − 1, with k > 2.
    validation : (n,) which patches decide when to stop; the others are trained on.
    seed : of weights and order; the same seed gives the same expert on the same machine.
    start : go on from this expert's weights instead of fresh ones.
    weight : (n,) by how much each patch counts among those of its class; alike unless given.
    device : where it is trained. A GPU adds in another order, which gives other weights.

    Raises
    ------
    BadInput : a class is missing in either set, ``start`` is of another network, planes are to be
        turned from lamp to lamp, or there is no such device.
    """
    if patches.lights.are_planes and training.augmentation == "C8":
        raise BadInput("training: augmentation", "none, C4 or D4 for planes", "'C8'")
    target = np.asarray(target)
    _require_classes(target, validation)
    if start is not None:
        start.require(patches.lights, patches.pixels.shape[2])
        same = replace(
            training,
            **{k: getattr(start.training, k) for k in ("network", "lights", "width", "depth")},
        )
        if same != training or start.outputs != _outputs(target):
            raise BadInput(
                "training", f"the network to start from, {start.training}", f"{training}"
            )
    weights = _weights(target, ~validation, np.ones(len(target)) if weight is None else weight)
    best: Expert | None = None
    for attempt in range(training.restarts + 1):
        at = seed + 1000 * attempt
        expert = _attempt(
            patches, target, training, validation, at, attempt, weights, start, device_of(device)
        )
        if best is None or expert.history[:, 2].max() > best.history[:, 2].max():
            best = expert
        if expert.learnt:
            return expert
    if best is None:
        raise BadInput("training.restarts", "0 or more", str(training.restarts))
    return replace(best, failed=training.restarts + 1)


def _require_classes(target: NDArray[np.generic], validation: Bools) -> None:
    is_binary = target.dtype == np.bool_
    kinds = (True, False) if is_binary else tuple(range(_outputs(target)))
    for name, part in (("training", target[~validation]), ("validation", target[validation])):
        for place, kind in enumerate(kinds):
            if not (part == kind).any():
                what = ("first", "second")[place] if is_binary else f"{place + 1}th"
                hint = "Label every class on more tiles, or ask for fewer folds."
                raise BadInput(f"{name} set", f"labels of the {what} class", "none", hint)


def _outputs(target: NDArray[np.generic]) -> int:
    return 1 if target.dtype == np.bool_ else int(target.max()) + 1


def _attempt(
    patches: Patches,
    target: NDArray[np.generic],
    training: Training,
    validation: Bools,
    seed: int,
    failed: int,
    weight: NDArray[np.float32],
    start: Expert | None,
    device: Device,
) -> Expert:
    outputs, size = _outputs(target), patches.pixels.shape[2]
    channels, lights = patches.lights.used(training.lights)
    module = (
        make_network(training, patches.lights, size, outputs, seed)
        if start is None
        else start.module()
    ).to(device)
    rng = np.random.default_rng(seed)
    train = np.flatnonzero(~validation)
    pixels = patches.pixels[:, channels]
    held = torch.from_numpy(pixels[validation])
    wanted = torch.from_numpy(target.astype(np.int64)).to(device)
    weights = torch.from_numpy(weight).to(device)
    optimiser, schedule = _optimiser(module, training, -(-len(train) // training.batch))
    history: list[tuple[float, float, float]] = []
    best_loss, state, waited = np.inf, _state(module), 0
    for _ in range(training.epochs):
        module.train()
        losses = []
        for part in np.array_split(rng.permutation(train), -(-len(train) // training.batch)):
            moved = move_batch(pixels[part], lights, rng, training).to(device)
            loss = loss_of(training.loss, module(moved), wanted[part], weights[part])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        logits = compute_logits(module, held, 64)
        said = torch.from_numpy(logits).to(device)
        held_loss = float(loss_of(training.loss, said, wanted[validation], weights[validation]))
        decided = logits[:, 0] > 0 if outputs == 1 else logits.argmax(1)
        accuracy = float(balanced_accuracy_score(target[validation], decided))
        history.append((float(np.mean(losses)), held_loss, accuracy))
        waited += 1
        if held_loss < best_loss:
            best_loss, state, waited = held_loss, _state(module), 0
        if waited >= training.patience:
            break
    figures = np.array(history)
    chance = 1 / max(outputs, 2)
    needed = chance + (1 - chance) * (training.learnt - 0.5) / 0.5
    learnt = bool(figures[figures[:, 1].argmin(), 2] >= needed)
    return Expert(training, patches.lights, size, state, figures, failed, learnt, seed, outputs)


def _weights(
    target: NDArray[np.generic], is_trained_on: Bools, each: Floats
) -> NDArray[np.float32]:
    """Return weights by which all classes of the training set count the same, 1 on average.

    Parameters
    ----------
    each : (n,) by how much each counts among those of its class.
    """
    kinds, place = np.unique(target, return_inverse=True)
    train = np.flatnonzero(is_trained_on)
    of_class = np.bincount(place[train], each[train], minlength=len(kinds))
    weights: NDArray[np.float32] = (each * (len(train) / (len(kinds) * of_class))[place]).astype(
        np.float32
    )
    return weights


def _optimiser(
    module: nn.Module, training: Training, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.OneCycleLR]:
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


def _state(module: nn.Module) -> dict[str, NDArray[np.float32]]:
    return {k: v.detach().cpu().numpy().copy() for k, v in module.state_dict().items()}
