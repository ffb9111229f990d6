"""Maps of the whole scan: the mosaic with its pits, and the density of pits."""

import math
from collections.abc import Callable
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from etchscope.draw.figures import Figure, make_figure
from etchscope.draw.placement import Canvas, Placement
from etchscope.draw.style import COLOURS, RC
from etchscope.draw.tables import select_pairs, split_by_surface
from etchscope.foil import Scan
from etchscope.foil.types import FloatImage, Floats

__all__ = [
    "draw_density",
    "draw_mosaic",
    "fill_tile",
    "measure_area_mm2",
    "paint_mosaic",
    "project_tile",
]

MOSAIC_PX = 2400
"""Longer side of the raster of the mosaic."""
_DENSITY_PX = 1200
_FEW_TILES = 12
_CROWDED = 20_000
"""Number of pits from which on the markers are smaller."""
_PITS_PER_BIN = 16
_LEVELS = 24
"""Number of grey levels of the mosaic's background; few levels keep the file small."""


def measure_area_mm2(placement: Placement, scan: Scan) -> float | None:
    """Return the area of the included tiles, overlaps counted once; None without a scale.

    It is measured on a raster, with an accuracy of about 0.1 %.
    """
    if placement.mm2_per_area is None:
        return None
    canvas = Canvas.over(placement, _DENSITY_PX)
    pixels = int(canvas.coverage(t.number for t in scan.included).sum())
    return pixels * canvas.step**2 * placement.mm2_per_area


def paint_mosaic(
    canvas: Canvas,
    scan: Scan,
    thumbnails: Callable[[int], NDArray[Any]],
    progress: Callable[[int], None] | None = None,
) -> FloatImage:
    """Return the included tiles on the canvas, (rows, columns) float32, NaN where there is no tile.

    One tile is held in memory at a time.

    Parameters
    ----------
    thumbnails : tile number → its picture, (y, x), any real dtype.
    progress : called with the number of tiles just drawn.
    """
    out = np.full(canvas.shape, np.nan, np.float32)
    for tile in scan.included:
        fill_tile(out, canvas, tile.number, project_tile(canvas, tile.number, thumbnails))
        if progress is not None:
            progress(1)
    return out


def project_tile(
    canvas: Canvas, number: int, thumbnails: Callable[[int], NDArray[Any]]
) -> NDArray[np.float32]:
    """Return the grey levels of the canvas pixels inside a tile, (n,) float32, row by row.

    Parameters
    ----------
    number : of the tile.
    thumbnails : tile number → its picture, (y, x), any real dtype.
    """
    picture: NDArray[Any] = np.asarray(thumbnails(number), np.float32)
    m = canvas.from_tile(number)
    shrink = float(np.sqrt(abs(np.linalg.det(m[:, :2]))))
    height, width = picture.shape
    if shrink < 1:
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        fx, fy = width / size[0], height / size[1]
        # Pixel i of the small picture is centred at (i + 1/2)·f − 1/2 of the large one.
        m = m @ np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]])
    (rows, columns), is_in = canvas.inside(number)
    m = m - np.array([[0, 0, columns.start], [0, 0, rows.start]])
    warped = cv2.warpAffine(
        picture, m, is_in.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped[is_in])


def fill_tile(
    picture: FloatImage, canvas: Canvas, number: int, levels: NDArray[np.float32]
) -> None:
    """Write the grey levels of a tile, see ``project_tile``, into a picture of the canvas."""
    window, is_in = canvas.inside(number)
    picture[window][is_in] = levels


