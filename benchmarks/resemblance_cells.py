"""Cells of real and of simulated backlit pictures, and what is measured of them.

A *cell* is a small square picture centred on a dark pit that a scanner accepted. Simulated cells
are cut by stated criteria out of simulated tiles; then both kinds go through the same measures.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, FloatImage, Floats, Ints

__all__ = [
    "CELL_PX",
    "CURVES",
    "MEASURES",
    "SCALARS",
    "VISIBLE",
    "CellMeasures",
    "barred",
    "cut_cells",
    "distinct",
    "measure",
]

Cells = NDArray[np.uint8]
"""(cell, y, x) grey levels, ``CELL_PX`` high and wide."""

CELL_PX = 63
VISIBLE = (slice(1, 51), slice(1, 62))
"""(y, x) of a cell that is measured: no line between cells, no printed position below."""

RADII_PX = np.arange(21.0)
"""Radii of the profile of the central pit."""
FREQUENCIES = np.linspace(0.04, 0.5, 12)
"""Edges of the spectrum's bins, cycles per pixel."""
GREY_EDGES = np.r_[np.linspace(0, 0.98, 15), np.inf]
"""Edges of the histogram of grey levels, as shares of the ground."""

SCALARS: Mapping[str, str] = {
    "diameter_px": "size: diameter of the circle of equal area, px",
    "contrast": "contrast: 1 − darkest half of the pit / ground",
    "glints": "light inside: rms of grey in the pit / ground",
    "discs": "density: other dark discs in the cell",
    "rings": "density: bright areas that dark lines enclose in the cell",
    "ring_px": "size of those areas: median diameter, px",
    "dark_share": "texture: share of the area outside discs below 0.6 of the ground",
}
"""Measures of one number a cell, and what they are."""
CURVES: Mapping[str, str] = {
    "profile": "radial profile: grey / ground around the pit's centre",
    "spectrum": "texture: log₁₀ of the power spectrum outside discs",
    "greys": "texture: histogram of grey / ground outside discs",
}
"""Measures of one curve a cell."""
MEASURES: Mapping[str, str] = {**SCALARS, **CURVES}

_DARK = 0.4  # of the ground: below is pit
_WIDE_PX = 7  # what is thinner than this is a ring's wall, not a disc
_BOX_PX = (12, 27)  # accepted sides of the box around a dark disc (or of two that touch)
_FILL = 0.5  # least share of its box that an accepted disc fills
_MISSED_PX = 13.0  # the scanner's centre is off by no more than this


@dataclass(frozen=True)
class CellMeasures:
    """What was measured of a set of cells; all rows in the order of the cells.

    ``table`` has a row a cell with the columns of ``SCALARS`` (NaN: nothing to measure, as the
    size of rings where there are none) and ``offset_x_px, offset_y_px`` of the pit from the
    cell's centre. ``profile`` (cell, radius) is float64 grey / ground at ``RADII_PX``, NaN
    outside the cell; ``spectrum`` (cell, frequency) log₁₀ power between ``FREQUENCIES``;
    ``greys`` (cell, level) the share of the area between ``GREY_EDGES``. A cell without a dark
    disc near its centre is NaN in every column that is about this pit; ``found`` says which.
    """

    table: pd.DataFrame
    profile: Floats
    spectrum: Floats
    greys: Floats

    @property
    def found(self) -> Bools:
        """Whether a dark disc is near the cell's centre, (cell,) bool."""
        return self.table["diameter_px"].notna().to_numpy()

    def take(self, which: Ints) -> "CellMeasures":
        """Return the measures of some cells, by number."""
        table = self.table.iloc[which].reset_index(drop=True)
        return CellMeasures(table, self.profile[which], self.spectrum[which], self.greys[which])

    def __len__(self) -> int:
        return len(self.table)


def _ground(picture: FloatImage) -> float:
    """Return the grey level of the bulk: what a tenth of the picture exceeds, if it is not flat."""
    return max(float(np.quantile(picture, 0.9)), 1.0)


def _discs(picture: FloatImage) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
    """Return labels (y, x), (n, 5) x, y, width, height, area, and (n, 2) centres of dark discs.

    Disc 0 is the background. ``picture`` is grey / ground. Walls of rings are opened away.
    """
    dark = (cv2.blur(picture, (3, 3)) < _DARK).astype(np.uint8)
    wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_WIDE_PX, _WIDE_PX))
    dark = np.asarray(cv2.morphologyEx(dark, cv2.MORPH_OPEN, wide), np.uint8)
    _, labels, boxes, centres = cv2.connectedComponentsWithStats(dark, connectivity=8)
    return np.asarray(labels, np.int32), np.asarray(boxes, np.int32), np.asarray(centres, float)


