"""Training of a model: experts over folds, and what combines them, from held-out labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

from etchscope.ensemble.calibration import AS_TAUGHT
from etchscope.ensemble.combine import Combiner, find_method, fit_combiner
from etchscope.ensemble.gaussians import Gaussians, fit_gaussians
from etchscope.ensemble.kinds import ExpertKind, default_kinds, multiclass_kind, require_known
from etchscope.ensemble.model import FOREIGN, LEAST_FINDS, Domain, Model
from etchscope.ensemble.point import WorkingPoint
from etchscope.ensemble.prior import checked_prior
from etchscope.evaluation import Proportion, proportion
from etchscope.foil import BadInput, Device
from etchscope.foil.types import Floats, Ints
from etchscope.learn import (
    SCALES,
    CrossValidation,
    Expert,
    Patches,
    Training,
    features_of,
    folds,
    given_of,
    patterns_of,
    train_expert,
    with_given,
)

__all__ = ["Labelled", "TrainedModel", "train_model"]

_SCALE = 0.15
"""Pixel sizes within this of those trained with are the same optics."""
_DENSER = 1.5
"""A model is used up to so many times the density that 99 % of its labels have."""


@dataclass(frozen=True)
class Labelled:
    """Patches of labels.

    ``said``: (n,) class. ``density_per_mm2``: (n,) of pits around each, nan where unknown.
    ``recipe``: digest of the normalisation's recipe. ``pixel_size_um``: (n,), nan where unknown.
    ``source``: n rows that say where each comes from, as ``scan, tile, x_px, y_px, id``.
    ``evidence``: (n,) of ``pair_evidence``, 0 for all unless given. ``share``: (n,) of its
    label, which other scans may show too; 1 for all unless given.
    """

    patches: Patches
    said: NDArray[np.str_]
    density_per_mm2: Floats
    recipe: str
    pixel_size_um: Floats
    source: pd.DataFrame
    evidence: Floats | None = None
    share: Floats | None = None

    @property
    def weight(self) -> Floats:
        """By how much each counts, so that every label counts once, (n,)."""
        return np.ones(len(self.said)) if self.share is None else self.share

    def take(self, which: NDArray[np.bool_] | Ints) -> "Labelled":
        """Return some of them."""
        return Labelled(
            self.patches.take(which),
            self.said[which],
            self.density_per_mm2[which],
            self.recipe,
            self.pixel_size_um[which],
            self.source[which] if which.dtype == np.bool_ else self.source.iloc[which],
            None if self.evidence is None else self.evidence[which],
            None if self.share is None else self.share[which],
        )


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
    tests = list(folds(labelled.patches.region, labelled.said, count, seed))
    experts: dict[str, tuple[Expert, ...]] = {}
    logits: dict[str, Floats] = {}
    validation = {}
    for kind in kinds:
        members, said = _cross_trained(
            labelled, kind, training, tests, seed, start, device, progress
        )
        experts[kind.name], logits[kind.name] = members, said
        validation[kind.name] = _validation(labelled, kind, members, said, tests, seed)
    each = list(logits.values())
    combiner = fit_combiner(how, each, labelled.said, classes, kinds, labelled.weight)
    told = _cross_combined(combiner, each, labelled, tests)
    lessons = training.left_out > 0
    model = _assembled(labelled, experts, combiner, signal, shares, context, lessons)
    score = model.score(told)
    if labelled.evidence is not None:
        score = score + AS_TAUGHT.weights["pair"] * labelled.evidence
    model = model.at(_working_point(score, labelled.said == signal, labelled.weight, efficiency))
    return TrainedModel(model, labelled, logits, told, score, validation)


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


def _cross_trained(
    labelled: Labelled,
    kind: ExpertKind,
    training: Training,
    tests: Sequence[NDArray[np.bool_]],
    seed: int,
    start: Model | None,
    device: Device,
    progress: Callable[[int], None] | None,
) -> tuple[tuple[Expert, ...], Floats]:
    """Return an expert a fold, and the logits of all labels from the expert that held them out."""
    patches, count = labelled.patches, len(tests)
    taught = np.isin(labelled.said, kind.classes)
    members, logits = [], None
    begins = (None,) if start is None else start.experts[kind.name]
    for fold, test in enumerate(tests):
        used = patches.take(taught & ~test)
        target = kind.target(labelled.said[taught & ~test])
        weight = labelled.weight[taught & ~test]
        held = next(folds(used.region, target, count, seed + 1))
        begin = begins[fold % len(begins)]
        expert = train_expert(
            used,
            target,
            training,
            validation=held,
            seed=100 * seed + fold,
            start=begin,
            weight=weight,
            device=device,
        )
        said = expert.scores(patches.take(test), device=device)
        if logits is None:
            logits = np.full((len(patches), *said.shape[1:]), np.nan)
        logits[test] = said
        members.append(expert)
        if progress is not None:
            progress(1)
    return tuple(members), np.asarray(logits)


def _validation(
    labelled: Labelled,
    kind: ExpertKind,
    members: Sequence[Expert],
    logits: Floats,
    tests: Sequence[NDArray[np.bool_]],
    seed: int,
) -> CrossValidation:
    taught = np.isin(labelled.said, kind.classes)
    target = kind.target(labelled.said[taught])
    decided = logits > 0 if logits.ndim == 1 else logits.argmax(1)
    rows = []
    for fold, (expert, test) in enumerate(zip(members, tests, strict=True)):
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
    labelled: Labelled,
    experts: dict[str, tuple[Expert, ...]],
    combiner: Combiner,
    signal: str,
    shares: dict[str, float],
    context: Patches | None,
    are_left_out: bool,
) -> Model:
    classes, features = combiner.classes, features_of(labelled.patches)
    known = fit_gaussians(features, labelled.said, classes)
    seen = labelled.patches if context is None else context
    background = tuple(c for c in classes if c != signal)
    point = WorkingPoint.of_one(0.0, "even odds", "nothing")
    return Model(
        experts,
        combiner,
        signal,
        shares,
        known,
        fit_gaussians(features, labelled.said, background),
        _domain(labelled, known, seen, are_left_out),
        point,
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
