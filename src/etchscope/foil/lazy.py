"""Packages whose names are loaded on first use."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from etchscope.foil.extras import name_extra

__all__ = ["load_on_use"]


def load_on_use(package: str, modules: Sequence[str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package, which loads a module once a name of it is used.

    Names that only a type checker sees stand in the package under ``TYPE_CHECKING``. No name may be
    that of a module: the module would hide it once it is loaded.

    Parameters
    ----------
    package : its full name; its ``__all__`` lists the names.
    modules : of the package, in the order in which they are searched: what loads fast comes first,
        and what needs a package of an extra comes last.

    Raises
    ------
    MissingExtra : by what is returned, if the module needs a package that is not installed.
    """

    def attribute(name: str) -> Any:
        if name in sys.modules[package].__all__:
            for module in modules:
                loaded = _load(f"{package}.{module}")
                if name in loaded.__all__:
                    return getattr(loaded, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return attribute


def _load(module: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise name_extra(error) from None
