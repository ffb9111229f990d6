"""Work on arrays and tables alone, without a store."""

from typing import TYPE_CHECKING

import pandas as pd
from numpy.typing import ArrayLike

from etchscope.foil.records import Role

if TYPE_CHECKING:
    from etchscope.preselect.settings import FindSettings

__all__ = ["find_pits"]


def find_pits(
    stack: ArrayLike,
    *,
    azimuths_deg: ArrayLike | None = None,
    roles: list[Role] | None = None,
    pixel_size_um: float | None = None,
    thickness_um: float | None = None,
    removed_um: float | None = None,
    material: str | None = None,
    gradient_sign: int = 1,
    settings: "FindSettings | None" = None,
) -> pd.DataFrame:
    """Return the pits on the pictures of one tile, as a pit table.

    The picture is its own reference: average light and noise are found on it alone. Give a scan
    to a store to have them from all its tiles.

    Parameters
    ----------
    stack : (channel, y, x) or (y, x) grey levels.
    azimuths_deg : (n,) azimuths of the directional pictures, degrees counter-clockwise from +x,
        y up, from the pit towards the lamp; without them the surface is unknown.
    roles : of each picture: directional, backlit or halo; by default the directional ones come
        first, then a backlit and a halo one.
    pixel_size_um : for positions in mm (origin at the picture's centre, y up) and densities.
    thickness_um : of the foil before etching: how far a slanted particle's exit pit may lie.
    removed_um : bulk that etching removed on each side: sets the scale of depths and etch ratios.
    material : in your own word, such as "CR-39" or "Makrofol": its response gives energy losses.
    gradient_sign : −1 where the wall that faces the lamp is dark.
    settings : of the pre-selection; ``FindSettings(finder="classical")`` needs no network.

    Raises
    ------
    BadInput : no picture, grey levels that are no numbers or negative, one or two azimuths, roles
        that do not fit the pictures, a gradient_sign other than ±1, a scale, a thickness or a
        removed bulk that is not positive.

    Examples
    --------
    >>> from etchscope.simulation import Population, SimulatedScan
    >>> foil = SimulatedScan(seed=3, columns=1, rows=1, population=Population.of(20, 2))
    >>> pits = find_pits(foil.read_tile(1), azimuths_deg=foil.scan.azimuths_deg)
    >>> {"top", "bottom"} <= set(pits["surface"])
    True
    """
    from etchscope.preselect.find import find_pits as search_array
    from etchscope.preselect.settings import FindSettings
    from etchscope.run.finder import finder_of

    settings = settings or FindSettings()
    return search_array(
        stack,
        azimuths_deg=azimuths_deg,
        roles=roles,
        pixel_size_um=pixel_size_um,
        thickness_um=thickness_um,
        removed_um=removed_um,
        material=material,
        gradient_sign=gradient_sign,
        settings=settings,
        finder=finder_of() if settings.finder == "learned" else None,
    )