@mpl.rc_context(RC)
def draw_mosaic(
    canvas: Canvas, picture: FloatImage, scan: Scan, pits: pd.DataFrame, title: str
) -> Figure:
    """Return the mosaic with every pit in the colour of its surface, and pairs linked.

    Parameters
    ----------
    picture : (rows, columns) float32 of the canvas, see ``paint_mosaic``.
    scan, pits : the scan and its pit table.
    title : of the figure.
    """
    figure, ax = _map_axes(canvas, title, dpi=200)
    low, high = _limits(picture)
    # The picture takes the upper part of the grey scale only, so that the pits stand out.
    washed = 0.35 + 0.6 * np.clip((picture - low) / (high - low), 0, 1)
    levels = np.ma.masked_invalid(np.rint(washed * _LEVELS) / _LEVELS)
    ax.imshow(levels, extent=canvas.extent, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    _mark_excluded(ax, canvas.placement, scan)
    diameter = 2 * float(pits["radius_px"].median()) if pits["radius_px"].notna().any() else 8.0
    shrink = float(np.sqrt(abs(np.linalg.det(canvas.from_tile(scan.tiles[0].number)[:, :2]))))
    floor = 1.6 if len(pits) < _CROWDED else 1.0
    points = max(floor, diameter * shrink * _points_per_pixel(ax, canvas))
    handles = []
    for surface, rows in split_by_surface(pits).items():
        if len(rows):
            x, y = canvas.placement.points(rows["tile"], rows["x_px"], rows["y_px"])
            face = COLOURS[surface] if points < 4 else "none"
            style: dict[str, Any] = {
                "ls": "none",
                "marker": "o",
                "mew": 0.7,
                "mfc": face,
                "mec": COLOURS[surface],
            }
            ax.plot(x, y, ms=points, **style)
            marks = int(rows["length_px"].notna().sum())
            label = f"{surface} ({len(rows):,}{f', {marks:,} of them marks' if marks else ''})"
            handles.append(Line2D([], [], ms=6, label=label, **style))
    pairs = select_pairs(pits)
    if len(pairs):
        links = _segments(canvas.placement, pairs)
        # Each pair gets a ring, or a dot if so many rings would cover everything.
        is_ring = len(pairs) < _CROWDED / 10
        ring: dict[str, Any] = {"ls": "none", "marker": "o", "mec": COLOURS["pair"]}
        ring |= {"mew": 1.1, "mfc": "none"} if is_ring else {"mew": 0, "mfc": COLOURS["pair"]}
        size = max(1.8 * points, 6) if is_ring else 1.6 * points
        ax.plot(*links.mean(axis=1).T, ms=size, **ring)
        ax.add_collection(LineCollection(list(links), colors=COLOURS["pair"], lw=1.1))
        handles.append(Line2D([], [], ms=9, label=f"pair ({len(pairs):,})", **ring))
    _legend(figure, scan, handles)
    return figure


@mpl.rc_context(RC)
def draw_density(
    placement: Placement, scan: Scan, pits: pd.DataFrame, *, title: Callable[[str], str]
) -> Figure:
    """Return the map of pits per area with logarithmic colours; excluded tiles are hatched.

    Parameters
    ----------
    scan, pits : the scan and its pit table.
    title : makes the title from the range of densities in words, for example "3–120 pits/mm²".
    """
    canvas = Canvas.over(placement, _DENSITY_PX)
    covered_x, covered_y = canvas.centres(canvas.coverage(t.number for t in scan.included))
    edges = _bins(canvas, len(pits), len(covered_x))
    area = np.histogram2d(covered_x, covered_y, edges)[0] * canvas.step**2
    x, y = placement.points(pits["tile"], pits["x_px"], pits["y_px"])
    count = np.histogram2d(x, y, edges)[0]
    # The density in a bin of which less than a fifth was scanned is too uncertain.
    whole = np.diff(edges[0])[:, None] * np.diff(edges[1])[None, :]
    in_mm = placement.mm2_per_area is not None
    unit, factor = ("mm²", placement.mm2_per_area or 1.0) if in_mm else ("10⁶ px", 1e-6)
    density = np.where(area > 0.2 * whole, count / np.maximum(area * factor, 1e-300), np.nan)
    seen = density[density > 0]
    low, high = (seen.min(), seen.max()) if len(seen) else (1.0, 10.0)
    ends = dict.fromkeys((f"{low:.3g}", f"{high:.3g}"))
    span = f"{'–'.join(ends)} pits/{unit}" if len(seen) else "no pits"
    figure, ax = _map_axes(canvas, title(span), dpi=130, fill=0.8)
    ax.set_facecolor("#eeeeee")
    norm = LogNorm(low, high) if high > 1.01 * low else LogNorm(low / 2, high * 2)
    zero = np.ma.masked_where(~(density == 0), density)
    ax.pcolormesh(*edges, zero.T, cmap="gray", vmin=-1, vmax=0.02, rasterized=True)
    shown = np.ma.masked_where(~(density > 0), density)
    mesh = ax.pcolormesh(*edges, shown.T, norm=norm, cmap="cividis", rasterized=True)
    _mark_excluded(ax, placement, scan)
    bar = figure.colorbar(mesh, ax=ax, shrink=0.8, pad=0.02, ticks=_one_two_five(norm))
    bar.ax.yaxis.set_major_formatter("{x:.3g}")
    bar.ax.yaxis.set_minor_formatter("")
    bar.set_label(f"pits per {unit}")
    handles = [
        Patch(fc="#eeeeee", ec="#999999", label="not scanned"),
        Patch(fc="white", ec="#999999", label="scanned, no pit"),
    ]
    _legend(figure, scan, handles)
    return figure


def _bins(canvas: Canvas, n_pits: int, n_pixels: int) -> tuple[Floats, Floats]:
    """Return x and y edges of square bins of about 16 pits.

    Their side is 1/6 of a tile at least and 1/6 of the map at most. In a grid of many tiles, where
    neighbours are unrelated, each tile is a bin.
    """
    left, right, bottom, top = canvas.extent
    if canvas.placement.unit == "px" and len(canvas.placement.affines) > _FEW_TILES:
        corners = np.array([m[:, 2] for m in canvas.placement.affines.values()]) - 0.5
        x, y = (np.unique(c) for c in corners.T)
        return np.append(x, max(left, right)), np.append(y, max(bottom, top))
    spans = abs(right - left), abs(top - bottom)
    tile = min(canvas.placement.image_size) * float(
        np.sqrt(abs(np.linalg.det(next(iter(canvas.placement.affines.values()))[:, :2])))
    )
    ideal = canvas.step * float(np.sqrt(n_pixels * _PITS_PER_BIN / max(n_pits, 1)))
    side = max(min(ideal, max(spans) / 6), tile / 6)
    numbers = [max(1, round(span / side)) for span in spans]
    low = min(left, right), min(bottom, top)
    x, y = (np.linspace(a, a + s, n + 1) for a, s, n in zip(low, spans, numbers, strict=True))
    return x, y


def _one_two_five(norm: LogNorm) -> list[float]:
    """Return 1, 2, 5, 10, … within a logarithmic scale; its ends if none of them lies within."""
    low, high = float(norm.vmin or 1), float(norm.vmax or 10)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]
    return ticks or [low, high]


