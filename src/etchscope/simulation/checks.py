"""What a simulated scan must fulfil as a whole: its parameters are checked one by one before."""

import os

import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.bounds import require_within
from etchscope.physics.materials import get_material
from etchscope.simulation.optics import OVERSAMPLING, Optics
from etchscope.simulation.populations import Hips, Sheet
from etchscope.simulation.stage import Stage

__all__ = ["check_memory", "check_signal", "check_sizes"]

_LEAST_RATIO = 1.02  # of the etch ratio V; below it no pit of the signal can be seen


def check_signal(hips: Hips, sheet: Sheet) -> None:
    """Refuse signal that etches no pit in the sheet.

    Raises
    ------
    BadInput : the reduced etch rate of the signal is at most 1.02.
    """
    ratio = hips.ratio(sheet)
    if not hips.per_tile or ratio > _LEAST_RATIO:
        return
    material, loss = get_material(sheet.material), hips.energy_loss(sheet)
    raise BadInput(
        "simulation: hips.rel_mev_cm2_g (or charge and beta, or v)",
        f"V of 1.02 or more ({material.name} begins at {material.threshold:g} MeV cm²/g)",
        f"V = {ratio:.4g} at {loss:.4g} MeV cm²/g: no pit to be seen",
    )


def check_sizes(sheet: Sheet, optics: Optics, stage: Stage) -> None:
    """Raise ``BadInput`` if a pit is larger than a tile, or a tile lies wholly in its neighbour."""
    require_within(
        "pit size in pixels (2 · sheet.removed_um / optics.pixel_size_um)",
        2 * sheet.removed_um / optics.pixel_size_um,
        0,
        min(optics.image_size) - 1,
        hint="Remove less or make the picture larger.",
    )
    sides = zip(optics.image_size[::-1], stage.overlap_px, strict=True)
    smallest = min(size - overlap for size, overlap in sides)
    require_within("tile less stage.overlap_px, in pixels", smallest, 1, np.inf)


def check_memory(optics: Optics) -> None:
    """Refuse pictures of which one tile does not fit into this machine's memory.

    Raises
    ------
    BadInput : more bytes are needed than the machine has.
    """
    # Each point of the height maps takes about ten float32, each picture about four.
    points = optics.image_size[0] * optics.image_size[1]
    needed = points * 4 * (10 * OVERSAMPLING**2 + 4 * len(optics.channels))
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise BadInput(
            "simulation: optics.image_size and optics.channels",
            f"pictures that fit into {there / 2**30:.1f} GiB of memory",
            f"{needed / 2**30:.1f} GiB for one tile",
        )
