"""Normalised pictures, their illumination harmonics, and the ground to be searched."""

from etchscope.imaging.cleanup import find_long_scratches, remove_thin_features
from etchscope.imaging.ground import find_foil_ground, usable_area_px
from etchscope.imaging.harmonics import (
    divergence,
    fit_harmonics,
    harmonic_weights,
    normalised_harmonics,
)
from etchscope.imaging.lighting import Lighting
from etchscope.imaging.lights import LightFault, explain_unsearchable, find_light_faults, to_native
from etchscope.imaging.normalise import Normalisation, Recipe, fit_normalisation, smooth_background
from etchscope.imaging.planes import (
    GIVEN,
    PLANES,
    Planes,
    given_lights,
    light_planes,
    plane_representation,
)
from etchscope.imaging.symmetry import D4, Symmetry, find_symmetries, turn_by_steps

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
    "divergence",
    "explain_unsearchable",
    "find_foil_ground",
    "find_light_faults",
    "find_long_scratches",
    "find_symmetries",
    "fit_harmonics",
    "fit_normalisation",
    "given_lights",
    "harmonic_weights",
    "light_planes",
    "normalised_harmonics",
    "plane_representation",
    "remove_thin_features",
    "smooth_background",
    "to_native",
    "turn_by_steps",
    "usable_area_px",
]
