"""Models of a store: list, show, hand on, calibrate, choose a working point."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from etchscope.api.given import File, Table, as_table, name_of_table
from etchscope.api.kept import OfStore
from etchscope.files.atomic import write_aside
from etchscope.foil import BadInput, Device, NotSearched
from etchscope.progress import Progress, watch_steps

if TYPE_CHECKING:
    from etchscope.ensemble import Calibration, Resemblance, WorkingPoint
    from etchscope.run.working_point import ChosenPoint

__all__ = ["ModelSteps", "read_working_point"]

_COLUMNS = ("name", "classes", "method", "labels", "chosen_by", "weights_sha256")


def read_working_point(card: Mapping[str, Any]) -> "WorkingPoint":
    """Return the working point of a model's card."""
    from etchscope.ensemble import WorkingPoint

    return WorkingPoint.from_record(card["working_point"])


class ModelSteps(OfStore):
    """What is done with models."""

    def models(self) -> pd.DataFrame:
        """Return one row per model.

        Columns: ``name, classes, method, labels`` (class → number), ``chosen_by`` (how the working
        point was chosen), ``weights_sha256``.
        """
        rows = []
        for name in self.kept.models.names():
            card = self.card(name)
            classes = card.get("classes", [])
            labels = card.get("information", {}).get("labels", {})
            rows.append(
                {
                    "name": name,
                    "classes": classes,
                    "method": card.get("method", ""),
                    "labels": {c: labels[c] for c in classes if c in labels},
                    "chosen_by": card.get("working_point", {}).get("chosen_by", ""),
                    "weights_sha256": card["weights_sha256"],
                }
            )
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def card(self, name: str) -> dict[str, Any]:
        """Return a model's card: data, figures with intervals, working point, validity.

        Raises
        ------
        UnknownModel : the store has no such model.
        """
        return self.kept.models.load(name)[1]

    def export_model(self, name: str, path: File) -> None:
        """Write a model for another store, or as ONNX for other programs.

        Parameters
        ----------
        path : a new or empty folder; or a file that ends in .onnx.

        Raises
        ------
        UnknownModel : the store has no such model.
        BadInput : a folder that holds something, or no folder for the file.
        MachineFailed : the disk is full.
        """
        output = Path(path)
        if output.suffix.lower() != ".onnx":
            self.kept.models.export(name, output)
            return
        from etchscope.ensemble import Model, convert_to_onnx

        content = convert_to_onnx(Model.from_record(*self.kept.models.load(name)))
        if not output.absolute().parent.is_dir():
            raise BadInput(output, "an existing folder", f"no {output.parent}")
        with write_aside(output) as aside:
            aside.write_bytes(content)

    def import_model(self, folder: File | None = None, *, name: str | None = None) -> str:
        """Take a model into the store, and return its name.

        Parameters
        ----------
        folder : of an exported model; the experts of the package unless given.
        name : in the store; that of the folder unless given.

        Raises
        ------
        BadInput : no model there, a damaged one, or another model of that name.
        MachineFailed : the disk is full.
        """
        from etchscope.ensemble import Model
        from etchscope.run.experts import SHIPPED
        from etchscope.store import read_model

        source = SHIPPED if folder is None else Path(folder)
        Model.from_record(*read_model(source))  # refuses what only looks like a model
        return self.kept.models.import_folder(source, name)

    def remove_model(self, name: str) -> None:
        """Remove a model; what was scored with it stays.

        Raises
        ------
        UnknownModel : the store has no such model.
        """
        self.kept.models.remove(name)

    def calibrate(
        self, name: str, truth: Table | Mapping[str, Table], *, tolerance_px: float = 6.0
    ) -> "Calibration":
        """Fit how strongly each measure of a candidate indicates signal on one kind of foil.

        Afterwards the probabilities of the model are right on such foils. Its working point
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

    def distil(
        self,
        name: str,
        output: str | None = None,
        *,
        scan: str | Sequence[str] | None = None,
        finds: int = 8000,
        seed: int = 0,
        device: Device = "auto",
        progress: Progress = False,
    ) -> "Resemblance":
        """Make one network of all networks of a model, and keep it as a model of its own.

        It learns, without labels, the probabilities that the model gives to finds of your scans.
        ``run`` with it takes a fraction of the time.

        Parameters
        ----------
        name : of the model.
        output : name of the distilled model; ``{name}-distilled`` unless given.
        scan : searched scans to learn on, all of the same lights; all of the store unless given.
        finds : greatest number of finds to learn on; a patch takes some 40 kB of memory.
        seed : of the drawn finds, and of the weights.
        device : where networks are computed and trained.

        Returns
        -------
        How far the distilled model repeats the model on tiles that it did not learn from.

        Raises
        ------
        UnknownModel, UnknownScan : the store has no such model or scan.
        NotSearched : a scan was not searched.
        BadInput : an injected scan, scans of different lights, too few finds or tiles, or another
            model of that name.
        MachineFailed : the disk is full.
        """
        from etchscope.run.distilling import distil

        given = [scan] if isinstance(scan, str) else list(scan or self._own_scans())
        with watch_steps(progress) as shown:

            def watched(what: str, total: int) -> Any:
                return lambda done: shown(what, done, total)

            done = distil(
                self.kept, name, given, most=finds, seed=seed, device=device, watch=watched
            )
        self.kept.models.save(output or f"{name}-distilled", *done.model.to_record())
        return done.resemblance

    def _own_scans(self) -> list[str]:
        """Return the searched scans into which no signal was injected."""
        runs = set(self.kept.runs.table()["scan"])
        names = [n for n in self.kept.scans.names() if n in runs]
        own = [n for n in names if self.kept.injections.source(n) == n]
        if not own:
            raise NotSearched(self.kept.path, "a searched scan", "none")
        return own

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
        efficiency, false_per_tile : the requirement, one of them: a share in (0, 1], or false
            candidates per tile.
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
