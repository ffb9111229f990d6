"""Draw simulated foils from a preset, and photograph them into a store."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from etchscope.foil import SeveralFoils, Side
from etchscope.run.threads import one_opencv_thread
from etchscope.simulation import SimulatedScan, preset, randomise_scan, with_parameters
from etchscope.store import Added, Store, TilePictures

__all__ = ["add_simulated", "draw_foils"]


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
    foils : number of foils; the names of several are numbered from 001.
    foil : name of the foil; that of the preset unless given.
    parameters : changes by name, such as ``{"optics.blur_um": 8}``.
    randomise : whether foil, optics and populations are drawn anew before the changes.

    Raises
    ------
    SeveralFoils : a name for a preset of several foils.
    BadInput : see ``preset`` and ``with_parameters``.
    """
    scans: list[SimulatedScan] = []
    for number in range(foils):
        drawn = preset(name, seed=seed + number, columns=columns, rows=rows, sides=sides)
        if foil is not None and len({scan.foil for scan in drawn}) > 1:
            raise SeveralFoils("name of the foil", "a preset of one foil", "one of several")
        for scan in drawn:
            base = scan.foil if foil is None else foil
            scans.append(replace(scan, foil=base if foils == 1 else f"{base}-{number + 1:03d}"))
    if randomise:
        scans = [randomise_scan(scan) for scan in scans]
    return [with_parameters(scan, parameters or {}) for scan in scans]


def add_simulated(
    simulated: SimulatedScan,
    store: Store,
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Added:
    """Photograph a simulated scan into a store.

    Parameters
    ----------
    workers : threads; the pictures do not depend on their number.
    progress : called with the number of tiles just done, from any thread.

    Raises
    ------
    NameTaken : the store has another scan of that name.
    MachineFailed : the disk is full.
    """
    sources = tuple(f"step {c.step}" for c in simulated.optics.channels)

    def read_tile(number: int) -> TilePictures:
        return TilePictures(simulated.read_tile(number), sources)

    with one_opencv_thread():
        return store.scans.add(
            simulated.scan, simulated.foil_record, read_tile, workers=workers, progress=progress
        )
