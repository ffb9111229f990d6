"""Train a model on the labels of a store."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from etchscope.ensemble import (
    MISC,
    ExpertKind,
    Labelled,
    Model,
    TrainedModel,
    check_prior,
    default_kinds,
    multiclass_kind,
    plan_training,
)
from etchscope.evaluation import proportion
from etchscope.foil import BadInput, Device
from etchscope.foil.types import Floats
from etchscope.learn import Patches, Training, audit_labels
from etchscope.run.classes import classes_to_train, require_decidable
from etchscope.run.labelled import LeftOut, labelled_pits
from etchscope.run.patches import context_patches, labelled_patches
from etchscope.run.stages.experts import train_experts
from etchscope.store import Store

__all__ = ["Gathered", "audited", "gather", "train"]


@dataclass(frozen=True)
class Gathered:
    """The patches of labels to train on.

    Parameters
    ----------
    labelled : the patches with their labels.
    classes : the decidable classes that have labels, in the taxonomy's order.
    context : a sample of all finds on the tiles of the labels.
    left_out : numbers of labels that are not used.
    chosen : the people ("who") and kinds ("source") of labels, where only some were asked for.
    """

    labelled: Labelled
    classes: tuple[str, ...]
    context: Patches
    left_out: LeftOut
    chosen: Mapping[str, list[str]]


def gather(
    store: Store,
    *,
    scans: Sequence[str] | None = None,
    region: Floats | None = None,
    classes: Sequence[str] | None = None,
    who: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
    alignment: str | None = None,
    size: int = 28,
    planes: bool = False,
    total: Callable[[int], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Gathered:
    """Return the patches of a store's labels.

    Parameters
    ----------
    scans, region, who, sources, alignment : see ``labelled_pits``.
    classes : classes to train on; all decidable classes with labels unless given.
    size : side of the patches, px.
    planes : whether patches are of planes, for a model that takes any lights.
    total : called once with the number of tiles.
    progress : called with 1 after each tile.

    Raises
    ------
    UnknownClass : a class that the taxonomy lacks.
    BadInput : an undecidable class, or only one class with labels; or see ``labelled_pits`` and
        ``labelled_patches``.
    """
    taxonomy = store.labels.taxonomy()
    require_decidable(taxonomy, classes or ())
    pits, left_out = labelled_pits(
        store, scans=scans, region=region, who=who, sources=sources, alignment=alignment
    )
    said = {c for one in pits for c in one.table["said"].tolist()}
    chosen = classes_to_train(taxonomy, said, classes)
    if total is not None:
        total(sum(one.table["tile"].nunique() for one in pits))
    labelled = labelled_patches(store, pits, size=size, planes=planes, progress=progress)
    context = context_patches(store, pits, size=size, planes=planes)
    asked = {"who": list(who or ()), "source": list(sources or ())}
    return Gathered(labelled, chosen, context, left_out, {k: v for k, v in asked.items() if v})


def train(
    gathered: Gathered,
    training: Training,
    *,
    signal: str | None = None,
    kinds: Sequence[ExpertKind] | None = None,
    method: str = "stacked",
    prior: Mapping[str, float] | None = None,
    efficiency: float = 0.99,
    folds: int = 5,
    seed: int = 0,
    start: Model | None = None,
    device: Device = "auto",
    kept_in: Path | None = None,
    counted: Callable[[Mapping[str, int]], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> TrainedModel:
    """Return a model with its card filled in; see ``ensemble.plan_training``.

    With a folder for finished experts, a training that was killed goes on with the others when it
    is repeated with the same labels and parameters; the model is the same to the byte.

    Parameters
    ----------
    signal : the class that is searched for; hip where there is one, else the first that is not
        misc.
    device : where the experts are trained; auto means the processor.
    kept_in : where finished experts are kept until the model is registered, see
        ``store.models.training_folder``; nowhere unless given.
    counted : called once with the number of labels of each class, before the first expert.

    Raises
    ------
    BadInput : see ``ensemble.plan_training``; a start without the experts or the folds.
    MachineFailed : the disk is full.
    """
    classes = gathered.classes
    _require_usable(prior, efficiency, classes)
    if start is not None:
        _require_start(start, _names(classes, kinds, method), folds)
    if signal is None:
        signal = "hip" if "hip" in classes else next(c for c in classes if c != MISC)
    plan = plan_training(
        gathered.labelled,
        training,
        classes=classes,
        signal=signal,
        kinds=kinds,
        method=method,
        prior=prior,
        efficiency=efficiency,
        count=folds,
        seed=seed,
        start=start,
        device=device,
    )
    if counted is not None:
        counted(_count_labels(plan.labelled, plan.classes))
    done = train_experts(plan, gathered.context, kept_in=kept_in, progress=progress)
    information = _information(done, folds, seed) | _information_of_data(gathered)
    if start is not None:
        information |= _information_of_start(start, information)
    return replace(done, model=replace(done.model, information=information))


def _require_usable(
    prior: Mapping[str, float] | None, efficiency: float, classes: Sequence[str]
) -> None:
    """Refuse at once what would be refused after hours of training."""
    if prior is not None:
        check_prior(prior, classes)
    if not 0 < efficiency <= 1:
        raise BadInput("working point: efficiency", "above 0, at most 1", f"{efficiency:g}")


def _information_of_data(gathered: Gathered) -> dict[str, Any]:
    """Return the entries of the card on labels that were left out or chosen."""
    conflicts = {"label_conflicts": gathered.left_out.conflicts}
    return conflicts | ({"labels_of": dict(gathered.chosen)} if gathered.chosen else {})


def _information_of_start(start: Model, information: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of the card on the labels that the first model was trained on."""
    before = start.information
    scans = sorted({*before.get("scans", []), *before.get("start_scans", [])})
    saw = _saw(start, {**information, "start_scans": scans})
    return {"start_scans": scans, "start_saw": saw}


