"""Training of one expert: a network on patches, and what to do if it does not learn."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import nn

from etchscope.foil import BadInput, Device
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.imaging import turned_by_steps
from etchscope.learn.devices import device_of
from etchscope.learn.given import varied
from etchscope.learn.losses import LOSSES, loss_of
from etchscope.learn.networks import find_network, network
from etchscope.learn.patches import LightChoice, Lights, Patches

__all__ = ["Augmentation", "Expert", "Training", "folds", "train_expert"]

Augmentation = Literal["none", "C4", "D4", "C8"]
"""none; turns by 90°; these and mirrors; turns from lamp to lamp, interpolated unless by 90°.
Of C4 and D4 what the lamps have; planes have both, and no C8.
"""
_INVARIANT = ("equivariant",)  # networks that exact symmetries teach nothing


@dataclass(frozen=True)
class Training:
    """How an expert is trained.

    ``network``: its name in ``NETWORKS`` or a plugin's, with ``width`` and ``depth``. ``lights``:
    which of the patches' lights it sees. ``augmentation``: how each batch is moved at random; exact
    moves are left out for a network that has them built in. ``loss``: its name in ``LOSSES``.
    ``optimiser``: Adam or stochastic gradient descent, at the one-cycle schedule's highest
    ``rate``. ``epochs`` at most; it stops once the validation loss has not fallen for ``patience``
    of them. ``learnt``: balanced accuracy on validation below which a training counts as failed and
    starts anew, at most ``restarts`` times, with other weights; for more than two classes, that
    much of the way from chance to 1. ``left_out``: share of each batch from which lights are left
    out at random; of planes only.
    """

    network: str = "equivariant"
    lights: LightChoice = "all"
    augmentation: Augmentation = "D4"
    loss: str = "balanced"
    optimiser: Literal["adam", "sgd"] = "adam"
    epochs: int = 16
    patience: int = 10
    batch: int = 32
    rate: float = 4e-3
    decay: float = 1e-3
    width: float = 1.0
    depth: int = 3
    learnt: float = 0.75
    restarts: int = 3
    left_out: float = 0.5

    def __post_init__(self) -> None:
        find_network(self.network, where="training: network")
        for name, known in (
            ("lights", get_args(LightChoice)),
            ("augmentation", get_args(Augmentation)),
            ("loss", tuple(LOSSES)),
            ("optimiser", ("adam", "sgd")),
        ):
            if getattr(self, name) not in known:
                raise BadInput(f"training: {name}", " or ".join(known), repr(getattr(self, name)))
        for name in ("epochs", "patience", "batch", "rate"):
            if not getattr(self, name) > 0:
                raise BadInput(f"training: {name}", "above 0", repr(getattr(self, name)))
        if not 0 <= self.left_out <= 1:
            raise BadInput("training: left_out", "0 to 1", repr(self.left_out))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Training":
        """Return the training of a record.

        Raises
        ------
        BadInput : a key that is none of a training's, or a value that cannot be.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise BadInput("training", ", ".join(f.name for f in fields(cls)), unknown[0])
        return cls(**values)


