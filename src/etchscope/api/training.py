"""From the labels of a store to patches, and from patches to a model."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pandas as pd

from etchscope.api.given import File, Region, as_polygon, require_name
from etchscope.api.kept import OfStore
from etchscope.api.train_report import TrainReport
from etchscope.foil import BadInput, Device, ModelNameTaken, Side, require_package
from etchscope.progress import Progress, watch

if TYPE_CHECKING:
    from etchscope.ensemble import ExpertKind
    from etchscope.learn import Training
    from etchscope.run.stages.training import Gathered

__all__ = ["LabelChoice", "TrainingSteps"]

_PATCH_PX = 28
"""Pixels per side of a patch unless another number is given."""


class LabelChoice(TypedDict, total=False):
    """Which labels of a store are taken; all unless given.

    ``scans``: of these scans. ``region``: inside this polygon. ``classes``: of these classes.
    ``who``: of these people. ``sources``: of a person, model or coincidence. ``alignment``: name
    of the one that gives how scans lie to each other. ``size``: pixels per side of a patch.
    """

    scans: Sequence[str] | None
    region: Region | None
    classes: Sequence[str] | None
    who: Sequence[str] | None
    sources: Sequence[str] | None
    alignment: str | None
    size: int | None


class TrainingSteps(OfStore):
    """What makes models from labels."""

    def train(
        self,
        name: str,
        training: "Training | None" = None,
        *,
        patches: File | None = None,
        signal: str | None = None,
        experts: Mapping[str, Any] | File | None = None,
        method: str = "stacked",
        prior: Mapping[str, float] | None = None,
        efficiency: float = 0.99,
        folds: int = 5,
        seed: int = 0,
        start: str | None = None,
        tune: int = 0,
        tuned: Callable[[pd.DataFrame], None] | None = None,
        counted: Callable[[Mapping[str, int]], None] | None = None,
        replace: bool = False,
        device: Device = "auto",
        progress: Progress = False,
        **labels: Unpack[LabelChoice],
    ) -> TrainReport:
        """Train a model on the store's labels, and keep it in the store.

        Parameters
        ----------
        name : of the model.
        training : how each expert is trained; by default on planes of any lights.
        patches : file that ``export_patches`` wrote; its patches replace the store's labels.
        signal : the class that is searched for; hip unless given.
        experts : name of an expert → two or more groups of classes, or a JSON file of that; one
            expert for each two classes unless given.
        method : how the votes of the experts are combined: stacked, highest, multiclass, or the
            name of a combiner that is installed.
        prior : class → share; equal shares unless given.
        efficiency : of labelled signal at the first working point, a share in (0, 1].
        folds : number of folds; each holds whole tiles.
        seed : of the weights, the order of the labels and the folds.
        start : model of the store whose weights the training begins with.
        tune : number of other trainings to try on the first expert beforehand.
        tuned : called once with the table of the trainings that were tried, the best first,
            before the experts are trained.
        counted : called once with the number of labels of each class, before the experts are
            trained.
        replace : replace the model of that name.
        device : where the experts are trained: cpu, cuda, or auto, which is the processor.
        labels : which labels, see ``LabelChoice``.

        Raises
        ------
        NoGpu : a GPU is asked for, and there is none.
        MissingExtra : PyTorch is not installed, or Optuna where ``tune`` is given.
        ModelNameTaken : another model has the name, and ``replace`` is false.
        UnknownModel : the store has no model to begin with.
        NotLabelled : there are no labels to train on.
        BadInput : a parameter has a value that it cannot have; nothing has been trained then.
        Busy : another process trains a model of that name.
        MachineFailed : the disk is full.
        """
        from etchscope.ensemble import Model, find_method
        from etchscope.learn import Training, choose_device
        from etchscope.run.stages.training import train
        from etchscope.run.tuning import count_experts

        self._require_free(name, replace=replace)
        choose_device(device)  # refuses a GPU that is not there
        if tune:
            require_package("optuna")
        kinds = _kinds_of(experts)
        if method != "multiclass":
            find_method(method, known=("multiclass",))
        begin = None if start is None else Model.from_record(*self.kept.models.load(start))
        training = training or Training(lights="any")
        with self._held(name, replace=replace):
            if patches is None:
                gathered = self._gather(labels, planes=training.lights == "any", progress=progress)
            else:
                gathered = self._read(Path(patches), labels)
            tried = None
            if tune:
                how: dict[str, Any] = {"seed": seed, "device": device, "progress": progress}
                training, tried = _tune(gathered, training, trials=tune, **how)
                if tuned is not None:
                    tuned(tried)
            networks = folds * count_experts(gathered.classes, kinds, method)
            with watch(progress, "Training", networks) as bar:
                done = train(
                    gathered,
                    training,
                    signal=signal,
                    kinds=kinds,
                    method=method,
                    prior=prior,
                    efficiency=efficiency,
                    folds=folds,
                    seed=seed,
                    start=begin,
                    device=device,
                    kept_in=self.kept.models.training_folder(name),
                    counted=counted,
                    progress=bar.advance,
                )
            self.kept.models.save(name, *done.model.to_record(), replace=replace)
        return TrainReport(name, done, gathered.left_out, tried)

    @contextmanager
    def _held(self, name: str, *, replace: bool) -> Iterator[None]:
        """Keep other trainings from the name of a model; refuse at once if one is at it."""
        with self.kept.hold(f"model-{name}", f"model {name}", wait=False):
            self._require_free(name, replace=replace)  # one may just have ended
            yield

    def _require_free(self, name: str, *, replace: bool) -> None:
        require_name(name, "name of a model")
        if name in self.kept.models.names() and not replace:
            raise ModelNameTaken("name of a model", "a name that no other model has", repr(name))

    def _gather(self, labels: LabelChoice, *, planes: bool, progress: Progress) -> "Gathered":
        from etchscope.run.stages.training import gather

        with watch(progress, "Cutting patches") as bar:
            return gather(
                self.kept,
                scans=labels.get("scans"),
                region=as_polygon(labels.get("region")),
                classes=labels.get("classes"),
                who=labels.get("who"),
                sources=labels.get("sources"),
                alignment=labels.get("alignment"),
                size=labels.get("size") or _PATCH_PX,
                planes=planes,
                total=bar.total,
                progress=bar.advance,
            )

    def _read(self, patches: Path, labels: LabelChoice) -> "Gathered":
        """Return the patches of a file, which is the only choice of labels."""
        from etchscope.files.patches import read_patches
        from etchscope.run.patch_arrays import arrays_to_gathered

        for key, value in labels.items():
            if key != "classes" and value is not None:
                raise BadInput(key, "no choice of labels beside patches", str(patches))
        classes = labels.get("classes")
        return arrays_to_gathered(self.kept, read_patches(patches), where=patches, classes=classes)

    def export_patches(
        self,
        path: File,
        *,
        foil: str | None = None,
        side: Side | None = None,
        planes: bool = True,
        progress: Progress = False,
        **labels: Unpack[LabelChoice],
    ) -> int:
        """Write the patches that a training learns from, and return how many there are.

        Parameters
        ----------
        path : file to write, .npz.
        foil, side : only labels on scans of these, in the place of ``scans``.
        planes : whether patches are of planes of any lights, or else of all lights as they are.
        labels : which labels, see ``LabelChoice``.

        Raises
        ------
        NotLabelled : there are no labels to train on.
        UnknownClass : the store's taxonomy has no such class.
        BadInput : another suffix, no scan of the foil and side, or a choice of labels that no
            label agrees with.
        MachineFailed : the disk is full.
        """
        from etchscope.files.patches import write_patches
        from etchscope.run.patch_arrays import gathered_to_arrays

        file = Path(path)
        if file.suffix.lower() != ".npz":  # which would fail after the patches are cut
            raise BadInput(file, "a name that ends in .npz", repr(file.suffix))
        if foil is not None or side is not None:
            labels["scans"] = self._scans_of(foil, side)
        gathered = self._gather(labels, planes=planes, progress=progress)
        arrays = gathered_to_arrays(self.kept, gathered)
        write_patches(file, arrays)
        return len(arrays["label"])

    def _scans_of(self, foil: str | None, side: Side | None) -> list[str]:
        scans = [self.kept.scans.get(name) for name in self.kept.injections.original_names()]
        names = [
            scan.name
            for scan in scans
            if (foil is None or scan.foil == foil) and (side is None or scan.side == side)
        ]
        if not names:
            wanted = " ".join(part for part in (foil, side) if part is not None)
            raise BadInput("foil and side", f"a scan of {wanted}", "none in the store")
        return names


def _tune(
    gathered: "Gathered", training: "Training", *, trials: int, progress: Progress, **how: Any
) -> "tuple[Training, pd.DataFrame]":
    """Return the best training for the first expert, and all that were tried."""
    from etchscope.run.tuning import first_kind, tune_training

    kind = first_kind(gathered.classes)
    with watch(progress, f"Trying on {kind.name}", trials) as bar:
        return tune_training(gathered, training, trials=trials, **how, progress=bar.advance)


def _kinds_of(experts: Mapping[str, Any] | File | None) -> "tuple[ExpertKind, ...] | None":
    from etchscope.ensemble import read_kinds
    from etchscope.files.strict_json import read_json

    if experts is None:
        return None
    if isinstance(experts, str | os.PathLike):
        return read_kinds(read_json(Path(experts)), where=str(experts))
    return read_kinds(experts, where="experts")
