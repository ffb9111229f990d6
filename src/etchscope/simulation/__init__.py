"""A digital twin of an etched foil: particles, etching, optics, and the truth about them."""

from etchscope.physics.cone import Opening, compute_opening
from etchscope.physics.materials import (
    MATERIALS,
    Material,
    etch_ratio,
    get_material,
    restricted_energy_loss,
)
from etchscope.simulation.camera import Camera
from etchscope.simulation.etching import height_map
from etchscope.simulation.optics import Optics, Plane, Scene, reference_channels
from etchscope.simulation.parameters import list_parameters, with_parameters
from etchscope.simulation.populations import (
    Density,
    Fragments,
    Hips,
    HotSpot,
    Marks,
    Population,
    Sheet,
    Stars,
)
from etchscope.simulation.presets import PRESETS, preset
from etchscope.simulation.randomise import RANGES, Range, draw_parameters, randomise_scan
from etchscope.simulation.rendering import relative_light, render
from etchscope.simulation.scan import SimulatedScan
from etchscope.simulation.spallation import list_prongs
from etchscope.simulation.stage import Stage
from etchscope.simulation.surface import Surface
from etchscope.simulation.truth import TRUTH_COLUMNS, drop_overlap_copies, find_isolated

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
    "compute_opening",
    "draw_parameters",
    "drop_overlap_copies",
    "etch_ratio",
    "find_isolated",
    "get_material",
    "height_map",
    "list_parameters",
    "list_prongs",
    "preset",
    "randomise_scan",
    "reference_channels",
    "relative_light",
    "render",
    "restricted_energy_loss",
    "with_parameters",
]