@dataclass(frozen=True)
class Expert:
    """A trained network, and how its training went.

    ``lights``, ``size``: of the patches it takes. ``outputs``: 1 for two classes, otherwise one a
    class. ``history``: a row (training loss, validation loss, validation balanced accuracy) an
    epoch of the training that was kept; ``failed``: how many trainings did not learn, this one
    included if it is ``learnt`` false.
    """

    training: Training
    lights: Lights
    size: int
    state: dict[str, NDArray[np.float32]] = field(repr=False)
    history: Floats = field(repr=False)
    failed: int
    learnt: bool
    seed: int = 0
    outputs: int = 1

    def scores(
        self,
        patches: Patches,
        *,
        batch: int = 64,
        device: Device = "cpu",
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Return the logit of each patch, (n,): positive where the first class is likelier.

        With more than two classes (n, classes), of which only differences mean something.

        Parameters
        ----------
        device : where they are scored.
        progress : called with the number of patches just scored.

        Raises
        ------
        BadInput : other lights or another size than it was trained on, or no such device.
        """
        self.require(patches.lights, patches.pixels.shape[2])
        if not len(patches):
            return np.empty(0 if self.outputs == 1 else (0, self.outputs))
        channels, _ = self.lights.used(self.training.lights)
        module, pixels = self.module().to(device_of(device)), _seen(patches.pixels, channels)
        logits = _logits(module, pixels, batch, progress)
        return logits[:, 0] if self.outputs == 1 else logits

    def require(self, lights: Lights, size: int) -> None:
        """Refuse patches that the expert was not made for.

        Raises
        ------
        BadInput : other lights or another size than it was trained on.
        """
        if lights != self.lights or size != self.size:
            raise BadInput("patches", f"{self.lights}, {self.size} px", f"{lights}, {size} px")

    def module(self) -> nn.Module:
        """Return the network, ready to use on the channels that ``training.lights`` chooses.

        Raises
        ------
        BadInput : the weights are not those of such a network.
        """
        made = _made(self.training, self.lights, self.size, self.outputs, 0)
        state = {k: torch.from_numpy(np.array(v)) for k, v in self.state.items()}
        try:
            made.load_state_dict(state)
        except RuntimeError as error:
            text = str(error).splitlines()[-1].strip()
            name = self.training.network
            raise BadInput("expert", f"the weights of network {name}", text) from error
        return made.eval()

    def to_record(self) -> dict[str, Any]:
        """Return all but the weights, for JSON."""
        return {
            "training": asdict(self.training),
            "lights": {"azimuths_deg": self.lights.azimuths_deg, "others": self.lights.others},
            "size": self.size,
            "history": np.round(self.history, 6).tolist(),
            "failed": self.failed,
            "learnt": self.learnt,
            "seed": self.seed,
            "outputs": self.outputs,
        }

    @classmethod
    def from_record(
        cls, record: Mapping[str, Any], state: Mapping[str, NDArray[np.float32]]
    ) -> "Expert":
        """Return the expert of a record and its weights.

        Raises
        ------
        BadInput : the record is not one of ``to_record``.
        """
        try:
            lights = record["lights"]
            return cls(
                Training.of(record["training"]),
                Lights(tuple(map(float, lights["azimuths_deg"])), tuple(lights["others"])),
                int(record["size"]),
                dict(state),
                np.asarray(record["history"], np.float64).reshape(-1, 3),
                int(record["failed"]),
                bool(record["learnt"]),
                int(record["seed"]),
                int(record["outputs"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput("expert", "the record of an expert", repr(error)) from error


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


def _made(training: Training, lights: Lights, size: int, outputs: int, seed: int) -> nn.Module:
    _, used = lights.used(training.lights)
    return network(
        training.network,
        used,
        size,
        outputs,
        seed=seed,
        width=training.width,
        depth=training.depth,
    )


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
        _made(training, patches.lights, size, outputs, seed) if start is None else start.module()
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
            moved = _augmented(pixels[part], lights, rng, training).to(device)
            loss = loss_of(training.loss, module(moved), wanted[part], weights[part])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        logits = _logits(module, held, 64)
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


def _seen(pixels: NDArray[np.float32], channels: Ints) -> torch.Tensor:
    """Return some channels, without a copy where it is all of them."""
    return torch.from_numpy(pixels if len(channels) == pixels.shape[1] else pixels[:, channels])


def _augmented(
    pixels: NDArray[np.float32], lights: Lights, rng: np.random.Generator, training: Training
) -> torch.Tensor:
    """Return a batch, moved at random as a whole, unless that teaches nothing.

    Of planes lights are left out too.
    """
    if lights.are_planes:
        pixels = varied(rng, pixels, training.left_out)
    azimuths = np.asarray(lights.azimuths_deg)
    if training.augmentation == "C8" and len(azimuths) > 1:
        lamps, steps = np.arange(len(azimuths)), int(rng.integers(len(azimuths)))
        turned = [turned_by_steps(p, azimuths, lamps, steps) for p in pixels]
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


def _logits(
    module: nn.Module,
    pixels: torch.Tensor,
    batch: int,
    progress: Callable[[int], None] | None = None,
) -> Floats:
    device = next(module.parameters()).device
    module.eval()
    parts = []
    with torch.inference_mode():
        for some in torch.split(pixels, batch):
            parts.append(module(some.to(device)).cpu().numpy().astype(np.float64))
            if progress is not None:
                progress(len(some))
    return np.concatenate(parts)