def _limits(picture: FloatImage) -> tuple[float, float]:
    values = picture[::4, ::4]
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values, [0.5, 99.5]))
    return low, max(high, low + 1e-6)


def _segments(placement: Placement, pairs: pd.DataFrame) -> Floats:
    start = placement.points(pairs["tile"], pairs["x_px"], pairs["y_px"])
    x, y = pairs["x_px"] + pairs["pair_dx_px"], pairs["y_px"] + pairs["pair_dy_px"]
    end = placement.points(pairs["tile"], x, y)
    lines = np.stack([np.column_stack(start), np.column_stack(end)], axis=1)
    return lines[np.isfinite(lines).all(axis=(1, 2))]


def _map_axes(canvas: Canvas, title: str, *, dpi: int, fill: float = 0.92) -> tuple[Figure, Axes]:
    rows, columns = canvas.shape
    width = 12.0
    height = min(max(width * fill * rows / columns + 1.3, 3.0), 16.0)
    figure = make_figure(width, height, title, dpi=dpi)
    ax = figure.add_subplot()
    left, right, bottom, top = canvas.extent
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    if canvas.placement.unit == "mm":
        ax.set(xlabel="foil x (mm)", ylabel="foil y (mm)")
    else:
        ax.set(xlabel="x in the grid of tiles (px)", ylabel="y in the grid of tiles (px, down)")
    return figure, ax


def _points_per_pixel(ax: Axes, canvas: Canvas) -> float:
    """Return the typographic points per raster pixel, approximately."""
    figure = ax.get_figure()
    width = figure.get_size_inches()[0] if isinstance(figure, Figure) else 12.0
    return float(0.9 * 72 * width / canvas.shape[1])


def _mark_excluded(ax: Axes, placement: Placement, scan: Scan) -> None:
    outlines = [placement.outline(t.number) for t in scan.tiles if t.excluded]
    if outlines:
        ax.add_collection(
            PolyCollection(outlines, facecolors="#f4f4f4", edgecolors="#888888", hatch="////")
        )


def _legend(figure: Figure, scan: Scan, handles: list[Any]) -> None:
    if any(t.excluded for t in scan.tiles):
        handles = [*handles, Patch(fc="#f4f4f4", ec="#888888", hatch="////", label="excluded")]
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
