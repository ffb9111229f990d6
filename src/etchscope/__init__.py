"""Etchscope: from pictures of etched plastic track detectors to pits and candidates."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etchscope.api import find_pits
    from etchscope.preselect.settings import FindSettings
    from etchscope.store import Store

__version__ = version("etchscope")
__all__ = ["FindSettings", "Store", "__version__", "find_pits"]

_LAZY = {
    "FindSettings": "etchscope.preselect.settings",
    "Store": "etchscope.store",
    "find_pits": "etchscope.api",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'etchscope' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