def cut_cells(
    picture: NDArray[np.uint8], *, rng: np.random.Generator | None = None, wander_px: float = 0.0
) -> Cells:
    """Return the cells around the dark discs of a tile that pass the cut.

    A disc is a region darker than 0.4 of the ground in which a disc of 7 px fits everywhere. It is
    accepted if both sides of its box are 12 to 27 px, it fills half of its box, and the cell lies
    inside the picture; the cell is centred on the box. The limits are those that the real cells'
    discs show.

    Parameters
    ----------
    picture : (y, x) grey levels of one tile.
    rng, wander_px : by how much the scanner misses the centre, rms per axis, at most 12 px.

    Returns
    -------
    (cell, y, x) uint8, from the top of the picture down; there may be none.

    Raises
    ------
    BadInput : a picture smaller than a cell.
    """
    height, width = picture.shape
    if min(height, width) < CELL_PX:
        raise BadInput("picture", f"at least {CELL_PX} px a side", f"{width} × {height}")
    half = CELL_PX // 2
    light = picture.astype(np.float32)
    _, boxes, _ = _discs(light / np.float32(_ground(light)))
    out = []
    for x, y, w, h, area in boxes[1:]:
        miss = np.zeros(2) if rng is None else rng.normal(0, wander_px, 2).clip(-12, 12)
        if not (_BOX_PX[0] <= min(w, h) and max(w, h) <= _BOX_PX[1] and area >= _FILL * w * h):
            continue
        column = round(x + (w - 1) / 2 + miss[0]) - half
        row = round(y + (h - 1) / 2 + miss[1]) - half
        if 0 <= row <= height - CELL_PX and 0 <= column <= width - CELL_PX:
            out.append(picture[row : row + CELL_PX, column : column + CELL_PX])
    return np.stack(out) if out else np.zeros((0, CELL_PX, CELL_PX), np.uint8)


def barred(cells: Cells) -> Bools:
    """Return whether a cell has a black bar across it, as where a scan ended; (cell,) bool.

    Of the lines of a cell, its border left out, two or more are black all along.
    """
    inside = cells[:, 2:-2, 2:-2] == 0
    return np.asarray((inside.all(axis=2).sum(axis=1) > 1) | (inside.all(axis=1).sum(axis=1) > 1))


def distinct(cells: Cells, *, limit: float = 0.86) -> Ints:
    """Return the numbers of cells that show different pits, the first of each group.

    A scanner that sees a pit in two of its frames lists it twice. Two cells are one if the middle
    of one is found in the other with a normalised correlation over ``limit``.

    Parameters
    ----------
    cells : (cell, y, x); pixels outside ``VISIBLE`` are not used.
    """
    seen = [np.ascontiguousarray(cell[VISIBLE], dtype=np.float32) for cell in cells]
    same = np.eye(len(seen), dtype=bool)
    for i, one in enumerate(seen):
        middle = one[10:40, 10:51]
        for j, other in enumerate(seen):
            if i != j:
                found = cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED)
                same[i, j] = float(found.max()) > limit
    if not len(seen):
        return np.zeros(0, np.int64)
    _, group = connected_components(same, directed=False)
    return np.sort(np.unique(group, return_index=True)[1]).astype(np.int64)


def measure(cells: Cells) -> CellMeasures:
    """Return the measures of a set of cells.

    Parameters
    ----------
    cells : (cell, y, x) uint8; only ``VISIBLE`` is measured.

    Raises
    ------
    BadInput : no cell, or cells of another size.
    """
    if cells.ndim != 3 or cells.shape[1:] != (CELL_PX, CELL_PX) or not len(cells):
        raise BadInput("cells", f"some of {CELL_PX} × {CELL_PX} px", f"shape {cells.shape}")
    rows, profiles, spectra, greys = [], [], [], []
    for cell in cells:
        light = np.ascontiguousarray(cell[VISIBLE], dtype=np.float32)
        light /= np.float32(_ground(light))
        labels, boxes, centres = _discs(light)
        number = _central(centres)
        pit, profile = _pit(light, labels, boxes, centres, number)
        around = np.asarray(labels > 0, np.uint8)
        outside = np.asarray(cv2.dilate(around, np.ones((7, 7), np.uint8)) == 0)
        others = len(boxes) - 1 - (number is not None)
        rows.append({**pit, "discs": float(others), **_texture(light, outside)})
        profiles.append(profile)
        spectra.append(_spectrum(light, outside))
        levels = light[outside] if outside.any() else light.ravel()
        greys.append(np.histogram(levels, GREY_EDGES)[0] / levels.size)
    table = pd.DataFrame(rows)[[*SCALARS, "offset_x_px", "offset_y_px"]]
    return CellMeasures(table, np.array(profiles), np.array(spectra), np.array(greys))


