"""A digital twin of an etched foil: particles, etching, optics, and the truth about them."""

from etchscope.physics.cone import Opening, opening
from etchscope.physics.materials import (
    MATERIALS,
    Material,
    etch_ratio,
    material_named,
    restricted_energy_loss,
)
from etchscope.simulate.camera import Camera
from etchscope.simulate.etching import height_map
from etchscope.simulate.optics import Optics, Plane, Scene, reference_channels
from etchscope.simulate.parameters import parameters_of, with_parameters
from etchscope.simulate.populations import (
    Density,
    Fragments,
    Hips,
    HotSpot,
    Marks,
    Population,
    Sheet,
    Stars,
)
from etchscope.simulate.presets import PRESETS, preset
from etchscope.simulate.randomise import RANGES, Range, draw_parameters, randomised
from etchscope.simulate.rendering import render
from etchscope.simulate.scan import TRUTH_COLUMNS, SimulatedScan, Stage, isolated, once
from etchscope.simulate.surface import Surface

__all__ = [
    "MATERIALS",
    "PRESETS",
    "RANGES",
    "TRUTH_COLUMNS",
    "Camera",
    "Density",
    "Fragments",
    "Hips",
    "HotSpot",
    "Marks",
    "Material",
    "Opening",
    "Optics",
    "Plane",
    "Population",
    "Range",
    "Scene",
    "Sheet",
    "SimulatedScan",
    "Stage",
    "Stars",
    "Surface",
    "draw_parameters",
    "etch_ratio",
    "height_map",
    "isolated",
    "material_named",
    "once",
    "opening",
    "parameters_of",
    "preset",
    "randomised",
    "reference_channels",
    "render",
    "restricted_energy_loss",
    "with_parameters",
]
