"""The pipeline over a store: plan, execute, resume."""

from etchscope.run.execute import Executor
from etchscope.run.find import FindReport, find, recipe_of
from etchscope.run.simulate import simulate

__all__ = ["Executor", "FindReport", "find", "recipe_of", "simulate"]
