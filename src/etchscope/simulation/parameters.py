"""The parameters of a simulation by name, ``group.parameter``: list them, and change some."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from pydantic import ValidationError

from etchscope.foil import BadInput, Channel
from etchscope.foil.storable import LARGEST
from etchscope.physics.materials import Material
from etchscope.simulation.populations import HotSpot
from etchscope.simulation.scan import SimulatedScan

__all__ = ["list_parameters", "with_parameters"]

_OF_POPULATION = ("hips", "fragments", "stars", "marks", "density")
_OF_SCAN = ("sheet", "optics", "surface", "camera", "stage")


def _groups(scan: SimulatedScan) -> dict[str, Any]:
    return {
        **{name: getattr(scan.population, name) for name in _OF_POPULATION},
        **{name: getattr(scan, name) for name in _OF_SCAN},
    }


def list_parameters(scan: SimulatedScan) -> dict[str, Any]:
    """Return all parameters of a scan as nested dictionaries that JSON can hold.

    >>> list_parameters(SimulatedScan(seed=1))["fragments"]["per_tile"]
    100.0
    """
    out: dict[str, Any] = {name: asdict(group) for name, group in _groups(scan).items()}
    out["optics"]["channels"] = [c.model_dump(exclude_none=True) for c in scan.optics.channels]
    own = ("seed", "columns", "rows", "side", "foil", "stack", "exposure")
    return {**{name: getattr(scan, name) for name in own}, **out}


def with_parameters(scan: SimulatedScan, values: Mapping[str, Any]) -> SimulatedScan:
    """Return a scan with some parameters changed.

    Parameters
    ----------
    values : ``group.parameter`` → value, for instance ``{"optics.blur_um": 8.0}``; the groups are
        hips, fragments, stars, marks, density, sheet, optics, surface, camera and stage. Lists
        become tuples.

    Raises
    ------
    BadInput : there is no such parameter, or a value has the wrong type or is out of range.
    """
    groups = _groups(scan)
    changes: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        group, _, name = path.partition(".")
        if group not in groups:
            raise BadInput(f"simulation: {path}", f"a parameter of {', '.join(groups)}", "none")
        known = {f.name: f.type for f in fields(groups[group])}
        if name not in known:
            raise BadInput(f"simulation: {path}", f"one of {', '.join(known)}", repr(name))
        is_list = isinstance(getattr(groups[group], name), tuple)
        changes.setdefault(group, {})[name] = _fitting(path, value, known[name], is_list=is_list)
    made = {name: replace(groups[name], **change) for name, change in changes.items()}
    inner = {name: made.pop(name) for name in _OF_POPULATION if name in made}
    return replace(scan, population=replace(scan.population, **inner), **made)


def _fitting(path: str, value: Any, kind: object, *, is_list: bool) -> Any:
    """Return a value of the declared type, or raise ``BadInput``."""
    if path == "density.hot":
        return _hot(path, value)
    if path == "optics.channels":
        return _channels(path, value)
    if path == "sheet.material" and isinstance(value, dict):
        return _material(path, value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_number = is_number and abs(value) <= LARGEST
    if is_list:
        fits, expected = isinstance(value, list | tuple), "a list"
        if fits:
            value = tuple(tuple(v) if isinstance(v, list) else v for v in value)
    elif kind is int:
        fits, expected = is_number and float(value).is_integer(), "a whole number"
        value = int(value) if fits else value
    elif kind is float:
        fits, expected = is_number, "a number"
        value = float(value) if fits else value
    elif path in ("hips.rel_mev_cm2_g", "hips.v"):
        fits, expected = is_number or value is None, "a number, or null"
    else:
        fits, expected = isinstance(value, str), "a word"
    if not fits:
        raise BadInput(f"simulation: {path}", expected, repr(value))
    return value


def _material(path: str, value: dict[str, Any]) -> Material:
    try:
        return Material(**value)
    except TypeError as error:
        names = ", ".join(f.name for f in fields(Material))
        raise BadInput(f"simulation: {path}", f"a name, or {names}", repr(value)) from error


def _channels(path: str, value: Any) -> tuple[Channel, ...]:
    """Return the channels of a list of objects as in ``scan.json``."""
    try:
        return tuple(Channel.model_validate(channel) for channel in value)
    except (TypeError, ValidationError) as error:
        expected = "a list of objects with step, role and, for a lamp, azimuth_deg"
        raise BadInput(f"simulation: {path}", expected, repr(value)) from error


def _hot(path: str, value: Any) -> tuple[HotSpot, ...]:
    if isinstance(value, list | tuple) and all(isinstance(v, HotSpot) for v in value):
        return tuple(value)
    try:
        return tuple(HotSpot(**spot) for spot in value)
    except TypeError as error:
        names = ", ".join(f.name for f in fields(HotSpot))
        raise BadInput(f"simulation: {path}", f"a list of objects with {names}", repr(value)) from (
            error
        )
