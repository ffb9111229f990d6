"""Training of the finder on pictures whose openings are known, each time under other lights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from etchscope.foil import BadInput, Device
from etchscope.foil.machine import make_process_context
from etchscope.foil.types import FloatStack
from etchscope.learn.devices import choose_device
from etchscope.learn.finder_loss import Parts, compute_finder_loss
from etchscope.learn.finder_samples import LightDraw, Sample, Samples, draw_lights, make_planes
from etchscope.learn.finder_targets import Targets, make_targets

__all__ = ["FinderTraining", "State", "train_finder"]


@dataclass(frozen=True)
class FinderTraining:
    """How the finder is trained: Adam at the one-cycle schedule's highest ``rate``.

    ``batch``: pictures per step. ``epochs``: passes over all pictures. ``decay``: of the weights.
    ``seed``: of the order of the pictures and of their lights.
    """

    epochs: int = 10
    batch: int = 8
    rate: float = 4e-3
    decay: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "rate"):
            if not getattr(self, name) > 0:
                raise BadInput(f"finder training: {name}", "above 0", repr(getattr(self, name)))


def _known(full: Targets, sample: Sample) -> Targets:
    """Return targets of a sample of which only some ground is known.

    The network learns where its openings are, but not their shapes: these were measured, mostly by
    a finder, and learning them as true would make the finder sure of its own errors.
    """
    if sample.known is None:
        return full
    values = full.values.copy()
    values[:, 2:] = np.nan
    height, width = full.mark.shape
    known = sample.known[: 2 * height : 2, : 2 * width : 2].astype(np.float32)
    counts = (full.counts * np.maximum(known, full.heat > 0)).astype(np.float32)
    if sample.unmarked is not None:
        known = sample.unmarked[: 2 * height : 2, : 2 * width : 2].astype(np.float32)
    return replace(full, counts=counts, values=values, mark_counts=known)


def _example(sample: Sample, drawn: LightDraw, seed: int) -> tuple[FloatStack, Targets]:
    """Return the planes of a sample under a choice of lights, and the target maps."""
    size = (sample.raw.shape[1], sample.raw.shape[2])
    wanted = _known(make_targets(sample.openings, size, sample.marked), sample)
    return make_planes(sample, drawn, seed).stacked, wanted


def _batch(samples: Samples, places: Sequence[int], seeds: Sequence[int]) -> tuple[Tensor, ...]:
    """Return planes and targets of some samples as tensors; the seeds decide their lights."""
    examples = []
    for place, seed in zip(places, seeds, strict=True):
        sample = samples[place]
        drawn = draw_lights(np.random.default_rng(seed), sample.lighting)
        examples.append(_example(sample, drawn, seed))
    planes = torch.from_numpy(np.stack([e[0] for e in examples]))
    names = ("heat", "counts", "values", "near", "mark", "mark_counts")
    wanted = [torch.from_numpy(np.stack([getattr(e[1], n) for e in examples])) for n in names]
    return planes.to(memory_format=torch.channels_last), *wanted


class _Batches(Dataset[tuple[Tensor, ...]]):
    """The batches of all epochs, one after the other; a step's number decides what is in it."""

    def __init__(self, samples: Samples, training: FinderTraining) -> None:
        self._samples, self._training = samples, training
        self.per_epoch = -(-len(samples) // training.batch)

    def __len__(self) -> int:
        return self.per_epoch * self._training.epochs

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        epoch, place = divmod(step, self.per_epoch)
        rng = np.random.default_rng([self._training.seed, epoch])
        order = rng.permutation(len(self._samples))
        seeds = rng.integers(0, 2**62, len(self._samples))
        some = slice(place * self._training.batch, (place + 1) * self._training.batch)
        return _batch(self._samples, order[some].tolist(), seeds[some].tolist())


def _loader(
    batches: _Batches, first: int, workers: int, *, is_pinned: bool
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the batches from a step on, made ahead by other processes if any.

    Parameters
    ----------
    is_pinned : whether batches lie in memory that a GPU reads directly.
    """
    # A generator, so that no process is started for a training that is done already.
    yield from DataLoader(
        batches,
        batch_size=None,
        sampler=range(first, len(batches)),
        num_workers=workers,
        multiprocessing_context=make_process_context(__name__) if workers else None,
        worker_init_fn=_use_one_thread if workers else None,
        pin_memory=is_pinned,
    )


def _use_one_thread(_: int) -> None:
    cv2.setNumThreads(1)
    numba.set_num_threads(1)


State = dict[str, NDArray[Any]]
"""Name → array of all that a training needs to go on: weights, the optimiser's moments, epoch."""


def _state(network: nn.Module, optimiser: torch.optim.Optimizer, epoch: int) -> State:
    out: State = {"epoch": np.array([epoch])}
    out |= {f"network.{k}": _copied(v) for k, v in network.state_dict().items()}
    for k, moments in optimiser.state_dict()["state"].items():
        out |= {f"moments.{k}.{n}": _copied(v) for n, v in moments.items()}
    return out


def _copied(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().cpu().numpy().copy()


def _resume(network: nn.Module, optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> int:
    """Put a state back; return the epoch that is next."""
    weights = {k[8:]: torch.from_numpy(v) for k, v in state.items() if k.startswith("network.")}
    network.load_state_dict(weights)
    whole = optimiser.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, values in state.items():
        if name.startswith("moments."):
            _, k, n = name.split(".")
            moments.setdefault(int(k), {})[n] = torch.from_numpy(np.asarray(values))
    whole["state"] = moments
    optimiser.load_state_dict(whole)
    return int(state["epoch"][0])


def train_finder(
    network: nn.Module,
    samples: Samples,
    training: FinderTraining,
    *,
    workers: int = 0,
    device: Device = "auto",
    state: Mapping[str, Any] | None = None,
    keep: Callable[[State], None] | None = None,
    progress: Callable[[int, Parts], None] | None = None,
) -> list[dict[str, float]]:
    """Train a network of the finder's planes and maps in place.

    Parameters
    ----------
    network : from (n, 13, y, x) planes to (n, map, y / 2, x / 2) maps.
    workers : processes that make the batches ahead; 0 makes each when its turn comes.
    device : where it is trained; auto means a GPU where there is one.
    state : of an earlier training of the same samples and settings, to go on from.
    keep : called with the state after every epoch.
    progress : called after every step with the number of pictures and the parts of the loss.

    Returns
    -------
    The mean of each part of the loss, epoch by epoch (of those trained in this call).

    Raises
    ------
    BadInput : a GPU is asked for, and there is none.
    """
    device = choose_device(device, prefers_gpu=True)
    network.to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), training.rate, weight_decay=training.decay)
    first = _resume(network, optimiser, state) if state is not None else 0
    batches = _Batches(samples, training)
    loader = _loader(batches, first * batches.per_epoch, workers, is_pinned=device == "cuda")
    schedule = _one_cycle(training.rate, len(batches))
    history = []
    for epoch in range(first, training.epochs):
        of_steps: list[Parts] = []
        for step in range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch):
            batch = [t.to(device, non_blocking=True) for t in next(loader)]
            for group in optimiser.param_groups:
                group["lr"] = schedule(step)
            of_steps.append(_step(network, optimiser, batch, device))
            if progress is not None:
                progress(len(batch[0]), of_steps[-1])
        history.append(_mean_parts(of_steps))
        if keep is not None:
            keep(_state(network, optimiser, epoch + 1))
    network.to("cpu").eval()
    return history


def _step(
    network: nn.Module, optimiser: torch.optim.Optimizer, batch: Sequence[Tensor], device: str
) -> Parts:
    """Train on one batch, planes and targets; return the parts of its loss."""
    planes, *wanted = batch
    with torch.autocast(device, torch.bfloat16):
        maps = network(planes)
    loss, parts = compute_finder_loss(maps.float(), *wanted)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return parts


def _mean_parts(of_steps: Sequence[Parts]) -> dict[str, float]:
    """Return the mean of each part of the loss over the steps that have it."""
    names = {name for parts in of_steps for name in parts}
    return {
        name: float(np.mean([float(parts[name]) for parts in of_steps if name in parts]))
        for name in sorted(names)
    }


def _one_cycle(highest: float, steps: int) -> Callable[[int], float]:
    """Return step → rate: a rise over the first tenth, then a cosine down to a hundredth."""

    def rate(step: int) -> float:
        rise = max(steps // 10, 1)
        if step < rise:
            return highest * (0.04 + 0.96 * step / rise)
        fall = (step - rise) / max(steps - rise, 1)
        return highest * (0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * fall))))

    return rate
