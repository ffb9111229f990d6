"""From labels to a model, and from a foil whose signal is known to probabilities and thresholds."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pandas as pd

from etchscope.api.given import (
    File,
    Region,
    Table,
    as_polygon,
    as_table,
    name_of_table,
    require_name,
)
from etchscope.api.kept import OfStore
from etchscope.foil import BadInput, Device, ModelNameTaken
from etchscope.progress import Progress, watch, watch_steps

if TYPE_CHECKING:
    from etchscope.ensemble import Calibration, ExpertKind, TrainedModel
    from etchscope.learn import Training
    from etchscope.run.labelled import LeftOut
    from etchscope.run.stages.train import Gathered
    from etchscope.run.working_point import ChosenPoint

__all__ = ["LabelChoice", "TrainReport", "TrainingSteps", "train_experts", "train_finder"]

_PATCH_PX = 28


class LabelChoice(TypedDict, total=False):
    """Which labels of a store are taken; all unless given.

    ``scans``: of these scans. ``region``: inside this polygon. ``classes``: of these classes.
    ``who``: of these people. ``sources``: of a person, model or coincidence. ``alignment``: name
    of the one that says how scans lie to each other. ``size``: pixels per side of a patch.
    """

    scans: Sequence[str] | None
    region: Region | None
    classes: Sequence[str] | None
    who: Sequence[str] | None
    sources: Sequence[str] | None
    alignment: str | None
    size: int | None


@dataclass(frozen=True)
class TrainReport:
    """What a training did.

    ``name``: of the model in the store. ``trained``: the model, and what its experts said of the
    labels that each had not seen. ``left_out``: labels that taught nothing. ``tried``: the
    trainings that were tried beforehand, the best first.
    """

    name: str
    trained: "TrainedModel"
    left_out: "LeftOut"
    tried: pd.DataFrame | None = None

    @property
    def experts(self) -> pd.DataFrame:
        """How well each expert judges labels that it has not seen, one row per expert.

        Columns: ``expert, balanced_accuracy``, ``lowest`` and ``highest`` of the folds, and
        ``failed`` trainings.
        """
        figures = self.trained.model.information["experts"]
        rows = [
            {
                "expert": name,
                "balanced_accuracy": one["balanced_accuracy"],
                "lowest": min(one["of_folds"]),
                "highest": max(one["of_folds"]),
                "failed": one["failed"],
            }
            for name, one in figures.items()
        ]
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        """Return the experts as a table, for a notebook."""
        point = self.trained.model.working_point
        value, low, high = (100 * v for v in point.efficiency)
        said = f"efficiency {value:.1f} % [{low:.1f}, {high:.1f}] on {point.measured_on}"
        shown: str = self.experts.round(4).to_html(index=False)
        return f"<h4>{self.name}</h4>{shown}<p>working point: {point.in_words}, {said}</p>"

    def list_wrong_labels(self) -> pd.DataFrame:
        """Return the labels that are probably wrong, the worst first, and where they are."""
        from etchscope.run.stages.train import audited

        return audited(self.trained)

    def write(self, folder: File) -> Path:
        """Write a page with figures of the training, and return it.

        Raises
        ------
        BadInput : the folder is a file.
        MachineFailed : the disk is full.
        """
        from etchscope.pages.training import write_training

        return write_training(self.trained, Path(folder))


class TrainingSteps(OfStore):
    """What makes models from labels, and makes them right for a kind of foil."""

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
        patches : file that ``export_patches`` wrote, in the place of the store's labels.
        signal : the class that is searched for; hip unless given.
        experts : expert → two or more groups of classes, or a JSON file of that; one expert for
            each two classes unless given.
        method : how the experts' votes are combined: stacked, highest, multiclass, or the name of
            a combiner that is installed.
        prior : class → share; equal shares unless given.
        efficiency : for labelled signal at the first working point.
        folds : each holds whole tiles.
        seed : of the weights, the order of the labels and the folds.
        start : model of the store to begin with.
        tune : how many other trainings to try on the first expert beforehand.
        replace : replace the model of that name.
        device : where the experts are trained: cpu, cuda, or auto, which is the processor.
        labels : which labels, see ``LabelChoice``.

        Raises
        ------
        NoGpu : a GPU is asked for, and there is none.
        ModelNameTaken : another model has the name, and ``replace`` is false.
        UnknownModel : the store has no model to begin with.
        NotLabelled : no labels that could teach.
        BadInput : what is given cannot be; known before the training begins.
        MachineFailed : the disk is full.
        """
        from etchscope.ensemble import Model
        from etchscope.learn import Training, device_of
        from etchscope.run.stages.train import train
        from etchscope.run.tuning import count_experts, tune_training

        self._require_free(name, replace=replace)
        device_of(device)  # refuses a GPU that is not there
        kinds = _kinds_of(experts)
        begin = None if start is None else Model.from_record(*self.kept.models.load(start))
        training = training or Training(lights="any")
        if patches is None:
            gathered = self._gather(labels, planes=training.lights == "any", progress=progress)
        else:
            gathered = self._read(Path(patches), labels)
        tried = None
        if tune:
            with watch(progress, "Trying other trainings", tune) as bar:
                training, tried = tune_training(
                    gathered,
                    training,
                    trials=tune,
                    seed=seed,
                    device=device,
                    progress=bar.advance,
                )
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
                progress=bar.advance,
            )
        self.kept.models.save(name, *done.model.to_record(), replace=replace)
        return TrainReport(name, done, gathered.left_out, tried)

    def _require_free(self, name: str, *, replace: bool) -> None:
        require_name(name, "name of a model")
        if name in self.kept.models.names() and not replace:
            raise ModelNameTaken("name of a model", "a name that no other model has", repr(name))

    def _gather(self, labels: LabelChoice, *, planes: bool, progress: Progress) -> "Gathered":
        from etchscope.run.stages.train import gather

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
        """Return the patches of a file; refuse what chooses labels beside it."""
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
        planes: bool = True,
        progress: Progress = False,
        **labels: Unpack[LabelChoice],
    ) -> int:
        """Write the patches that a training learns from, and return how many there are.

        Parameters
        ----------
        path : .npz.
        planes : whether patches are of planes of any lights, or else of all lights as they are.
        labels : which labels, see ``LabelChoice``.

        Raises
        ------
        NotLabelled : no labels that could teach.
        BadInput : another suffix, or a choice of labels that cannot be.
        MachineFailed : the disk is full.
        """
        from etchscope.files.patches import write_patches
        from etchscope.run.patch_arrays import gathered_to_arrays

        file = Path(path)
        if file.suffix.lower() != ".npz":  # which would fail after the patches are cut
            raise BadInput(file, "a name that ends in .npz", repr(file.suffix))
        gathered = self._gather(labels, planes=planes, progress=progress)
        arrays = gathered_to_arrays(self.kept, gathered)
        write_patches(file, arrays)
        return len(arrays["label"])

    def calibrate(
        self, name: str, truth: Table | Mapping[str, Table], *, tolerance_px: float = 6.0
    ) -> "Calibration":
        """Fit how much each measure of a candidate says about signal on one kind of foil.

        Afterwards the probabilities of the model come true on such foils. Its working point
        belonged to the earlier scores: run again, and choose a new one.

        Parameters
        ----------
        name : of the model, which must have scored the scans.
        truth : table of all true signal of the only scan that was scored, or scan → table.
        tolerance_px : a candidate closer than this to a true opening is true.

        Raises
        ------
        UnknownModel, UnknownScan : the store has no such model or scan.
        NotScored : the model did not score a scan.
        BadInput : a table without the signal or its places, or too few candidates.
        """
        from etchscope.ensemble import Model
        from etchscope.run.calibrate import KnownRun, calibrated
        from etchscope.run.results import find_run_of_model

        model = Model.from_record(*self.kept.models.load(name))
        tables = truth.items() if isinstance(truth, Mapping) else [(None, truth)]
        known = [
            KnownRun(
                find_run_of_model(self.kept, name, scan=scan),
                as_table(table),
                name_of_table(table, "truth"),
            )
            for scan, table in tables
        ]
        done = calibrated(self.kept, model, known, tolerance_px=tolerance_px)
        self.kept.models.save(name, *done.to_record(), replace=True)
        return done.calibration

    def choose_working_point(
        self,
        name: str,
        truth: Table,
        *,
        scan: str | None = None,
        efficiency: float | None = None,
        false_per_tile: float | None = None,
        measure_on: Table | None = None,
        measure_scan: str | None = None,
        tolerance_px: float = 6.0,
    ) -> "ChosenPoint":
        """Choose a model's working point on a scored scan whose signal is known, and keep it.

        Parameters
        ----------
        name : of the model, which must have scored the scan.
        truth : table of all true signal of the scan.
        scan : that the model scored; the only one unless given.
        efficiency, false_per_tile : what is asked for, one of them.
        measure_on, measure_scan : all true signal of another scored scan, and its name, on which
            the figures are measured; by default thresholds chosen on one half of the tiles are
            measured on the other half.
        tolerance_px : a candidate closer than this to a true opening is true.

        Raises
        ------
        UnknownModel, UnknownScan : the store has no such model or scan.
        NotScored : the model did not score a scan.
        BadInput : neither or both figures asked for, the same scan twice, only one of the two
            parameters of another scan, or a table without the signal or its places.
        """
        from etchscope.evaluation import Requirement
        from etchscope.run.working_point import KnownScan, choose_working_point

        other = None
        if measure_on is not None and measure_scan is not None:
            where = name_of_table(measure_on, "truth to measure on")
            other = KnownScan(as_table(measure_on), where, measure_scan)
        elif measure_on is not None or measure_scan is not None:
            expected = "a table together with the name of its scan"
            raise BadInput("truth to measure on", expected, "one of them")
        return choose_working_point(
            self.kept,
            name,
            Requirement(efficiency, false_per_tile),
            KnownScan(as_table(truth), name_of_table(truth, "truth"), scan),
            measure_on=other,
            tolerance_px=tolerance_px,
        )


