"""From raw grey levels to normalised pictures and their illumination harmonics."""

from etchscope.imaging.cleanup import long_scratches, without_thin_features
from etchscope.imaging.ground import foil_ground, usable_area_px
from etchscope.imaging.harmonics import (
    divergence,
    harmonic_weights,
    harmonics,
    normalised_harmonics,
)
from etchscope.imaging.lighting import Lighting
from etchscope.imaging.lights import LightFault, as_native, light_faults, unsearchable
from etchscope.imaging.normalise import Normalisation, Recipe, fit_normalisation, smooth_background
from etchscope.imaging.planes import GIVEN, PLANES, Planes, given_by, light_planes, moved
from etchscope.imaging.symmetry import D4, Symmetry, symmetries_of, turned_by_steps

__all__ = [
    "D4",
    "GIVEN",
    "PLANES",
    "LightFault",
    "Lighting",
    "Normalisation",
    "Planes",
    "Recipe",
    "Symmetry",
    "as_native",
    "divergence",
    "fit_normalisation",
    "foil_ground",
    "given_by",
    "harmonic_weights",
    "harmonics",
    "light_faults",
    "light_planes",
    "long_scratches",
    "moved",
    "normalised_harmonics",
    "smooth_background",
    "symmetries_of",
    "turned_by_steps",
    "unsearchable",
    "usable_area_px",
    "without_thin_features",
]
