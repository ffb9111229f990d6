"""From raw grey levels to normalised pictures and their illumination harmonics."""

from etchscope.imaging.cleanup import long_scratches, without_thin_features
from etchscope.imaging.harmonics import (
    divergence,
    harmonic_weights,
    harmonics,
    normalised_harmonics,
)
from etchscope.imaging.lighting import Lighting
from etchscope.imaging.normalise import Normalisation, Recipe, fit_normalisation, smooth_background
from etchscope.imaging.planes import GIVEN, PLANES, Planes, given_by, light_planes, moved
from etchscope.imaging.symmetry import D4, Symmetry, symmetries_of, turned_by_steps

__all__ = [
    "D4",
    "GIVEN",
    "PLANES",
    "Lighting",
    "Normalisation",
    "Planes",
    "Recipe",
    "Symmetry",
    "divergence",
    "fit_normalisation",
    "given_by",
    "harmonic_weights",
    "harmonics",
    "light_planes",
    "long_scratches",
    "moved",
    "normalised_harmonics",
    "smooth_background",
    "symmetries_of",
    "turned_by_steps",
    "without_thin_features",
]