def _kinds_of(experts: Mapping[str, Any] | File | None) -> "tuple[ExpertKind, ...] | None":
    from etchscope.ensemble import kinds_of
    from etchscope.files.strict_json import read_json

    if experts is None:
        return None
    if isinstance(experts, str | os.PathLike):
        return kinds_of(read_json(Path(experts)), where=str(experts))
    return kinds_of(experts, where="experts")


def train_experts(
    folder: File,
    work: File,
    *,
    pictures: int | None = None,
    seed: int = 0,
    device: Device = "auto",
    progress: Progress = False,
) -> dict[str, Any]:
    """Train experts on simulated foils of every kind, without a store, and return their card.

    Parameters
    ----------
    folder : new, for the model.
    work : for the pictures; what is there already is gone on from.
    pictures : random foils to draw; 2560 unless given.
    device : where experts are trained: cpu, cuda, or auto, which is the processor.

    Raises
    ------
    BadInput : ``folder`` holds something.
    MachineFailed : the disk is full.
    """
    from etchscope.run.experts import ExpertsPlan, trained_experts

    plan = ExpertsPlan()
    if pictures is not None:
        plan = replace(plan, pictures=pictures, judged=max(pictures // 4, 1))
    with watch_steps(progress) as step:
        return trained_experts(
            Path(work), Path(folder), plan, seed=seed, device=device, progress=step
        )


def train_finder(
    folder: File,
    work: File,
    *,
    store: OfStore | None = None,
    start: File | None = None,
    pictures: int | None = None,
    seed: int = 0,
    device: Device = "auto",
    progress: Progress = False,
) -> dict[str, Any]:
    """Train a finder on simulated foils, and on the labels of a store, and return its card.

    Parameters
    ----------
    folder : new, for the weights.
    work : for the pictures; what is there already is gone on from.
    store : whose labels teach besides the foils.
    start : folder of a finder's weights to begin with; with a store the package's own unless
        given.
    pictures : random foils to draw; 12000 unless given, or 512 with a store.
    device : where it is trained: cpu, cuda, or auto, which is a GPU where there is one.

    Raises
    ------
    NotLabelled : the store has no labels that could teach.
    BadInput : ``folder`` holds something, or ``start`` is no finder.
    MachineFailed : the disk is full.
    """
    from etchscope.run.finder import SHIPPED, TUNING, FinderPlan, trained_finder
    from etchscope.run.labelled_ground import labelled_samples

    begin = None if start is None else Path(start)
    if begin is not None and not begin.is_dir():
        raise BadInput("finder to begin with", "the folder of a finder's weights", repr(str(start)))
    plan, labelled = FinderPlan(), []
    if store is not None:
        plan, begin = FinderPlan(pictures=512, judged=256, training=TUNING), begin or SHIPPED
        labelled = labelled_samples(store.kept)
    plan = replace(plan, training=replace(plan.training, seed=seed))
    if pictures is not None:
        plan = replace(plan, pictures=pictures, judged=max(pictures // 8, 1))
    with watch_steps(progress) as step:
        return trained_finder(
            Path(work),
            Path(folder),
            plan,
            start=begin,
            labelled=labelled,
            device=device,
            progress=step,
        )
