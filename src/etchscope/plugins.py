"""Plugins: what other packages add by name, through entry points."""

import sys
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, TypeVar

from etchscope.foil import BadInput, BadPlugin, NoPlugin

__all__ = ["bad_plugin", "find_plugin", "plugin_origin"]

_T = TypeVar("_T")


def find_plugin(
    group: str, name: str, own: Mapping[str, _T], *, where: str, known: Collection[str] = ()
) -> _T:
    """Return the object of a name: one of Etchscope's own, or what an entry point loads.

    Parameters
    ----------
    group : of the entry points, without ``etchscope.`` before it: layouts, networks, combiners.
    name : of the object.
    own : name → object of Etchscope; no entry point may have such a name.
    where : the setting that gave the name, for errors.
    known : further names of Etchscope, which the caller handles.

    Raises
    ------
    NoPlugin : neither Etchscope nor an installed package has that name.
    BadPlugin : an entry point cannot be loaded, or has a name that is taken.
    """
    ours = (*own, *known)
    added = _added(group, ours)
    if name in own:
        return own[name]
    if name in added:
        loaded: _T = _loaded(added[name])
        return loaded
    hint = f"No installed package has an entry point {name!r} in the group etchscope.{group}."
    raise NoPlugin(where, " or ".join((*ours, *added)), repr(name), hint)


def plugin_origin(group: str, name: str) -> str | None:
    """Return the package, with its version, that adds a name; None if no package does.

    Parameters
    ----------
    group, name : see ``find_plugin``.
    """
    return next((_package(e) for e in _entry_points(group) if e.name == name), None)


def bad_plugin(group: str, name: str, expected: str, found: object) -> BadInput:
    """Return the error for a plugin of the wrong type.

    Parameters
    ----------
    group, name : see ``find_plugin``.
    expected : what the plugin should have been, or should have returned.
    found : what it is, or what it returned.
    """
    where = f"plugin {name!r} of {plugin_origin(group, name)}"
    return BadPlugin(where, expected, f"an object of type {type(found).__name__}")


def _added(group: str, ours: Collection[str]) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; each name is one package's."""
    added: dict[str, EntryPoint] = {}
    for entry in _entry_points(group):
        if entry.name in ours:
            raise BadPlugin(_where(entry), "a name that Etchscope does not have itself", entry.name)
        if entry.name in added:
            other = _package(added[entry.name])
            raise BadPlugin(_where(entry), f"a name that {other} does not have", entry.name)
        added[entry.name] = entry
    return added


def _entry_points(group: str) -> EntryPoints:
    """Return the entry points of a group, without ``etchscope.`` before it."""
    return _read_entry_points(group, tuple(sys.path))


@lru_cache
def _read_entry_points(group: str, path: tuple[str, ...]) -> EntryPoints:
    """Read the metadata of all installed packages, which is slow, once for each ``sys.path``."""
    return entry_points(group=f"etchscope.{group}")


def _loaded(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:  # the code of another package may raise anything
        reason = (str(error).splitlines() or [""])[0]
        found = f"{type(error).__name__}: {reason}"
        raise BadPlugin(_where(entry), f"that {entry.value} can be loaded", found) from error


def _where(entry: EntryPoint) -> str:
    return f"plugin {entry.name!r} of {_package(entry)}, group {entry.group}"


def _package(entry: EntryPoint) -> str:
    return "a package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
