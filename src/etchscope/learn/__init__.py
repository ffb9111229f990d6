"""Experts: patches, networks that know the symmetries of the optics, and their training."""

from typing import TYPE_CHECKING

from etchscope.foil.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.learn.audit import audit_labels
    from etchscope.learn.devices import device_of
    from etchscope.learn.expert import Expert
    from etchscope.learn.features import feature_names, features_of
    from etchscope.learn.finder import WIDTHS, FinderNetwork
    from etchscope.learn.finder_loss import Parts
    from etchscope.learn.finder_samples import LightDraw, Sample, Samples, draw_lights, planes_of
    from etchscope.learn.finder_targets import Openings
    from etchscope.learn.finder_train import FinderTraining, train_finder
    from etchscope.learn.given import given_of, patterns_of, with_given
    from etchscope.learn.losses import LOSSES
    from etchscope.learn.networks import NETWORKS, network
    from etchscope.learn.patches import (
        SCALES,
        LightChoice,
        Lights,
        Patches,
        cut_patches,
        cut_planes,
        joined,
        plane_scale,
    )
    from etchscope.learn.saliency import saliency_of
    from etchscope.learn.threads import one_torch_thread, set_threads
    from etchscope.learn.train import folds, train_expert
    from etchscope.learn.training import Augmentation, Training
    from etchscope.learn.tune import search_training
    from etchscope.learn.validate import (
        CrossValidation,
        cross_validate,
        efficiency_at,
        learning_curves,
    )

__all__ = [
    "LOSSES",
    "NETWORKS",
    "SCALES",
    "WIDTHS",
    "Augmentation",
    "CrossValidation",
    "Expert",
    "FinderNetwork",
    "FinderTraining",
    "LightChoice",
    "LightDraw",
    "Lights",
    "Openings",
    "Parts",
    "Patches",
    "Sample",
    "Samples",
    "Training",
    "audit_labels",
    "cross_validate",
    "cut_patches",
    "cut_planes",
    "device_of",
    "draw_lights",
    "efficiency_at",
    "feature_names",
    "features_of",
    "folds",
    "given_of",
    "joined",
    "learning_curves",
    "network",
    "one_torch_thread",
    "patterns_of",
    "plane_scale",
    "planes_of",
    "saliency_of",
    "search_training",
    "set_threads",
    "train_expert",
    "train_finder",
    "with_given",
]

__getattr__ = load_on_use(
    __name__,
    (
        "patches",
        "given",
        "features",
        "devices",
        "threads",
        "losses",
        "networks",
        "training",
        "expert",
        "finder",
        "finder_targets",
        "finder_samples",
        "finder_loss",
        "finder_train",
        "saliency",
        "train",
        "validate",
        "audit",
        "tune",
    ),
)
