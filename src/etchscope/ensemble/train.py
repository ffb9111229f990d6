"""Training of a model: experts over folds, and what combines them, from held-out labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

from etchscope.ensemble.calibration import AS_TAUGHT
from etchscope.ensemble.combine import Combiner, fit_combiner
from etchscope.ensemble.gaussians import Gaussians, fit_gaussians
from etchscope.ensemble.kinds import ExpertKind
from etchscope.ensemble.labelled import Labelled
from etchscope.ensemble.model import FOREIGN, LEAST_FINDS, Domain, Model
from etchscope.ensemble.plan import TrainingPlan, plan_training, train_member
from etchscope.ensemble.point import WorkingPoint
from etchscope.evaluation import Proportion, proportion
from etchscope.foil import Device
from etchscope.foil.types import Floats
from etchscope.learn import (
    SCALES,
    CrossValidation,
    Expert,
    Patches,
    Training,
    features_of,
    given_of,
    patterns_of,
    with_given,
)

__all__ = ["TrainedModel", "assemble_model", "train_model"]

_SCALE = 0.15
"""Pixel sizes within this of those trained with are the same optics."""
_DENSER = 1.5
"""A model is used up to so many times the density that 99 % of its labels have."""


@dataclass(frozen=True)
class TrainedModel:
    """A model, and what its experts said of the labels that each had not seen.

    ``logits``: expert → (n,) or (n, groups). ``log_probabilities``: (n, k) at equal shares, the
    combiner fitted on other folds too. ``score``: (n,) of them and of the partners.
    ``validation``: expert → its cross-validation on the labels of its own classes.
    """

    model: Model
    labelled: Labelled
    logits: dict[str, Floats]
    log_probabilities: Floats
    score: Floats
    validation: dict[str, CrossValidation]


def train_model(
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
    context: Patches | None = None,
    device: Device = "cpu",
    progress: Callable[[int], None] | None = None,
) -> TrainedModel:
    """Return a model of all experts; each fold of regions is held out once.

    What combines the experts, the working point and all figures come from held-out labels. In use
    the experts of all folds count, by their mean.

    Parameters
    ----------
    classes : that are decided between; labels of others are left out.
    signal : the one that is searched for.
    kinds : the experts; one for each two classes unless given, see ``default_kinds``.
    method : see ``combine.METHODS``; or "multiclass": one network for all classes.
    prior : class → share; equal shares unless given.
    efficiency : of the first working point, on the labels.
    start : go on from this model's experts.
    context : any finds of the labels' tiles, whatever they are: what is usual there. The labels
        themselves unless given, which may be a choice of the clear ones.
    device : where the experts are trained.
    progress : called with 1 after each of ``count`` × experts trainings.

    Raises
    ------
    BadInput : a class with too few labels, folds that cannot be split, an expert of an unknown
        class, two of one name, a class that no expert knows, ``start`` without one of the experts,
        a method, a prior or an efficiency that cannot be, or no such device.
    """
    plan = plan_training(
        labelled,
        training,
        classes=classes,
        signal=signal,
        kinds=kinds,
        method=method,
        prior=prior,
        efficiency=efficiency,
        count=count,
        seed=seed,
        start=start,
        device=device,
    )
    experts = []
    for kind, fold in plan.members:
        experts.append(train_member(plan, kind, fold))
        if progress is not None:
            progress(1)
    return assemble_model(plan, experts, context)


def assemble_model(
    plan: TrainingPlan, trained: Sequence[Expert], context: Patches | None
) -> TrainedModel:
    """Return the model of the experts of a plan.

    Parameters
    ----------
    trained : in the order of ``plan.members``.
    context : see ``train_model``.
    """
    labelled, count = plan.labelled, len(plan.tests)
    experts: dict[str, tuple[Expert, ...]] = {}
    logits: dict[str, Floats] = {}
    validation = {}
    for place, kind in enumerate(plan.kinds):
        members = tuple(trained[place * count : (place + 1) * count])
        experts[kind.name], logits[kind.name] = members, _held_out(plan, members)
        validation[kind.name] = _validation(plan, kind, members, logits[kind.name])
    each = list(logits.values())
    combiner = fit_combiner(
        plan.method, each, labelled.said, plan.classes, plan.kinds, labelled.weight
    )
    combined = _cross_combined(combiner, each, labelled, plan.tests)
    model = _assembled(plan, experts, combiner, context)
    score = model.score(combined)
    if labelled.evidence is not None:
        score = score + AS_TAUGHT.weights["pair"] * labelled.evidence
    is_signal = labelled.said == plan.signal
    point = _working_point(score, is_signal, labelled.weight, plan.efficiency)
    return TrainedModel(model.at(point), labelled, logits, combined, score, validation)


def _held_out(plan: TrainingPlan, members: Sequence[Expert]) -> Floats:
    """Return the logits of all labels, each from the expert that held it out."""
    patches = plan.labelled.patches
    said = [
        expert.scores(patches.take(test), device=plan.device)
        for expert, test in zip(members, plan.tests, strict=True)
    ]
    logits = np.full((len(patches), *said[0].shape[1:]), np.nan)
    for test, values in zip(plan.tests, said, strict=True):
        logits[test] = values
    return logits


def _validation(
    plan: TrainingPlan, kind: ExpertKind, members: Sequence[Expert], logits: Floats
) -> CrossValidation:
    labelled, seed = plan.labelled, plan.seed
    taught = np.isin(labelled.said, kind.classes)
    target = kind.target(labelled.said[taught])
    decided = logits > 0 if logits.ndim == 1 else logits.argmax(1)
    rows = []
    for fold, (expert, test) in enumerate(zip(members, plan.tests, strict=True)):
        here = taught & test
        figure = balanced_accuracy_score(kind.target(labelled.said[here]), decided[here])
        rows.append(
            {
                "seed": seed,
                "fold": fold,
                "patches": int(here.sum()),
                "balanced_accuracy": float(figure),
                "epochs": len(expert.history),
                "failed": expert.failed,
                "learnt": expert.learnt,
            }
        )
    histories = {(seed, fold): expert.history for fold, expert in enumerate(members)}
    return CrossValidation(logits[taught][None], target, pd.DataFrame(rows), histories)


def _cross_combined(
    combiner: Combiner,
    logits: Sequence[Floats],
    labelled: Labelled,
    tests: Sequence[NDArray[np.bool_]],
) -> Floats:
    """Return probabilities of each label from a combiner that was fitted without its fold."""
    said, weight = labelled.said, labelled.weight
    told = np.empty((len(said), len(combiner.classes)))
    for test in tests:
        others = [some[~test] for some in logits]
        fitted = fit_combiner(
            combiner.method,
            others,
            said[~test],
            combiner.classes,
            combiner.kinds,
            weight[~test],
        )
        told[test] = fitted.log_probabilities([some[test] for some in logits])
    return told


def _assembled(
    plan: TrainingPlan,
    experts: dict[str, tuple[Expert, ...]],
    combiner: Combiner,
    context: Patches | None,
) -> Model:
    labelled, classes = plan.labelled, combiner.classes
    features = features_of(labelled.patches)
    known = fit_gaussians(features, labelled.said, classes)
    background = tuple(c for c in classes if c != plan.signal)
    seen = labelled.patches if context is None else context
    return Model(
        experts,
        combiner,
        plan.signal,
        plan.prior,
        known,
        fit_gaussians(features, labelled.said, background),
        _domain(labelled, known, seen, plan.training.left_out > 0),
        WorkingPoint.of_one(0.0, "even odds", "nothing"),
    )


def _domain(labelled: Labelled, known: Gaussians, seen: Patches, are_left_out: bool) -> Domain:
    """Return where a model may be used: what it was taught, and what is usual there.

    Parameters
    ----------
    seen : finds that stand for all.
    are_left_out : whether lights were left out in training.
    """
    usual, limit = _limits(known, seen)
    density = labelled.density_per_mm2[np.isfinite(labelled.density_per_mm2)]
    densest = float(_DENSER * np.percentile(density, 99)) if len(density) else None
    if seen.lights.are_planes:
        limits = {}
        given = given_of(seen)
        for word in patterns_of(given, with_less=are_left_out):
            wanted = np.array([float(c) for c in word], np.float32)
            some = np.flatnonzero((given >= wanted).all(1))
            pixels = with_given(seen.pixels[some], np.tile(wanted, (len(some), 1)))
            limits[word] = _limits(known, replace(seen.take(some), pixels=pixels))
        return Domain(labelled.recipe, None, densest, usual, limit, SCALES, limits)
    sizes = labelled.pixel_size_um[np.isfinite(labelled.pixel_size_um)]
    bounds = (
        (float(sizes.min() * (1 - _SCALE)), float(sizes.max() * (1 + _SCALE)))
        if len(sizes)
        else None
    )
    return Domain(labelled.recipe, bounds, densest, usual, limit)


def _limits(known: Gaussians, seen: Patches) -> tuple[float, float]:
    """Return ``usual`` and ``limit`` of finds that stand for all.

    Planes may be of foils of every kind, which differ more than the finds of one: what makes a scan
    foreign is then more than all but one foil in a hundred has.
    """
    distance = known.nearest(features_of(seen))
    usual, limit = np.percentile(distance, [99, 99.9]).tolist()
    if seen.lights.are_planes:
        groups = [distance[seen.region == r] for r in np.unique(seen.region)]
        of_foils = [np.quantile(d, 1 - FOREIGN) for d in groups if len(d) >= LEAST_FINDS]
        if of_foils:
            usual = max(usual, float(np.quantile(of_foils, 0.99)))
            limit = max(usual, limit)
    return usual, 2 * limit - usual


def _working_point(
    score: Floats, target: NDArray[np.bool_], weight: Floats, efficiency: float
) -> WorkingPoint:
    """Return the threshold that so much of the labelled signal reaches."""
    order = np.argsort(-score[target], kind="stable")
    reached = np.cumsum(weight[target][order])
    place = int(np.searchsorted(reached, efficiency * reached[-1] - 1e-9))
    threshold = float(score[target][order[min(place, len(order) - 1)]])

    def share(which: NDArray[np.bool_]) -> Proportion:
        passed = weight[which & (score >= threshold)].sum()
        return proportion(round(float(passed)), round(float(weight[which].sum())))

    p, false = share(target), share(~target)
    return WorkingPoint.of_one(
        threshold,
        f"efficiency {efficiency:g} on labels",
        f"{weight.sum():.0f} labels held out in cross-validation; "
        f"{false.successes} of {false.trials} others pass",
        (p.value, p.low, p.high),
    )