def _names(classes: Sequence[str], kinds: Sequence[ExpertKind] | None, method: str) -> list[str]:
    """Return the names of the experts to be trained."""
    if method == "multiclass":
        return [multiclass_kind(classes).name]
    return [kind.name for kind in kinds or default_kinds(classes)]


def _require_start(start: Model, names: Sequence[str], folds: int) -> None:
    for name in names:
        there = start.experts.get(name, ())
        if len(there) < folds:
            expected = f"a model with an expert {name} of {folds} folds"
            found = f"{len(there)} folds" if there else f"experts {', '.join(start.experts)}"
            raise BadInput("model to start from", expected, found)


def _saw(start: Model, information: Mapping[str, Any]) -> list[str]:
    """Return the scans whose held-out labels a model to start from may have been trained on.

    Where it was trained on the same labels in the same folds, only those that the models before it
    had seen.
    """
    same = ("label_ids_sha256", "regions_sha256", "folds", "seed")
    seen = set(start.information.get("start_saw", []))
    if any(start.information.get(key) != information[key] for key in same):
        seen |= set(information["start_scans"])
    return sorted(seen & set(information["scans"]))


def _information(done: TrainedModel, folds: int, seed: int) -> dict[str, Any]:
    """Return the entries of the card on data and figures."""
    source = done.labelled.source
    ids, regions = source["id"].astype(str).tolist(), done.labelled.patches.region.tolist()
    figures = {}
    for name, validation in done.validation.items():
        rows = validation.trainings
        figures[name] = {
            "balanced_accuracy": round(float(validation.balanced_accuracy.mean()), 5),
            "of_folds": [round(v, 5) for v in rows["balanced_accuracy"]],
            "failed": int(rows["failed"].sum()),
        }
    k = done.log_probabilities.argmax(1)
    right = sum(done.model.classes[i] == c for i, c in zip(k, done.labelled.label, strict=True))
    return {
        "etchscope": version("etchscope"),
        "labels": _count_labels(done.labelled, done.model.classes),
        "scans": sorted(source["scan"].astype(str).unique().tolist()),
        "tiles": len(source[["scan", "tile"]].drop_duplicates()),
        "label_ids_sha256": _digest_of(ids),
        "regions_sha256": _digest_of([f"{i} {r}" for i, r in zip(ids, regions, strict=True)]),
        "folds": folds,
        "seed": seed,
        "experts": figures,
        "decided_right": proportion(right, len(k)).to_dict(),
    }


def _count_labels(labelled: Labelled, classes: Sequence[str]) -> dict[str, int]:
    """Return the number of labels of each class; one that several scans show counts once."""
    return {c: round(float(labelled.weight[labelled.label == c].sum())) for c in classes}


def _digest_of(ids: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def audited(done: TrainedModel) -> pd.DataFrame:
    """Return the labels that are probably wrong with their places, the worst first.

    Columns of ``learn.audit_labels`` without ``row``, then ``scan, tile, x_px, y_px, id``.
    """
    p = np.exp(done.log_probabilities)
    table = audit_labels(done.labelled.label, p, list(done.model.classes))
    where = done.labelled.source.reset_index(drop=True).iloc[table["row"]].reset_index(drop=True)
    return pd.concat([table.drop(columns="row"), where], axis=1)
