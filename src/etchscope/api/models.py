"""Models of a store: list, show, hand on."""

from pathlib import Path
from typing import Any

import pandas as pd

from etchscope.api.given import File
from etchscope.api.kept import OfStore
from etchscope.foil import BadInput

__all__ = ["ModelSteps"]

_COLUMNS = ("name", "classes", "method", "labels", "chosen_by", "weights_sha256")


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
        from etchscope.ensemble import Model, to_onnx

        content = to_onnx(Model.from_record(*self.kept.models.load(name)))
        if not output.absolute().parent.is_dir():
            raise BadInput(output, "an existing folder", f"no {output.parent}")
        output.write_bytes(content)

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
