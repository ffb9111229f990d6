"""Training of one expert: a network on patches, which starts anew if it does not learn."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor, nn

from etchscope.foil import BadInput, Device
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.learn.augment import move_batch
from etchscope.learn.devices import choose_device
from etchscope.learn.expert import Expert, compute_logits, make_network
from etchscope.learn.losses import compute_loss
from etchscope.learn.optimise import copy_state, make_optimiser, take_step
from etchscope.learn.patches import Lights, Patches
from etchscope.learn.training import Training

__all__ = ["split_folds", "train_expert"]


def split_folds(
    region: Ints, target: NDArray[np.generic], count: int, seed: int
) -> Iterator[Bools]:
    """Yield the test set of each fold, (n,) bool: whole regions, classes as even as can be.

    Parameters
    ----------
    region : (n,) int64 region of each patch.
    target : (n,) class of each patch.
    count : number of folds.
    seed : of the split.

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
        raise BadInput("folds", f"{count} labels per class or more", str(fewest))
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
    """Return an expert that distinguishes the classes of patches.

    All classes weigh the same, however rare one is. Trainings that do not learn are recognised on
    the validation set, started anew and counted.

    Parameters
    ----------
    patches : to train on and to validate with.
    target : (n,) bool, whether a patch is of the first class; or int, the number of its class,
        0 to k − 1, with k > 2.
    validation : (n,) which patches decide when to stop; the others are trained on.
    seed : of weights and order; the same seed gives the same expert on the same machine.
    start : an expert with whose weights the training begins, instead of fresh ones.
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
        _require_start(start, patches, training, target)
    each = np.ones(len(target)) if weight is None else weight
    data = _Data.of(patches, target, training, validation, each, choose_device(device))
    size = patches.pixels.shape[2]
    best: Expert | None = None
    for attempt in range(training.restarts + 1):
        at = seed + 1000 * attempt
        module = start.module() if start else _fresh(training, patches, data.outputs, at)
        state, history = _train(module.to(data.weight.device), data, training, at)
        learnt = _has_learnt(history, training.learnt, data.outputs)
        expert = Expert(
            training, patches.lights, size, state, history, attempt, learnt, at, data.outputs
        )
        if best is None or history[:, 2].max() > best.history[:, 2].max():
            best = expert
        if learnt:
            return expert
    if best is None:
        raise BadInput("training.restarts", "0 or more", str(training.restarts))
    return replace(best, failed=training.restarts + 1)


def _require_start(
    start: Expert, patches: Patches, training: Training, target: NDArray[np.generic]
) -> None:
    """Refuse to go on from an expert of another network, or of other patches or classes."""
    start.require(patches.lights, patches.pixels.shape[2])
    same = {k: getattr(start.training, k) for k in ("network", "lights", "width", "depth")}
    if replace(training, **same) != training or start.outputs != _outputs(target):
        raise BadInput("training", f"the network to start from, {start.training}", f"{training}")


def _require_classes(target: NDArray[np.generic], validation: Bools) -> None:
    """Refuse a training or a validation set that lacks a class."""
    is_binary = target.dtype == np.bool_
    kinds = (True, False) if is_binary else tuple(range(_outputs(target)))
    for name, part in (("training", target[~validation]), ("validation", target[validation])):
        for place, kind in enumerate(kinds):
            if not (part == kind).any():
                what = ("first", "second")[place] if is_binary else f"{place + 1}th"
                hint = "Label every class on more tiles, or ask for fewer folds."
                raise BadInput(f"{name} set", f"labels of the {what} class", "none", hint)


def _outputs(target: NDArray[np.generic]) -> int:
    """Return the number of logits per patch: 1 for two classes, otherwise that of the classes."""
    return 1 if target.dtype == np.bool_ else int(target.max()) + 1


def _fresh(training: Training, patches: Patches, outputs: int, seed: int) -> nn.Module:
    return make_network(training, patches.lights, patches.pixels.shape[2], outputs, seed)


def _has_learnt(history: Floats, least: float, outputs: int) -> bool:
    """Return whether the kept epoch is better than chance by ``least``, see ``Training.learnt``."""
    chance = 1 / max(outputs, 2)
    needed = chance + (1 - chance) * (least - 0.5) / 0.5
    return bool(history[history[:, 1].argmin(), 2] >= needed)


@dataclass(frozen=True)
class _Data:
    """Patches to train on and to validate with, the same for every attempt.

    ``pixels``: (n, channel, size, size) float32 of the channels that the network takes, on the
    processor, and their ``lights``. ``target``: (n,) as given; ``wanted``, ``weight``: (n,) the
    number of the class and what the patch weighs, on the device. ``train``: rows to train on;
    ``validation``: (n,) which rows to validate with.
    """

    pixels: NDArray[np.float32]
    lights: Lights
    target: NDArray[np.generic]
    wanted: Tensor
    weight: Tensor
    train: Ints
    validation: Bools

    @classmethod
    def of(
        cls,
        patches: Patches,
        target: NDArray[np.generic],
        training: Training,
        validation: Bools,
        each: Floats,
        device: Device,
    ) -> "_Data":
        """Return the data; ``each``: (n,) how much a patch counts among those of its class."""
        channels, lights = patches.lights.used(training.lights)
        wanted = torch.from_numpy(target.astype(np.int64))
        weight = torch.from_numpy(_weights(target, ~validation, each))
        return cls(
            patches.pixels[:, channels],
            lights,
            target,
            wanted.to(device),
            weight.to(device),
            np.flatnonzero(~validation),
            validation,
        )

    @property
    def outputs(self) -> int:
        """Number of logits per patch."""
        return _outputs(self.target)


def _train(
    module: nn.Module, data: _Data, training: Training, seed: int
) -> tuple[dict[str, NDArray[np.float32]], Floats]:
    """Train a network in place; return the weights of its best epoch, and the history.

    The best epoch has the smallest validation loss. The history is that of ``Expert``.
    """
    rng = np.random.default_rng(seed)
    steps = -(-len(data.train) // training.batch)
    optimiser, schedule = make_optimiser(module, training, steps)
    history: list[tuple[float, float, float]] = []
    best_loss, state, waited = np.inf, copy_state(module), 0
    for _ in range(training.epochs):
        module.train()
        losses = []
        for rows in np.array_split(rng.permutation(data.train), steps):
            moved = move_batch(data.pixels[rows], data.lights, rng, training)
            logits = module(moved.to(data.weight.device))
            loss = compute_loss(training.loss, logits, data.wanted[rows], data.weight[rows])
            losses.append(take_step(module, optimiser, schedule, loss))
        held_loss, accuracy = _validate(module, data, training.loss)
        history.append((float(np.mean(losses)), held_loss, accuracy))
        waited += 1
        if held_loss < best_loss:
            best_loss, state, waited = held_loss, copy_state(module), 0
        if waited >= training.patience:
            break
    return state, np.array(history)


def _validate(module: nn.Module, data: _Data, loss: str) -> tuple[float, float]:
    """Return loss and balanced accuracy on the validation set."""
    held = data.validation
    logits = compute_logits(module, torch.from_numpy(data.pixels[held]), 64)
    on_device = torch.from_numpy(logits).to(data.weight.device)
    held_loss = float(compute_loss(loss, on_device, data.wanted[held], data.weight[held]))
    decided = logits[:, 0] > 0 if data.outputs == 1 else logits.argmax(1)
    return held_loss, float(balanced_accuracy_score(data.target[held], decided))


def _weights(
    target: NDArray[np.generic], is_trained_on: Bools, each: Floats
) -> NDArray[np.float32]:
    """Return weights, (n,), with which all classes of the training set count the same; mean 1.

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
