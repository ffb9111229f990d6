"""Experts: patches, networks that know the symmetries of the optics, and their training."""

from etchscope.learn.audit import audit
from etchscope.learn.boosted import cross_validate_boosted
from etchscope.learn.features import feature_names, features_of
from etchscope.learn.finder import FinderNetwork
from etchscope.learn.finder_train import FinderTraining, Sample
from etchscope.learn.losses import LOSSES
from etchscope.learn.networks import NETWORKS, network
from etchscope.learn.patches import LightChoice, Lights, Patches, cut_patches, joined
from etchscope.learn.saliency import saliency
from etchscope.learn.threads import set_threads
from etchscope.learn.train import Augmentation, Expert, Training, folds, train_expert
from etchscope.learn.tune import tune
from etchscope.learn.validate import (
    CrossValidation,
    cross_validate,
    efficiency_at,
    learning_curves,
)

__all__ = [
    "LOSSES",
    "NETWORKS",
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
    "audit",
    "cross_validate",
    "cross_validate_boosted",
    "cut_patches",
    "efficiency_at",
    "feature_names",
    "features_of",
    "folds",
    "joined",
    "learning_curves",
    "network",
    "saliency",
    "set_threads",
    "train_expert",
    "tune",
]
