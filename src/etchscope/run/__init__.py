"""The pipeline over a store: plan, execute, resume."""

from etchscope.run.execute import Executor
from etchscope.run.stages.find import FindReport, find, normalisation_of, recipe_of
from etchscope.run.stages.simulate import simulate

__all__ = ["Executor", "FindReport", "find", "normalisation_of", "recipe_of", "simulate"]
