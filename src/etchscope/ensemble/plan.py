"""What a model is going to be trained on and how, checked before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from etchscope.ensemble.combine import find_method
from etchscope.ensemble.kinds import ExpertKind, default_kinds, multiclass_kind, require_known
from etchscope.ensemble.labelled import Labelled
from etchscope.ensemble.model import Model
from etchscope.ensemble.prior import checked_prior
from etchscope.foil import BadInput, Device
from etchscope.foil.types import Bools
from etchscope.learn import Expert, Training, folds, train_expert

__all__ = ["TrainingPlan", "plan_training", "train_member"]


@dataclass(frozen=True)
class TrainingPlan:
    """All that decides a model: for every fold of regions one expert of each kind is trained.

    ``labelled``: of the classes that are decided between. ``method``: how votes are combined.
    ``tests``: for each fold which labels it holds out, (n,) bool. ``efficiency``: of the first
    working point. ``start``: the model that is gone on from. ``device``: where experts are trained.
    """

    labelled: Labelled
    training: Training
    classes: tuple[str, ...]
    signal: str
    kinds: tuple[ExpertKind, ...]
    method: str
    prior: dict[str, float]
    efficiency: float
    tests: tuple[Bools, ...]
    seed: int
    start: Model | None
    device: Device

    @property
    def members(self) -> list[tuple[ExpertKind, int]]:
        """The experts to train, (kind, fold), in the order in which they are trained."""
        return [(kind, fold) for kind in self.kinds for fold in range(len(self.tests))]


def plan_training(
    labelled: Labelled,
    training: Training,
    *,
    classes: Sequence[str],
    signal: str,
    kinds: Sequence[ExpertKind] | None = None,
    method: str = "stacked",
    prior: Mapping[str, float] | None = None,
    efficiency: float = 0.99,
    count: int = 5,
    seed: int = 0,
    start: Model | None = None,
    device: Device = "cpu",
) -> TrainingPlan:
    """Return the plan of a training; for parameters and errors see ``train_model``."""
    if signal not in classes:
        raise BadInput("signal", " or ".join(classes), repr(signal))
    _require_efficiency(efficiency)
    shares = dict.fromkeys(classes, 1 / len(classes)) if prior is None else dict(prior)
    checked_prior(shares, classes)
    labelled = labelled.take(np.isin(labelled.said, list(classes)))
    _require_labels(labelled, classes, count)
    if method == "multiclass":
        kinds, how = (multiclass_kind(classes),), "highest"
    else:
        kinds, how = tuple(kinds or default_kinds(classes)), method
    find_method(how, known=("multiclass",))
    require_known(kinds, classes)
    _require_start(start, kinds)
    tests = tuple(folds(labelled.patches.region, labelled.said, count, seed))
    return TrainingPlan(
        labelled,
        training,
        tuple(classes),
        signal,
        kinds,
        how,
        shares,
        efficiency,
        tests,
        seed,
        start,
        device,
    )


def train_member(plan: TrainingPlan, kind: ExpertKind, fold: int) -> Expert:
    """Return the expert of a kind that has not seen the labels of a fold.

    Raises
    ------
    BadInput : a class is missing in what is left, or ``start`` is of another network.
    """
    labelled, test = plan.labelled, plan.tests[fold]
    taught = np.isin(labelled.said, kind.classes) & ~test
    patches = labelled.patches.take(taught)
    target = kind.target(labelled.said[taught])
    begins = (None,) if plan.start is None else plan.start.experts[kind.name]
    return train_expert(
        patches,
        target,
        plan.training,
        validation=next(folds(patches.region, target, len(plan.tests), plan.seed + 1)),
        seed=100 * plan.seed + fold,
        start=begins[fold % len(begins)],
        weight=labelled.weight[taught],
        device=plan.device,
    )


def _require_efficiency(efficiency: float) -> None:
    if not 0 < efficiency <= 1:
        raise BadInput("working point: efficiency", "above 0, at most 1", f"{efficiency:g}")


def _require_labels(labelled: Labelled, classes: Sequence[str], count: int) -> None:
    for name in classes:
        labels = int((labelled.said == name).sum())
        if labels < 2 * count:
            hint = "Label more, or leave the class out."
            raise BadInput(f"class {name}", f"{2 * count} labels or more", str(labels), hint)


def _require_start(start: Model | None, kinds: Sequence[ExpertKind]) -> None:
    if start is None:
        return
    for kind in kinds:
        if kind not in start.combiner.kinds:
            found = ", ".join(k.name for k in start.combiner.kinds)
            raise BadInput(
                "model to start from", f"an expert {kind.name} of the same classes", found
            )
