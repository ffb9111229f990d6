"""Experts: patches, networks that know the symmetries of the optics, and their training."""

from etchscope.learn.audit import audit_labels
from etchscope.learn.devices import device_of
from etchscope.learn.expert import Expert
from etchscope.learn.features import feature_names, features_of
from etchscope.learn.finder import FinderNetwork
from etchscope.learn.finder_samples import Sample
from etchscope.learn.finder_train import FinderTraining
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
from etchscope.learn.threads import set_threads
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
    "Augmentation",
    "CrossValidation",
    "Expert",
    "FinderNetwork",
    "FinderTraining",
    "LightChoice",
    "Lights",
    "Patches",
    "Sample",
    "Training",
    "audit_labels",
    "cross_validate",
    "cut_patches",
    "cut_planes",
    "device_of",
    "efficiency_at",
    "feature_names",
    "features_of",
    "folds",
    "given_of",
    "joined",
    "learning_curves",
    "network",
    "patterns_of",
    "plane_scale",
    "saliency_of",
    "search_training",
    "set_threads",
    "train_expert",
    "with_given",
]
