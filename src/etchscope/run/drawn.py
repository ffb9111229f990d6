"""Simulated foils as they are asked for: a preset, its changes, and one seed per foil."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from etchscope.foil import BadInput, Side
from etchscope.simulation import SimulatedScan, preset, randomise_scan, with_parameters

__all__ = ["draw_foils"]


def draw_foils(
    name: str = "reference",
    *,
    columns: int = 5,
    rows: int = 4,
    sides: tuple[Side, ...] = ("front",),
    foils: int = 1,
    foil: str | None = None,
    seed: int = 1,
    parameters: Mapping[str, Any] | None = None,
    randomise: bool = False,
) -> list[SimulatedScan]:
    """Return the scans of foils of a preset, each foil drawn with the next seed.

    Parameters
    ----------
    name : of the preset.
    columns, rows : tiles of each scan.
    foils : how many; where there are several, their names are numbered from 001.
    foil : name of the foil; that of the preset unless given.
    parameters : changes by name, such as ``{"optics.blur_um": 8}``.
    randomise : whether foil, optics and populations are drawn anew before the changes.

    Raises
    ------
    BadInput : a name for a preset of several foils, or see ``preset`` and ``with_parameters``.
    """
    scans: list[SimulatedScan] = []
    for number in range(foils):
        drawn = preset(name, seed=seed + number, columns=columns, rows=rows, sides=sides)
        if foil is not None and len({scan.foil for scan in drawn}) > 1:
            raise BadInput("--foil", "a preset of one foil", "one of several")
        for scan in drawn:
            base = scan.foil if foil is None else foil
            scans.append(replace(scan, foil=base if foils == 1 else f"{base}-{number + 1:03d}"))
    if randomise:
        scans = [randomise_scan(scan) for scan in scans]
    return [with_parameters(scan, parameters or {}) for scan in scans]
