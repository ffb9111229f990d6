"""Training of a model: experts over folds, and their combination from held-out labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

from etchscope.ensemble.calibration import AS_TRAINED
from etchscope.ensemble.combine import Combiner, fit_combiner
from etchscope.ensemble.domain import FOREIGN, LEAST_FINDS, Domain
from etchscope.ensemble.gaussians import Gaussians, fit_gaussians
from etchscope.ensemble.kinds import ExpertKind
from etchscope.ensemble.labelled import Labelled
from etchscope.ensemble.model import Model
from etchscope.ensemble.plan import TrainingPlan, train_member
from etchscope.ensemble.point import WorkingPoint
from etchscope.evaluation import Proportion, proportion
from etchscope.foil.types import Floats
from etchscope.learn import (
    SCALES,
    CrossValidation,
    Expert,
    Patches,
    list_patterns,
    mask_planes,
    measure_features,
    read_given,
)

__all__ = ["TrainedModel", "assemble_model", "train_model"]

_SCALE = 0.15
"""Greatest relative deviation from the pixel sizes of the training for which a model is valid."""
_DENSER = 1.5
"""Greatest density for which a model is valid, as a multiple of the density that 99 % of its labels
have at most."""


@dataclass(frozen=True)
class TrainedModel:
    """A model, and its results on held-out labels.

    Attributes
    ----------
    model : the trained model.
    labelled : the n labels that it was trained on.
    logits : expert → (n,) or (n, groups), each label by the expert that held it out.
    log_probabilities : (n, k) at equal shares; the combiner, too, is fitted without the label's
        fold.
    score : (n,) score of these, and of the geometry of pairs.
    validation : expert → cross-validation on the labels of its own classes.
    """

    model: Model
    labelled: Labelled
    logits: dict[str, Floats]
    log_probabilities: Floats
    score: Floats
    validation: dict[str, CrossValidation]


def train_model(
    plan: TrainingPlan,
    *,
    context: Patches | None = None,
    progress: Callable[[int], None] | None = None,
) -> TrainedModel:
    """Return the model of a plan, whose experts are trained one after the other.

    Each fold of regions is held out once. The combiner, the first working point and all figures
    come from held-out labels. The model uses the mean of the experts of all folds.

    Parameters
    ----------
    plan : see ``plan_training``.
    context : patches of any finds on the tiles of the labels, which show what is usual there; by
        default those of the labels, although labels may be a choice of clear pits.
    progress : called with 1 after each expert.

    Raises
    ------
    BadInput : see ``train_member``.
    """
    experts = []
    for kind, fold in plan.members:
        experts.append(train_member(plan, kind, fold))
        if progress is not None:
            progress(1)
    return assemble_model(plan, experts, context)


def assemble_model(
    plan: TrainingPlan, trained: Sequence[Expert], context: Patches | None
) -> TrainedModel:
    """Return the model of the trained experts of a plan.

    Parameters
    ----------
    plan : see ``plan_training``.
    trained : experts in the order of ``plan.members``.
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
        plan.method, each, labelled.label, plan.classes, plan.kinds, labelled.weight
    )
    combined = _cross_combined(combiner, each, labelled, plan.tests)
    model = _assembled(plan, experts, combiner, context)
    score = model.score(combined)
    if labelled.evidence is not None:
        score = score + AS_TRAINED.weights["pair"] * labelled.evidence
    is_signal = labelled.label == plan.signal
    point = _working_point(score, is_signal, labelled.weight, plan.efficiency)
    return TrainedModel(model.at(point), labelled, logits, combined, score, validation)


def _held_out(plan: TrainingPlan, members: Sequence[Expert]) -> Floats:
    """Return the logits of all labels, each by the expert that held it out."""
    patches = plan.labelled.patches
    of_folds = [
        expert.scores(patches.take(test), device=plan.device)
        for expert, test in zip(members, plan.tests, strict=True)
    ]
    logits = np.full((len(patches), *of_folds[0].shape[1:]), np.nan)
    for test, values in zip(plan.tests, of_folds, strict=True):
        logits[test] = values
    return logits


def _validation(
    plan: TrainingPlan, kind: ExpertKind, members: Sequence[Expert], logits: Floats
) -> CrossValidation:
    labelled, seed = plan.labelled, plan.seed
    used = np.isin(labelled.label, kind.classes)
    target = kind.target(labelled.label[used])
    decided = logits > 0 if logits.ndim == 1 else logits.argmax(1)
    rows = []
    for fold, (expert, test) in enumerate(zip(members, plan.tests, strict=True)):
        here = used & test
        figure = balanced_accuracy_score(kind.target(labelled.label[here]), decided[here])
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
    return CrossValidation(logits[used][None], target, pd.DataFrame(rows), histories)


def _cross_combined(
    combiner: Combiner,
    logits: Sequence[Floats],
    labelled: Labelled,
    tests: Sequence[NDArray[np.bool_]],
) -> Floats:
    """Return (n, k) log probabilities, each by a combiner fitted without the fold of the label."""
    label, weight = labelled.label, labelled.weight
    log_p = np.empty((len(label), len(combiner.classes)))
    for test in tests:
        others = [some[~test] for some in logits]
        fitted = fit_combiner(
            combiner.method,
            others,
            label[~test],
            combiner.classes,
            combiner.kinds,
            weight[~test],
        )
        log_p[test] = fitted.log_probabilities([some[test] for some in logits])
    return log_p


def _assembled(
    plan: TrainingPlan,
    experts: dict[str, tuple[Expert, ...]],
    combiner: Combiner,
    context: Patches | None,
) -> Model:
    labelled, classes = plan.labelled, combiner.classes
    features = measure_features(labelled.patches)
    known = fit_gaussians(features, labelled.label, classes)
    background = tuple(c for c in classes if c != plan.signal)
    seen = labelled.patches if context is None else context
    return Model(
        experts,
        combiner,
        plan.signal,
        plan.prior,
        known,
        fit_gaussians(features, labelled.label, background),
        _domain(labelled, known, seen, plan.training.left_out > 0),
        WorkingPoint.of_one(0.0, "even odds", "nothing"),
    )


def _domain(labelled: Labelled, known: Gaussians, seen: Patches, are_left_out: bool) -> Domain:
    """Return the domain of a model.

    Parameters
    ----------
    seen : patches that represent all finds.
    are_left_out : whether lights were left out in training.
    """
    usual, limit = _limits(known, seen)
    density = labelled.density_per_mm2[np.isfinite(labelled.density_per_mm2)]
    densest = float(_DENSER * np.percentile(density, 99)) if len(density) else None
    if seen.lights.are_planes:
        limits = {}
        given = read_given(seen)
        for word in list_patterns(given, with_less=are_left_out):
            wanted = np.array([float(c) for c in word], np.float32)
            some = np.flatnonzero((given >= wanted).all(1))
            pixels = mask_planes(seen.pixels[some], np.tile(wanted, (len(some), 1)))
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
    """Return ``usual`` and ``limit`` of a domain from patches that represent all finds.

    Planes may come from foils of every kind, which differ more than the finds of one foil. Then a
    scan is foreign if it has more unusual pits than 99 % of the foils.
    """
    distance = known.nearest(measure_features(seen))
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
    """Return the working point that a given share of the labelled signal passes."""
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
