"""Experts: patches, networks that know the symmetries of the optics, and their training."""

from etchscope.learn.networks import NETWORKS, network
from etchscope.learn.patches import Lights, Patches, cut_patches
from etchscope.learn.train import Expert, Training, folds, train_expert
from etchscope.learn.validate import CrossValidation, cross_validate, efficiency_at

__all__ = [
    "NETWORKS",
    "CrossValidation",
    "Expert",
    "Lights",
    "Patches",
    "Training",
    "cross_validate",
    "cut_patches",
    "efficiency_at",
    "folds",
    "network",
    "train_expert",
]
