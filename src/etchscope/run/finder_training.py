"""How a finder is trained, from nothing or from the weights of another."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from etchscope.foil import Device
from etchscope.foil.openings import FINDER_VERSION
from etchscope.learn import (
    WIDTHS,
    FinderNetwork,
    FinderTraining,
    Parts,
    Sample,
    Samples,
    choose_device,
    train_finder,
)
from etchscope.run.finder import FINDER_KIND, arrays_under, finder_of
from etchscope.run.finder_classifiers import Progress, fit_classifiers, silent
from etchscope.run.school import Mixed, draw_school
from etchscope.store import read_model, write_model
from etchscope.store.arrays import read_arrays, write_arrays

__all__ = ["TUNING", "FinderPlan", "learnt_state", "trained_finder"]

_KEPT = 5
"""One in so many tiles with a user's labels is kept for the judges."""
_JUDGED_PX = 512
"""Of the pictures on which finds are judged; the judges look at whole tiles."""
TUNING = FinderTraining(epochs=2, rate=5e-4)
"""How a finder goes on with a user's labels."""


@dataclass(frozen=True)
class FinderPlan:
    """How a finder is trained from nothing, or from another's weights.

    ``pictures``: random foils to learn from; ``judged``: others, on which thresholds and errors are
    set; ``training``; ``widths`` of a network that begins with nothing.
    """

    pictures: int = 12_000
    judged: int = 256
    training: FinderTraining = field(default_factory=FinderTraining)
    widths: tuple[int, ...] = WIDTHS


def trained_finder(
    folder: Path,
    output: Path,
    plan: FinderPlan,
    *,
    start: Path | None = None,
    labelled: Sequence[Sequence[Sample]] = (),
    workers: int = 2,
    device: Device = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Draw random foils, train a finder on them and write its weights; return its card.

    What was drawn and learnt before in ``folder`` under the same plan is gone on from.

    Parameters
    ----------
    folder : for pictures and states, made if absent.
    output : new or empty folder for the weights.
    start : weights to begin with instead of random ones.
    labelled : pictures with a user's labels, tile by tile. Half of what is learnt from are then
        these, the other half random foils, lest what was known be forgotten. Every fifth tile
        teaches the network nothing, but what its heat means on such pictures.
    device : where the network is trained; auto means a GPU where there is one.

    Raises
    ------
    BadInput : ``output`` holds something, ``start`` is no finder, or there is no such device.
    MachineFailed : the disk is full.
    """
    choose_device(device)  # refused before anything is drawn
    seed = plan.training.seed
    foils = draw_school(
        folder,
        plan.pictures,
        seed,
        workers=workers,
        progress=lambda n: progress("Drawing random foils", n, plan.pictures),
    )
    judged = draw_school(
        folder,
        plan.judged,
        seed + 500,
        size_px=_JUDGED_PX,
        workers=workers,
        progress=lambda n: progress("Drawing foils to judge it on", n, plan.judged),
    )
    network = _begun(plan, start)
    own = [s for k, tile in enumerate(labelled) if k % _KEPT != _KEPT - 1 for s in tile]
    kept = [s for tile in labelled[_KEPT - 1 :: _KEPT] for s in tile]
    samples: Samples = Mixed(own, foils) if own else foils
    state = folder / f"state-{_identity(plan, start, own)}.safetensors"
    history = learnt_state(network, samples, plan.training, state, workers, progress, device=device)
    finder, figures = fit_classifiers(network.plain(), judged, kept, progress)
    covered = figures.pop("within one standard deviation")
    card = {
        "kind": FINDER_KIND,
        "finder_version": FINDER_VERSION,
        "widths": list(network.widths),
        "least_mark": finder.least_mark,
        "information": {
            "etchscope": version("etchscope"),
            "plan": {**asdict(plan), "widths": list(plan.widths)},
            "history": history,
            "figures": figures,
            "within one standard deviation": covered,
        },
    }
    arrays = {f"maps.{k}": v for k, v in network.to_arrays().items()}
    for name, judge in finder.classifiers.items():
        arrays |= {f"{name}.{k}": v for k, v in judge.to_arrays().items()}
    arrays |= {f"gauge.{k}": v for k, v in finder.gauge.to_arrays().items()}
    return write_model(output, arrays, card)


def _identity(plan: FinderPlan, start: Path | None, labelled: Sequence[Sample]) -> str:
    """Return the name of a training: what decides its weights."""
    sha = hashlib.sha256(repr((plan.pictures, plan.training, plan.widths)).encode())
    if start is not None:
        sha.update(finder_of(start).digest.encode())
    for sample in labelled:
        sha.update(np.ascontiguousarray(sample.raw).tobytes())
        for values in vars(sample.openings).values():
            sha.update(np.ascontiguousarray(values).tobytes())
    return sha.hexdigest()[:12]


def _begun(plan: FinderPlan, start: Path | None) -> FinderNetwork:
    if start is not None:
        arrays, card = read_model(start)
        weights = arrays_under(arrays, "maps.")
        return FinderNetwork.from_arrays(weights, card["widths"], where=str(start))
    return FinderNetwork.seeded(plan.widths, plan.training.seed)


def learnt_state(
    network: Any,
    samples: Samples,
    training: FinderTraining,
    state: Path,
    workers: int = 0,
    progress: Progress = silent,
    *,
    device: Device = "auto",
) -> list[dict[str, float]]:
    """Train a network in place, its state kept in a file after every epoch; return its history."""
    total = len(samples) * training.epochs
    before = read_arrays(state) if state.exists() else None
    if before is not None:
        progress("Training", len(samples) * int(before["epoch"][0]), total)

    def told(done: int, parts: Parts) -> None:
        progress("Training", done, total)

    return train_finder(
        network,
        samples,
        training,
        workers=workers,
        device=device,
        state=before,
        keep=lambda now: write_arrays(state, now),
        progress=told,
    )
