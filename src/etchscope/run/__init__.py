"""The pipeline over a store: plan, execute, resume."""

from etchscope.run.constants import normalisation_of, recipe_of
from etchscope.run.stages.finding import FindReport, find
from etchscope.run.stages.simulating import simulate

__all__ = ["FindReport", "find", "normalisation_of", "recipe_of", "simulate"]
