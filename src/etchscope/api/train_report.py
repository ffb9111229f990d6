"""What a training did: the model, and how well its experts classify labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from etchscope.api.given import File, require_table_file

if TYPE_CHECKING:
    from etchscope.ensemble import TrainedModel
    from etchscope.run.labelled import LeftOut

__all__ = ["TrainReport"]


@dataclass(frozen=True)
class TrainReport:
    """What a training did.

    ``name``: of the model in the store. ``trained``: the model, and how its experts classified the
    labels that they had not been trained on. ``left_out``: how many labels were not trained on.
    ``tried``: the trainings that were tried beforehand, the best first.
    """

    name: str
    trained: "TrainedModel"
    left_out: "LeftOut"
    tried: pd.DataFrame | None = None

    @property
    def experts(self) -> pd.DataFrame:
        """How well each expert classifies labels that it was not trained on, one row per expert.

        Columns: ``expert``; ``balanced_accuracy``, a share, and its ``lowest`` and ``highest``
        values of the folds; ``failed``, the number of trainings that failed.
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
        measured = f"efficiency {value:.1f} % [{low:.1f}, {high:.1f}] on {point.measured_on}"
        shown: str = self.experts.round(4).to_html(index=False)
        return f"<h4>{self.name}</h4>{shown}<p>working point: {point.in_words}, {measured}</p>"

    def list_wrong_labels(self) -> pd.DataFrame:
        """Return the labels that are probably wrong, the worst first, and where they are."""
        from etchscope.run.stages.training import audited

        return audited(self.trained)

    def write_wrong_labels(self, path: File) -> int:
        """Write the table of ``list_wrong_labels``, and return how many labels it has.

        Parameters
        ----------
        path : .csv, .parquet or .root.

        Raises
        ------
        BadInput : another suffix, or no such folder.
        MachineFailed : the disk is full.
        """
        from etchscope.files.tables import write_table

        require_table_file(path)
        wrong = self.list_wrong_labels()
        write_table(Path(path), wrong)
        return len(wrong)

    def write(self, folder: File) -> Path:
        """Write a page with figures of the training, and return it.

        Raises
        ------
        BadInput : the folder is a file.
        MachineFailed : the disk is full.
        """
        from etchscope.pages.training import write_training

        return write_training(self.trained, Path(folder))
