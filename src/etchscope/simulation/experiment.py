"""The preset ``experiment``: a foil whose pits are as deep over the texture as real ones."""

from etchscope.simulation.optics import Optics
from etchscope.simulation.populations import Fragments, Hips, Marks, Population, Sheet, Stars
from etchscope.simulation.scan import SimulatedScan
from etchscope.simulation.surface import Surface

__all__ = ["simulate_experiment"]


_MARKS = Marks(
    dust_per_tile=0.5,
    scratches_per_tile=0.2,
    fibres_per_tile=0.1,
    bubbles_per_tile=0.2,
    drops_per_tile=0.1,
    variety=0.5,
)
_POPULATION = Population(
    hips=Hips(per_tile=12.0, v=1.6, v_spread=0.3),
    fragments=Fragments(per_tile=100.0),
    stars=Stars(per_tile=2.0),
    marks=_MARKS,
)
_OPTICS = Optics(
    blur_um=4.5,
    gloss=0.1,
    far_weight=0.2,
    hiding=0.9,
    dark_near_deg=30.0,
    pupil=0.25,
    stray=0.1,
    centre_share=0.85,
    centre=2.2,
    centre_um=5.5,
    centre_lamps=2.2,
    level=0.4,
    backlit_level=0.5,
)
_SURFACE = Surface(
    roughness=0.04,
    micropits_per_mm2=100.0,
    haze=0.343,
    albedo=0.40,
    haze_um=7.6,
    patchiness=0.3,
    patch_um=150.0,
)


def simulate_experiment(seed: int, columns: int, rows: int) -> SimulatedScan:
    """Return a scan of the reference microscope with pits as deep over the texture as real ones.

    The population is that of the reference foil with more signal, whose V differs more from pit to
    pit. The parameters are tuned on published thumbnails, as ``benchmarks/thumbnails.py`` measures
    them: the percentiles of depth over texture, its correlation, and the share of bright centres,
    in the mean of the lamps and in the backlit picture alike. What thumbnails do not show (absolute
    levels, the halo) is assumed.

    Parameters
    ----------
    seed, columns, rows : as in ``SimulatedScan``.

    Examples
    --------
    >>> simulate_experiment(1, 1, 1).surface.haze > 0
    True
    """
    return SimulatedScan(
        seed=seed,
        columns=columns,
        rows=rows,
        population=_POPULATION,
        sheet=Sheet(removed_um=62.0),
        optics=_OPTICS,
        surface=_SURFACE,
        foil="experiment",
    )
