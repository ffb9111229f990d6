"""Experts: patches, networks that know the symmetries of the optics, and their training."""

from etchscope.learn.networks import NETWORKS, network
from etchscope.learn.patches import Lights, Patches, cut_patches
from etchscope.learn.train import Expert, Training, folds, train_expert

__all__ = [
    "NETWORKS",
    "Expert",
    "Lights",
    "Patches",
    "Training",
    "cut_patches",
    "folds",
    "network",
    "train_expert",
]
