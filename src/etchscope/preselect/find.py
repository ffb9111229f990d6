"""The search of a plain array, without a store or files, as by ``locate`` of trackpy."""

from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from etchscope.foil import (
    BadInput,
    Channel,
    Foil,
    Scan,
    Tile,
)
from etchscope.foil.records import Role
from etchscope.foil.types import Bools, RawStack
from etchscope.imaging.ground import find_foil_ground
from etchscope.imaging.lights import to_native
from etchscope.imaging.normalise import Recipe, fit_normalisation
from etchscope.preselect.calibrate import calibrate_detector
from etchscope.preselect.detector import (
    ClassicalDetector,
    Detector,
    LearnedDetector,
    detect_tiles,
)
from etchscope.preselect.finder import Finder
from etchscope.preselect.learned import fit_scale
from etchscope.preselect.lighting import Lighting
from etchscope.preselect.settings import FindSettings
from etchscope.preselect.table import complete

__all__ = ["find_pits"]


def _as_stack(stack: ArrayLike) -> tuple[RawStack, Bools]:
    """Return the (channel, y, x) pictures, and where none of them is masked, (y, x) bool."""
    shape = np.shape(stack)
    if len(shape) not in (2, 3) or min(shape[-2:]) < 16 or not shape[0]:
        raise BadInput("stack", "(channel, y, x) or (y, x), at least 16 px", f"{shape}")
    raw, ground = to_native(stack)
    if raw.ndim == 2:
        raw = raw[None]
    if not (np.isfinite(raw) & (raw >= 0)).all():
        raise BadInput("stack", "grey levels from 0", f"{raw.dtype} with values that are not")
    return raw, ground


def _channels(n: int, azimuths_deg: ArrayLike | None, roles: list[Role] | None) -> list[Channel]:
    given = np.asarray([] if azimuths_deg is None else azimuths_deg, float)
    if given.ndim != 1 or not np.isfinite(given).all():
        raise BadInput("azimuths_deg", "a list of angles in degrees", f"{given.tolist()}")
    azimuths = given.tolist()
    if roles is None:
        if not len(azimuths) <= n <= len(azimuths) + 2:
            raise BadInput(
                "stack",
                f"{len(azimuths)} directional pictures, then a backlit and a halo one",
                f"{n} pictures",
                hint="Give azimuths_deg, and roles where the order is another.",
            )
        lit: list[Role] = ["directional" for _ in azimuths]
        others: list[Role] = ["backlit", "halo"]
        roles = lit + others[: n - len(azimuths)]
    if (
        len(roles) != n
        or not set(roles) <= set(get_args(Role))
        or roles.count("directional") != len(azimuths)
    ):
        expected = f"directional, backlit or halo for each of {n}, {len(azimuths)} directional"
        raise BadInput("roles", expected, f"{roles}")
    lamps = iter(azimuths)
    return [
        Channel(step=k, role=r, azimuth_deg=next(lamps) if r == "directional" else None)
        for k, r in enumerate(roles, 1)
    ]


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
    settings: FindSettings | None = None,
    finder: Finder | None = None,
) -> pd.DataFrame:
    """Return the pits on the pictures of one tile, as a pit table.

    The average light and the noise are measured on these pictures alone. A store measures them on
    all tiles of a scan.

    Parameters
    ----------
    stack : (channel, y, x) or (y, x) grey levels of 0 or more; it may be a masked array.
    azimuths_deg : (n,) azimuths of the directional pictures, degrees counter-clockwise from +x,
        y up, from the pit towards the lamp; without them the surface is unknown.
    roles : role of each picture: directional, backlit or halo; by default the directional ones come
        first, then a backlit and a halo one.
    pixel_size_um : size of a pixel, needed for positions in mm (origin at the centre of the
        picture, y up) and for densities.
    thickness_um : thickness of the foil before etching; it limits how far from the entry pit of a
        slanted particle its exit pit may lie.
    removed_um : bulk that etching removed on each side; it sets the scale of depths and etch
        ratios.
    material : your name for the plastic, such as "CR-39" or "Makrofol"; its response gives energy
        losses.
    gradient_sign : 1, or −1 where the wall that faces the lamp is dark.
    settings : of the search.
    finder : the learned finder; without one the classical finder searches.

    Raises
    ------
    BadInput : there is no picture, or grey levels are negative or no numbers; there are one or two
        azimuths, or the roles do not fit the pictures; gradient_sign is not 1 or −1; a size, the
        thickness or the removed bulk is not positive; or the settings are no ``FindSettings``.

    Examples
    --------
    >>> from etchscope.simulation import Population, SimulatedScan
    >>> foil = SimulatedScan(seed=3, columns=1, rows=1, population=Population.of(20, 2))
    >>> pits = find_pits(foil.read_tile(1), azimuths_deg=foil.scan.azimuths_deg)
    >>> {"top", "bottom"} <= set(pits["surface"])
    True
    """
    raw, unmasked = _as_stack(stack)
    channels = tuple(_channels(len(raw), azimuths_deg, roles))
    if gradient_sign not in (-1, 1):
        raise BadInput("gradient_sign", "1 or -1", f"{gradient_sign!r}")
    _require_positive(pixel_size_um=pixel_size_um, thickness_um=thickness_um, removed_um=removed_um)
    scan = _scan_of(raw, channels, pixel_size_um, gradient_sign)
    settings = FindSettings() if settings is None else settings
    _require_settings(settings)
    detector = _fit_detector(raw, scan, settings, finder)
    etch = None if removed_um is None else {"removed_um": removed_um}
    foil = Foil(name="array", material=material, thickness_um=thickness_um, etch=etch)
    where = unmasked & find_foil_ground(raw, [c.role for c in channels])
    searched = detect_tiles([(1, raw)], detector, lambda _number, _raw: where)
    return complete(searched.table, scan, settings, foil=foil)[0]


def _require_settings(settings: object) -> None:
    if not isinstance(settings, FindSettings):
        hint = "Write FindSettings(threshold=6), for example."
        raise BadInput("settings", "FindSettings", type(settings).__name__, hint=hint)


def _require_positive(**sizes: float | None) -> None:
    for name, size in sizes.items():
        if size is not None and not 0 < size < np.inf:
            raise BadInput(name, "more than 0, or None", f"{size!r}")


def _scan_of(
    raw: RawStack, channels: tuple[Channel, ...], pixel_size_um: float | None, gradient_sign: int
) -> Scan:
    """Return the record of a scan that has the pictures as its only tile."""
    centre = None if pixel_size_um is None else 0.0
    height, width = raw.shape[1:]
    return Scan(
        name="array",
        foil="array",
        layout="plain",
        pixel_size_um=pixel_size_um,
        image_size=(height, width),
        channels=channels,
        gradient_sign=-1 if gradient_sign < 0 else 1,
        tiles=(Tile(number=1, stage_x_mm=centre, stage_y_mm=centre),),
    )


def _fit_detector(
    raw: RawStack, scan: Scan, settings: FindSettings, finder: Finder | None
) -> Detector:
    """Return the finder with its constants measured on the pictures themselves."""
    lighting = Lighting.of_scan(scan)
    normalisation = fit_normalisation([raw], Recipe())
    if finder is None:
        calibration = calibrate_detector([raw], normalisation, lighting, settings)
        return ClassicalDetector(normalisation, calibration, lighting, settings)
    constants = fit_scale([raw], normalisation, lighting, finder, settings)
    return LearnedDetector(normalisation, lighting, finder, constants, settings, scan.pixel_size_um)
