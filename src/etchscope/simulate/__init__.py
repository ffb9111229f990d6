"""Pictures of foils that never existed, with their truth."""

from etchscope.simulate.optics import Optics, height_map, reference_channels, render
from etchscope.simulate.populations import Population, draw_openings
from etchscope.simulate.scan import SimulatedScan, isolated

__all__ = [
    "Optics",
    "Population",
    "SimulatedScan",
    "draw_openings",
    "height_map",
    "isolated",
    "reference_channels",
    "render",
]