def _middle() -> tuple[float, float]:
    """Return (x, y) of a cell's centre in its visible part."""
    return CELL_PX // 2 - VISIBLE[1].start, CELL_PX // 2 - VISIBLE[0].start


def _central(centres: Floats) -> int | None:
    """Return the number of the disc nearest to the centre; None if there is none near."""
    if len(centres) < 2:
        return None
    x, y = _middle()
    away = np.hypot(centres[1:, 0] - x, centres[1:, 1] - y)
    return int(away.argmin()) + 1 if away.min() <= _MISSED_PX else None


def _pit(
    light: FloatImage,
    labels: NDArray[np.int32],
    boxes: NDArray[np.int32],
    centres: Floats,
    number: int | None,
) -> tuple[dict[str, float], Floats]:
    """Return the measures and the profile of the central pit, NaN where there is none."""
    names = ("diameter_px", "contrast", "glints", "offset_x_px", "offset_y_px")
    profile = np.full(len(RADII_PX), np.nan)
    if number is None:
        return dict.fromkeys(names, np.nan), profile
    x0, y0 = centres[number]
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    ring = np.rint(np.hypot(x - x0, y - y0)).astype(np.int64)
    ring[round(y0), round(x0)] = 0  # no pixel may lie within half a pixel of the centre
    total = np.bincount(ring.ravel(), light.ravel(), minlength=len(RADII_PX))
    count = np.bincount(ring.ravel(), minlength=len(RADII_PX))
    known = count[: len(RADII_PX)] > 0
    profile[known] = (total[: len(RADII_PX)] / np.maximum(count[: len(RADII_PX)], 1))[known]
    core = np.asarray(labels == number, np.uint8)
    core = np.asarray(cv2.erode(core, np.ones((3, 3), np.uint8), iterations=2))
    inner = light[(core if core.any() else labels == number) > 0]
    darkest = np.sort(inner)[: max(inner.size // 2, 1)]
    middle_x, middle_y = _middle()
    values = {
        "diameter_px": 2 * np.sqrt(boxes[number, 4] / np.pi),
        "contrast": 1 - float(darkest.mean()),
        "glints": float(inner.std()),
        "offset_x_px": x0 - middle_x,
        "offset_y_px": y0 - middle_y,
    }
    return values, profile


def _texture(light: FloatImage, outside: Bools) -> dict[str, float]:
    """Return the measures of what lies around the discs."""
    bright = np.asarray(light >= 0.75, np.uint8)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
    height, width = light.shape
    x, y, w, h, area = boxes[1:].T
    closed = (x > 0) & (y > 0) & (x + w < width) & (y + h < height) & (area >= 4) & (area <= 200)
    # What lies inside a dark disc is its glint.
    numbers = np.flatnonzero(closed) + 1
    numbers = np.intersect1d(numbers, labels[outside])
    areas = boxes[numbers, 4]
    size = float(np.median(2 * np.sqrt(areas / np.pi))) if len(areas) else np.nan
    dark = float((light[outside] < 0.6).mean()) if outside.any() else np.nan
    return {"rings": float(len(areas)), "ring_px": size, "dark_share": dark}


def _spectrum(light: FloatImage, outside: Bools) -> Floats:
    """Return log₁₀ of the power a frequency bin of what lies outside discs."""
    height, width = light.shape
    window = np.outer(np.hanning(height), np.hanning(width)) * outside
    weight = max(float(window.sum()), 1e-9)
    rest = (light - float((light * window).sum()) / weight) * window
    power = np.abs(np.fft.rfft2(rest)) ** 2 / max(float((window**2).sum()), 1e-9)
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    which = np.digitize(f.ravel(), FREQUENCIES)
    bins = len(FREQUENCIES) - 1
    total = np.bincount(which, power.ravel(), minlength=bins + 2)[1 : bins + 1]
    count = np.bincount(which, minlength=bins + 2)[1 : bins + 1]
    return np.asarray(np.log10(total / np.maximum(count, 1) + 1e-8))
