"""Etchscope: from pictures of etched plastic track detectors to pits and candidates."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etchscope import plot
    from etchscope.api import Store, evaluate, find_pits, map_density, simulate
    from etchscope.api import open_store as open
    from etchscope.learn import Training
    from etchscope.preselect.settings import FindSettings

__version__ = version("etchscope")
__all__ = [
    "FindSettings",
    "Store",
    "Training",
    "__version__",
    "evaluate",
    "find_pits",
    "map_density",
    "open",
    "plot",
    "simulate",
]

_LAZY = {
    "FindSettings": ("etchscope.preselect.settings", "FindSettings"),
    "Store": ("etchscope.api", "Store"),
    "Training": ("etchscope.learn.training", "Training"),
    "evaluate": ("etchscope.api", "evaluate"),
    "find_pits": ("etchscope.api", "find_pits"),
    "map_density": ("etchscope.api", "map_density"),
    "open": ("etchscope.api", "open_store"),
    "simulate": ("etchscope.api", "simulate"),
}
"""Public name → module, and its name there."""


def __getattr__(name: str) -> Any:
    if name == "plot":
        return import_module("etchscope.plot")
    if name not in _LAZY:
        raise AttributeError(f"module 'etchscope' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
