"""The ensemble: from experts to calibrated probabilities and a working point."""

from typing import TYPE_CHECKING

from etchscope.foil.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.ensemble.abundance import Abundance, estimate_abundance
    from etchscope.ensemble.calibration import AS_TRAINED, Calibration
    from etchscope.ensemble.combine import (
        METHODS,
        Combiner,
        Method,
        find_method,
        fit_combiner,
        log_votes,
    )
    from etchscope.ensemble.distil import Distilled, Resemblance, distil_model
    from etchscope.ensemble.domain import Domain
    from etchscope.ensemble.fitting import fit_calibration
    from etchscope.ensemble.gaussians import Gaussians, fit_gaussians
    from etchscope.ensemble.kinds import (
        MISC,
        ExpertKind,
        default_kinds,
        multiclass_kind,
        read_kinds,
    )
    from etchscope.ensemble.labelled import Labelled
    from etchscope.ensemble.measures import MEASURES, gather_measures, pair_evidence
    from etchscope.ensemble.model import Model
    from etchscope.ensemble.onnx import convert_to_onnx
    from etchscope.ensemble.particles import find_better_rows, find_particle_rows, find_partner_rows
    from etchscope.ensemble.plan import TrainingPlan, plan_training, train_member
    from etchscope.ensemble.point import DensityClass, WorkingPoint, measure_working_point
    from etchscope.ensemble.prior import apply_prior, check_prior, estimate_prior
    from etchscope.ensemble.train import TrainedModel, assemble_model, train_model

__all__ = [
    "AS_TRAINED",
    "MEASURES",
    "METHODS",
    "MISC",
    "Abundance",
    "Calibration",
    "Combiner",
    "DensityClass",
    "Distilled",
    "Domain",
    "ExpertKind",
    "Gaussians",
    "Labelled",
    "Method",
    "Model",
    "Resemblance",
    "TrainedModel",
    "TrainingPlan",
    "WorkingPoint",
    "apply_prior",
    "assemble_model",
    "check_prior",
    "convert_to_onnx",
    "default_kinds",
    "distil_model",
    "estimate_abundance",
    "estimate_prior",
    "find_better_rows",
    "find_method",
    "find_particle_rows",
    "find_partner_rows",
    "fit_calibration",
    "fit_combiner",
    "fit_gaussians",
    "gather_measures",
    "log_votes",
    "measure_working_point",
    "multiclass_kind",
    "pair_evidence",
    "plan_training",
    "read_kinds",
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
        "measures",
        "calibration",
        "abundance",
        "combine",
        "gaussians",
        "domain",
        "fitting",
        "model",
        "distil",
        "plan",
        "train",
        "onnx",
    ),
)
