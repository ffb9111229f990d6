"""Frames and their transforms: tile pixels → stage millimetres → foil millimetres, and back.

In the frame of a tile, (0, 0) is the centre of the first pixel and y points down. In the frame of
the stage, mm, x points right and y up, and the microscope states the centre of each tile. The frame
of the foil, mm, y up, is seen from the front; see ``FoilFrame``.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from etchscope.foil.errors import BadInput
from etchscope.foil.records import Scan
from etchscope.foil.types import Bools, Floats
from etchscope.geometry.transforms import Similarity

__all__ = [
    "FoilFrame",
    "datum_holes_mm",
    "foil_frame",
    "foil_to_tile",
    "in_polygon",
    "stage_to_tile",
    "tile_to_foil",
    "tile_to_stage",
]


@dataclass(frozen=True)
class FoilFrame:
    """The rigid transform from stage to foil of one scan.

    foil = R(−angle_rad) · (M · stage − origin), where M mirrors x on a back scan.
    """

    origin_x_mm: float
    origin_y_mm: float
    angle_rad: float = 0.0
    mirrored: bool = False

    def from_stage(self, x_mm: Floats, y_mm: Floats) -> tuple[Floats, Floats]:
        """Return foil (x_mm, y_mm), each (n,), of points on the stage, mm."""
        x = (-x_mm if self.mirrored else x_mm) - self.origin_x_mm
        y = y_mm - self.origin_y_mm
        c, s = np.cos(self.angle_rad), np.sin(self.angle_rad)
        return x * c + y * s, y * c - x * s

    def to_stage(self, x_mm: Floats, y_mm: Floats) -> tuple[Floats, Floats]:
        """Return stage (x_mm, y_mm), each (n,), of points on the foil, mm."""
        c, s = np.cos(self.angle_rad), np.sin(self.angle_rad)
        x = x_mm * c - y_mm * s + self.origin_x_mm
        y = x_mm * s + y_mm * c + self.origin_y_mm
        return (-x if self.mirrored else x), y

    @property
    def transform(self) -> Similarity:
        """The same transform as a similarity, from "stage mm" to "foil mm"."""
        # A similarity mirrors first, as M does here.
        turn = Similarity(-self.angle_rad, mirrored=self.mirrored)
        c, s = np.cos(self.angle_rad), np.sin(self.angle_rad)
        x, y = self.origin_x_mm, self.origin_y_mm
        return turn.moved(-(x * c + y * s), -(y * c - x * s)).named("stage mm", "foil mm")


def _scale_mm(scan: Scan) -> float:
    if scan.pixel_size_um is None:
        raise BadInput(f"scan {scan.name}", "a pixel size", "none", "Give pixel_size_um.")
    return scan.pixel_size_um / 1000


def _positions(scan: Scan) -> dict[int, tuple[float, float]]:
    out = {}
    for tile in scan.tiles:
        if tile.stage_x_mm is None or tile.stage_y_mm is None:
            raise BadInput(f"scan {scan.name}: tile {tile.number}", "a stage position", "none")
        out[tile.number] = (tile.stage_x_mm, tile.stage_y_mm)
    return out


def tile_to_stage(
    x_px: Floats, y_px: Floats, tile_x_mm: Floats, tile_y_mm: Floats, scan: Scan
) -> tuple[Floats, Floats]:
    """Return stage (x_mm, y_mm), each (n,), of points in tiles.

    The centre of a tile is the pixel (width / 2, height / 2).

    Parameters
    ----------
    x_px, y_px : (n,) places in their tiles, y down.
    tile_x_mm, tile_y_mm : (n,) stage position of the centre of each point's tile.

    Raises
    ------
    BadInput : the scan has no pixel size.
    """
    height, width = scan.image_size
    mm = _scale_mm(scan)
    return tile_x_mm + (x_px - width / 2) * mm, tile_y_mm - (y_px - height / 2) * mm


def stage_to_tile(
    x_mm: Floats, y_mm: Floats, tile_x_mm: Floats, tile_y_mm: Floats, scan: Scan
) -> tuple[Floats, Floats]:
    """Return tile (x_px, y_px), each (n,), of points on the stage.

    This is the inverse of ``tile_to_stage``.

    Raises
    ------
    BadInput : the scan has no pixel size.
    """
    height, width = scan.image_size
    mm = _scale_mm(scan)
    return (x_mm - tile_x_mm) / mm + width / 2, height / 2 - (y_mm - tile_y_mm) / mm


def foil_frame(scan: Scan) -> FoilFrame:
    """Return the scan's foil frame: datum hole 1 is the origin, datum hole 3 lies on the x axis.

    Without three datum holes the frame is that of the stage with the origin at the centre of the
    tile of the lowest number. On a back scan x is reversed.

    Raises
    ------
    BadInput : a tile has no position, the scan has no scale, or datum holes 1 and 3 coincide.
    """
    positions = _positions(scan)
    mirrored = scan.side == "back"
    sign = -1.0 if mirrored else 1.0
    if len(scan.datum) < 3:
        x, y = positions[min(positions)]
        return FoilFrame(sign * x, y, 0.0, mirrored)
    holes = []
    for tile, x_px, y_px in scan.datum:
        tx, ty = positions[tile]
        hx, hy = tile_to_stage(np.array(x_px), np.array(y_px), np.array(tx), np.array(ty), scan)
        holes.append((sign * float(hx), float(hy)))
    dx, dy = holes[2][0] - holes[0][0], holes[2][1] - holes[0][1]
    if np.hypot(dx, dy) < _scale_mm(scan):
        raise BadInput(f"scan {scan.name}: datum", "holes 1 and 3 apart", "the same place")
    return FoilFrame(holes[0][0], holes[0][1], float(np.arctan2(dy, dx)), mirrored)


def datum_holes_mm(scan: Scan) -> tuple[tuple[float, float], ...]:
    """Return foil (x_mm, y_mm) of each datum hole; no hole where scale or positions are unknown.

    Raises
    ------
    BadInput : see ``tile_to_foil``.
    """
    if not scan.datum:
        return ()
    tile, x_px, y_px = zip(*scan.datum, strict=True)
    x, y = tile_to_foil(np.array(tile, np.int64), np.array(x_px), np.array(y_px), scan)
    places = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    return tuple(place for place in places if np.isfinite(place).all())


def tile_to_foil(
    tile: "np.ndarray[tuple[int], np.dtype[np.int64]]", x_px: Floats, y_px: Floats, scan: Scan
) -> tuple[Floats, Floats]:
    """Return foil (x_mm, y_mm), each (n,), of points in tiles.

    All are nan where the scan has no scale or no positions.

    Parameters
    ----------
    tile : (n,) int64 tile numbers.
    x_px, y_px : (n,) places in the tile, y down.

    Raises
    ------
    BadInput : the scan has no tile of that number.
    """
    placed = all(t.stage_x_mm is not None and t.stage_y_mm is not None for t in scan.tiles)
    if scan.pixel_size_um is None or not placed:
        return np.full(len(x_px), np.nan), np.full(len(x_px), np.nan)
    positions = _positions(scan)
    unknown = sorted(set(np.unique(tile).tolist()) - set(positions))
    if unknown:
        raise BadInput(f"scan {scan.name}", "tiles of the scan", f"tile {unknown[0]}")
    numbers = np.array(sorted(positions))
    centres = np.array([positions[n] for n in numbers.tolist()]).reshape(-1, 2)
    at = centres[np.searchsorted(numbers, tile)]
    stage = tile_to_stage(np.asarray(x_px), np.asarray(y_px), at[:, 0], at[:, 1], scan)
    return foil_frame(scan).from_stage(*stage)


def foil_to_tile(x_mm: Floats, y_mm: Floats, scan: Scan) -> pd.DataFrame:
    """Return the tile in which each point of the foil lies, and the place in that tile.

    Where several tiles show a point, the tile is the one whose edges are farthest from the point.
    A tile reaches from −0.5 to size − 0.5 px.

    Parameters
    ----------
    x_mm, y_mm : (n,) places in the scan's foil frame.

    Returns
    -------
    (n,) rows: ``tile`` Int64, ``x_px``, ``y_px`` float64, y down; null outside every tile.

    Raises
    ------
    BadInput : a tile has no position, or the scan no pixel size.
    """
    from scipy.spatial import KDTree  # here, since few callers need SciPy

    height, width = scan.image_size
    mm = _scale_mm(scan)
    positions = _positions(scan)
    numbers = np.array(sorted(positions))
    centres = np.array([positions[n] for n in numbers.tolist()]).reshape(-1, 2)
    stage = np.column_stack(foil_frame(scan).to_stage(np.asarray(x_mm), np.asarray(y_mm)))
    # In units of half a tile, a tile reaches 1 in x and in y from its middle, which lies half a
    # pixel beside the pixel (width / 2, height / 2).
    half = np.array([width, height]) / 2 * mm
    middle = centres + np.array([-mm / 2, mm / 2])
    distance, nearest = KDTree(middle / half).query(stage / half, p=np.inf)
    inside = distance <= 1 + 1e-9
    at = centres[nearest]
    x_px, y_px = stage_to_tile(stage[:, 0], stage[:, 1], at[:, 0], at[:, 1], scan)
    tile = pd.array(numbers[nearest], "Int64")
    tile[~inside] = pd.NA
    x_px, y_px = (np.where(inside, v, np.nan) for v in (x_px, y_px))
    return pd.DataFrame({"tile": tile, "x_px": x_px, "y_px": y_px})


def in_polygon(x: Floats, y: Floats, polygon: Floats) -> Bools:
    """Return whether points lie inside a polygon (even–odd rule), (n,) bool.

    Parameters
    ----------
    x, y : (n,) points in the unit of the polygon.
    polygon : (m, 2) corners, m ≥ 3; the last corner does not repeat the first.

    Raises
    ------
    BadInput : fewer than three corners.

    Examples
    --------
    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    >>> in_polygon(np.array([0.5, 2.0]), np.array([0.5, 0.5]), square).tolist()
    [True, False]
    """
    corners = np.asarray(polygon, float)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise BadInput("region of interest", "at least three [x, y] corners", f"{corners.shape}")
    inside = np.zeros(np.shape(x), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
