"""The ensemble: from experts to calibrated probabilities and a working point."""

from typing import TYPE_CHECKING

from etchscope.foil.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.ensemble.calibration import (
        AS_TAUGHT,
        MEASURES,
        Abundance,
        Calibration,
        abundance_of,
        fit_calibration,
        measures_of,
        pair_evidence,
    )
    from etchscope.ensemble.combine import (
        METHODS,
        Combiner,
        Method,
        find_method,
        fit_combiner,
        log_votes,
    )
    from etchscope.ensemble.gaussians import Gaussians, fit_gaussians
    from etchscope.ensemble.kinds import (
        MISC,
        ExpertKind,
        default_kinds,
        kinds_of,
        multiclass_kind,
    )
    from etchscope.ensemble.labelled import Labelled
    from etchscope.ensemble.model import Domain, Model
    from etchscope.ensemble.onnx import to_onnx
    from etchscope.ensemble.particles import better_rows, particle_rows, partner_rows
    from etchscope.ensemble.plan import TrainingPlan, plan_training, train_member
    from etchscope.ensemble.point import DensityClass, WorkingPoint, measured_working_point
    from etchscope.ensemble.prior import at_prior, checked_prior, estimated_prior
    from etchscope.ensemble.train import TrainedModel, assemble_model, train_model

__all__ = [
    "AS_TAUGHT",
    "MEASURES",
    "METHODS",
    "MISC",
    "Abundance",
    "Calibration",
    "Combiner",
    "DensityClass",
    "Domain",
    "ExpertKind",
    "Gaussians",
    "Labelled",
    "Method",
    "Model",
    "TrainedModel",
    "TrainingPlan",
    "WorkingPoint",
    "abundance_of",
    "assemble_model",
    "at_prior",
    "better_rows",
    "checked_prior",
    "default_kinds",
    "estimated_prior",
    "find_method",
    "fit_calibration",
    "fit_combiner",
    "fit_gaussians",
    "kinds_of",
    "log_votes",
    "measured_working_point",
    "measures_of",
    "multiclass_kind",
    "pair_evidence",
    "particle_rows",
    "partner_rows",
    "plan_training",
    "to_onnx",
    "train_member",
    "train_model",
]

__getattr__ = load_on_use(
    __name__,
    (
        "particles",
        "prior",
        "kinds",
        "labelled",
        "point",
        "combine",
        "gaussians",
        "calibration",
        "model",
        "plan",
        "train",
        "onnx",
    ),
)
