"""A digital twin of an etched foil: particles, etching, optics, and the truth about them."""

from etchscope.simulate.etching import Opening, height_map, opening
from etchscope.simulate.materials import (
    MATERIALS,
    Material,
    etch_ratio,
    material_named,
    restricted_energy_loss,
)
from etchscope.simulate.optics import Optics, Scene, reference_channels, render
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
from etchscope.simulate.scan import TRUTH_COLUMNS, SimulatedScan, Stage, isolated, openings

__all__ = [
    "MATERIALS",
    "TRUTH_COLUMNS",
    "Density",
    "Fragments",
    "Hips",
    "HotSpot",
    "Marks",
    "Material",
    "Opening",
    "Optics",
    "Population",
    "Scene",
    "Sheet",
    "SimulatedScan",
    "Stage",
    "Stars",
    "etch_ratio",
    "height_map",
    "isolated",
    "material_named",
    "opening",
    "openings",
    "reference_channels",
    "render",
    "restricted_energy_loss",
]
