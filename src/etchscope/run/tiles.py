"""The tiles of a scan that are searched, and the ground on them."""

import numpy as np

from etchscope.foil import BadInput, Scan
from etchscope.foil.types import Bools, Floats, RawStack
from etchscope.geometry import Mask, foil_frame, in_polygon
from etchscope.imaging import Normalisation, find_foil_ground
from etchscope.imaging.ground import LARGEST_PX
from etchscope.preselect import FindSettings, Ground, Lighting
from etchscope.store import Store
from etchscope.store.records import RunRecord

__all__ = ["choose_tiles", "ground_of", "require_searched_tiles"]


def choose_tiles(
    store: Store, scan: Scan, region: Floats | None
) -> tuple[tuple[int, ...], Mask | None]:
    """Return the included tiles that a region and the mask may touch, and the scan's mask.

    Reads no picture.

    Parameters
    ----------
    region : (m, 2) polygon in foil mm, or None.

    Raises
    ------
    BadInput : no tile is left, there is a region and the scan has no positions, or the lights do
        not suffice.
    """
    Lighting.of_scan(scan)
    mask = store.fits.mask(scan.name)
    tiles = _near(scan, None if region is None else np.asarray(region, np.float64))
    if mask is not None:
        touched = set(mask.touched(scan))
        tiles = tuple(n for n in tiles if n in touched)
        if not tiles:
            raise BadInput(f"scan {scan.name}: mask", "a tile to search in it", "none")
    return tiles, mask


def _near(scan: Scan, region: Floats | None) -> tuple[int, ...]:
    """Return the included tiles that the region may touch."""
    tiles, hint = scan.included, "Include some tiles."
    if region is not None:
        if scan.pixel_size_um is None or any(t.stage_x_mm is None for t in scan.tiles):
            raise BadInput("region of interest", "a scan with positions and a scale", scan.name)
        if not np.isfinite(region).all():
            raise BadInput("region of interest", "corners in mm", "one that is no number")
        in_polygon(np.zeros(1), np.zeros(1), region)
        height, width = (n * scan.pixel_size_um / 1000 for n in scan.image_size)
        place = np.array([(t.stage_x_mm, t.stage_y_mm) for t in tiles], float).reshape(-1, 2)
        x, y = foil_frame(scan).from_stage(place[:, 0], place[:, 1])
        reach = np.hypot(height, width) / 2
        low, high = region.min(axis=0) - reach, region.max(axis=0) + reach
        near = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
        tiles = tuple(t for t, is_near in zip(tiles, near.tolist(), strict=True) if is_near)
        hint = "Include some tiles, or choose another region."
    if not tiles:
        raise BadInput(f"scan {scan.name}", "at least one tile to search", "none", hint=hint)
    return tuple(t.number for t in tiles)


def ground_of(
    scan: Scan, normalisation: Normalisation, settings: FindSettings, mask: Mask | None
) -> Ground:
    """Return a function that gives the searched ground of a tile: foil within the mask."""
    levels = normalisation.gain
    roles = [c.role for c in scan.channels]
    largest = max(LARGEST_PX, settings.largest_radius_px)
    inside = None if mask is None else mask.on_scan(scan)

    def where(number: int, raw: RawStack) -> Bools:
        ground = find_foil_ground(
            raw,
            roles,
            largest_radius_px=largest,
            margin_px=settings.largest_radius_px,
            levels=levels,
        )
        return ground if inside is None else ground & inside(number)

    return where


def require_searched_tiles(run: str, record: RunRecord, scan: Scan) -> tuple[int, ...]:
    """Return the tiles that a run has searched and that are still included, in its order.

    Raises
    ------
    BadInput : there is none.
    """
    included = {t.number for t in scan.included} - {number for number, _ in record.left_out}
    numbers = tuple(n for n in record.tiles if n in included)
    if not numbers:
        hint = "Include some tiles, or search the scan again."
        raise BadInput(f"run {run}", "a searched tile that is included", "none", hint=hint)
    return numbers
