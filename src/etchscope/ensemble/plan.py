"""The plan of a training, which is checked before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from etchscope.ensemble.combine import find_method
from etchscope.ensemble.kinds import ExpertKind, default_kinds, multiclass_kind, require_known
from etchscope.ensemble.labelled import Labelled
from etchscope.ensemble.model import Model
from etchscope.ensemble.prior import check_prior
from etchscope.foil import BadInput, Device
from etchscope.foil.types import Bools
from etchscope.learn import Expert, Training, split_folds, train_expert

__all__ = ["TrainingPlan", "plan_training", "train_member"]


@dataclass(frozen=True)
class TrainingPlan:
    """All that determines a model. One expert of each kind is trained for every fold of regions.

    Attributes
    ----------
    labelled : n labels of the classes.
    training : how each expert is trained.
    classes : the classes that the model distinguishes.
    signal : class that is searched for.
    kinds : the experts.
    method : name of the way to combine them, see ``combine.METHODS``.
    prior : class → share; the shares sum to 1.
    efficiency : of the first working point, on the labels.
    tests : for each fold the labels that it holds out, (n,) bool.
    seed : of folds, weights and order.
    start : model whose experts the training begins with; None for fresh weights.
    device : where experts are trained.
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
        """The experts as (kind, fold), in the order in which they are trained."""
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
    """Return the plan of a training.

    Parameters
    ----------
    labelled : labels; those of other classes than ``classes`` are left out.
    training : how each expert is trained.
    classes : the classes that the model distinguishes.
    signal : class that is searched for.
    kinds : the experts; by default those of ``default_kinds``.
    method : see ``combine.METHODS``; or "multiclass" for one network for all classes.
    prior : class → share; by default the shares are equal.
    efficiency : of the first working point, on the labels.
    count : number of folds of regions.
    seed : of folds, weights and order.
    start : model whose experts the training begins with.
    device : where experts are trained.

    Raises
    ------
    BadInput : a class with too few labels, folds that cannot be split, an expert of an unknown
        class, two experts of one name, a class without an expert, a start without one of the
        experts, or a method, a prior or an efficiency that is not possible.
    """
    if signal not in classes:
        raise BadInput("signal", " or ".join(classes), repr(signal))
    _require_efficiency(efficiency)
    shares = dict.fromkeys(classes, 1 / len(classes)) if prior is None else dict(prior)
    check_prior(shares, classes)
    labelled = labelled.take(np.isin(labelled.label, list(classes)))
    _require_labels(labelled, classes, count)
    if method == "multiclass":
        kinds, how = (multiclass_kind(classes),), "highest"
    else:
        kinds, how = tuple(kinds or default_kinds(classes)), method
    find_method(how, known=("multiclass",))
    require_known(kinds, classes)
    _require_start(start, kinds)
    tests = tuple(split_folds(labelled.patches.region, labelled.label, count, seed))
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
    """Return the expert of a kind that is trained without the labels of a fold.

    Parameters
    ----------
    plan : see ``plan_training``.
    kind, fold : one of ``plan.members``.

    Raises
    ------
    BadInput : a class is missing in the other folds, or ``start`` has another network.
    """
    labelled, test = plan.labelled, plan.tests[fold]
    used = np.isin(labelled.label, kind.classes) & ~test
    patches = labelled.patches.take(used)
    target = kind.target(labelled.label[used])
    begins = (None,) if plan.start is None else plan.start.experts[kind.name]
    return train_expert(
        patches,
        target,
        plan.training,
        validation=next(split_folds(patches.region, target, len(plan.tests), plan.seed + 1)),
        seed=100 * plan.seed + fold,
        start=begins[fold % len(begins)],
        weight=labelled.weight[used],
        device=plan.device,
    )


def _require_efficiency(efficiency: float) -> None:
    if not 0 < efficiency <= 1:
        raise BadInput("working point: efficiency", "above 0, at most 1", f"{efficiency:g}")


def _require_labels(labelled: Labelled, classes: Sequence[str], count: int) -> None:
    for name in classes:
        labels = int((labelled.label == name).sum())
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
