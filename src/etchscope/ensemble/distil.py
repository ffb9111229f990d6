"""Distil a model: one network that gives the probabilities of all its experts together."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from etchscope.ensemble.combine import Combiner
from etchscope.ensemble.kinds import multiclass_kind
from etchscope.ensemble.model import Model
from etchscope.foil import BadInput, Device
from etchscope.foil.types import Bools
from etchscope.imaging import Lighting, given_lights
from etchscope.learn import Patches, Training, train_to_imitate

__all__ = ["EPOCHS", "Distilled", "Resemblance", "distil_model"]

LEAST_PATCHES = 200
"""Least number of patches to learn from; of those that are held out a fifth of it."""
EPOCHS = 24


@dataclass(frozen=True)
class Resemblance:
    """How far a distilled model repeats its source, on patches that it did not learn from.

    Parameters
    ----------
    patches, held_out : numbers of patches to learn from, and of those for these figures.
    deviation, spread : root mean square of the difference of the two scores, and the standard
        deviation of the score of the source.
    correlation : of the two scores.
    same_class : share of patches with the same most probable class at equal shares.
    networks : number of networks of the source, which the distilled one replaces.
    """

    patches: int
    held_out: int
    deviation: float
    spread: float
    correlation: float
    same_class: float
    networks: int

    def to_record(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {k: round(v, 4) for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Distilled:
    """A distilled model, and how far it repeats its source."""

    model: Model
    resemblance: Resemblance


def distil_model(
    model: Model,
    patches: Patches,
    lighting: Lighting,
    *,
    held_out: Bools,
    seed: int,
    device: Device = "cpu",
    progress: Callable[[int], None] | None = None,
) -> Distilled:
    """Return a model with one network, which learns the probabilities that the model gives.

    No label is needed. Calibration, domain and working point stay those of the source; of planes
    the domain keeps the lights of the patches alone, because others were not learnt from.

    Parameters
    ----------
    model : the source, of three classes or more.
    patches : n patches of finds, as ``Model.votes`` takes them, all under the same lights.
    lighting : these lights.
    held_out : (n,) which patches the network does not learn from; they decide when the training
        ends, and give the figures.
    seed : of weights and order.
    device : where networks are computed and trained.
    progress : called with 1 after each epoch, of which there are ``EPOCHS``.

    Raises
    ------
    BadInput : two classes only, or too few patches.
    """
    if len(model.classes) < 3:
        raise BadInput("model to distil", "three classes or more", ", ".join(model.classes))
    counts = int((~held_out).sum()), int(held_out.sum())
    if counts[0] < LEAST_PATCHES or counts[1] < LEAST_PATCHES / 5:
        expected = f"{LEAST_PATCHES} finds or more to learn from, and a fifth of it held out"
        found = f"{counts[0]} and {counts[1]}"
        raise BadInput("finds", expected, found, hint="Search more tiles first.")
    log_p = model.log_probabilities(patches, device=device)
    known = next(iter(model.experts.values()))[0].training
    training = Training(
        lights=known.lights, left_out=0.0, epochs=EPOCHS, patience=EPOCHS, batch=64, rate=6e-3
    )
    expert = train_to_imitate(
        patches, log_p, training, validation=held_out, seed=seed, device=device, progress=progress
    )
    kind = multiclass_kind(model.classes)
    domain = model.domain
    if domain.scale is not None:
        word = "".join(f"{int(v)}" for v in given_lights(lighting))
        domain = replace(domain, limits={k: v for k, v in domain.limits.items() if k == word})
    small = replace(
        model,
        experts={kind.name: (expert,)},
        combiner=Combiner("highest", model.classes, (kind,), np.ones((1, 1))),
        domain=domain,
    )
    again = small.log_probabilities(patches.take(held_out), device=device)
    one, other = model.score(log_p[held_out]), model.score(again)
    resemblance = Resemblance(
        *counts,
        deviation=float(np.sqrt(np.mean((one - other) ** 2))),
        spread=float(one.std()),
        correlation=float(np.corrcoef(one, other)[0, 1]),
        same_class=float((log_p[held_out].argmax(1) == again.argmax(1)).mean()),
        networks=sum(len(members) for members in model.experts.values()),
    )
    information = {**model.information, "distilled": resemblance.to_record()}
    return Distilled(replace(small, information=information), resemblance)
