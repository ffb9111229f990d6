"""The preset ``tasl``: a foil under transmitted light, tuned to look like a real one."""

from etchscope.foil import Channel
from etchscope.simulation.optics import Optics
from etchscope.simulation.populations import Fragments, Hips, Population, Sheet, Stars
from etchscope.simulation.scan import SimulatedScan

__all__ = ["PIXEL_SIZE_UM", "simulate_tasl"]

PIXEL_SIZE_UM = 10.0
"""An assumption: the scale of the real pictures is not known. Etching and optics have no scale of
their own, so the pictures stay the same if all lengths change in proportion."""


_POPULATION = Population(
    hips=Hips(per_tile=12.5, rel_mev_cm2_g=4260, v_spread=0.12, spread_deg=6.5),
    fragments=Fragments(
        per_tile=20000,
        top_fraction=1.0,
        v=1.16875,
        rel_sigma=0.55,
        range_um=10,
        max_zenith_deg=20,
    ),
    stars=Stars(per_tile=10500, kinds=("isotropic",), v=1.1031, rel_sigma=0.62, range_um=39),
)
_OPTICS = Optics(
    pixel_size_um=PIXEL_SIZE_UM,
    channels=(Channel(step=1, role="backlit"),),
    blur_um=1.8,
    aperture=1.0,
    flare=0.3,
    flare_um=21.0,
    pupil=0.12,
    stray=0.066,
    glint=0.36,
    glint_um=5.5,
    backlit_level=2.0,
    vignetting=0.0,
    read_noise=3.0,
    texture=0.14,
    texture_um=10.5,
)


def simulate_tasl(seed: int, columns: int = 2, rows: int = 1) -> SimulatedScan:
    """Return a scan with one backlit channel that looks like the pictures of a real foil.

    Dark discs are through-going particles. Thin rings are short prongs that began in the layer
    that etching took away, so that each was etched for a time of its own; the wiggly lines around
    them are the edges of many shallow, over-etched fragment pits on a rough surface. The lamp is
    so bright that the ground is saturated. The parameters are tuned on cells of 63 × 63 px, as
    ``benchmarks/resemblance.py`` measures them.

    Parameters
    ----------
    seed, columns, rows : as in ``SimulatedScan``.

    Examples
    --------
    >>> simulate_tasl(seed=1).scan.channels[0].role
    'backlit'
    """
    return SimulatedScan(
        seed=seed,
        columns=columns,
        rows=rows,
        population=_POPULATION,
        sheet=Sheet(thickness_um=560.0, removed_um=170.0, removed_spread=0.06),
        optics=_OPTICS,
        foil="tasl",
    )
