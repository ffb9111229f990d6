"""Experts: patches, networks that know the symmetries of the optics, and their training."""

from typing import TYPE_CHECKING

from etchscope.foil.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.learn.audit import audit_labels
    from etchscope.learn.devices import choose_device
    from etchscope.learn.expert import Expert
    from etchscope.learn.features import feature_names, measure_features
    from etchscope.learn.finder import WIDTHS, FinderNetwork
    from etchscope.learn.finder_loss import Parts
    from etchscope.learn.finder_samples import LightDraw, Sample, Samples, draw_lights, make_planes
    from etchscope.learn.finder_targets import Openings
    from etchscope.learn.finder_train import FinderTraining, train_finder
    from etchscope.learn.given import list_patterns, mask_planes, read_given
    from etchscope.learn.imitate import train_to_imitate
    from etchscope.learn.losses import LOSSES
    from etchscope.learn.networks import NETWORKS, build_network
    from etchscope.learn.patches import (
        SCALES,
        LightChoice,
        Lights,
        Patches,
        cut_patches,
        cut_planes,
        join_patches,
        plane_scale,
    )
    from etchscope.learn.saliency import compute_saliency
    from etchscope.learn.threads import set_threads, use_one_torch_thread
    from etchscope.learn.train import split_folds, train_expert
    from etchscope.learn.training import Augmentation, Training
    from etchscope.learn.tune import search_training
    from etchscope.learn.validate import (
        CrossValidation,
        cross_validate,
        learning_curves,
        measure_efficiency_at,
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
    "build_network",
    "choose_device",
    "compute_saliency",
    "cross_validate",
    "cut_patches",
    "cut_planes",
    "draw_lights",
    "feature_names",
    "join_patches",
    "learning_curves",
    "list_patterns",
    "make_planes",
    "mask_planes",
    "measure_efficiency_at",
    "measure_features",
    "plane_scale",
    "read_given",
    "search_training",
    "set_threads",
    "split_folds",
    "train_expert",
    "train_finder",
    "train_to_imitate",
    "use_one_torch_thread",
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
        "imitate",
        "validate",
        "audit",
        "tune",
    ),
)
