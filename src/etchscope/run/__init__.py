"""The pipeline over a store: plan, execute, resume."""

from etchscope.run.find import Executor, FindReport, find, recipe_of

__all__ = ["Executor", "FindReport", "find", "recipe_of"]
