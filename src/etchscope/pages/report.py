"""Write a report: its figures as files, and one HTML page that holds them all."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from etchscope.draw.closeups import draw_closeups, draw_cutouts
from etchscope.draw.ellipses import draw_tile_sheet
from etchscope.draw.features import draw_features
from etchscope.draw.maps import (
    MOSAIC_PX,
    draw_density,
    draw_mosaic,
    measure_area_mm2,
)
from etchscope.draw.pairs import draw_pairs
from etchscope.draw.placement import Canvas, Placement, grid_columns, place_tiles
from etchscope.draw.png import encode_rgb
from etchscope.draw.shapes import draw_shapes
from etchscope.draw.tables import select_pairs
from etchscope.draw.vector import FigureFormat, encode_formats
from etchscope.files.atomic import delete
from etchscope.files.locks import hold_lock
from etchscope.foil.types import FloatImage
from etchscope.pages.content import ReportContent
from etchscope.pages.mosaic import paint_in_pieces
from etchscope.pages.page import render_figure, render_page
from etchscope.pages.sections import (
    render_candidates,
    render_evaluation,
    render_identity,
    render_left_out,
    render_pairs,
)
from etchscope.pages.words import (
    describe_features,
    describe_mosaic,
    describe_pairs,
    describe_shapes,
    make_cards,
)
from etchscope.pages.writing import make_page_folder, write_page, write_picture

__all__ = ["write_report"]

_FIRST_PAIRS = 50
_FIRST_CANDIDATES = 25
_SHEET_PX = 3200
"""Greatest side of a contact sheet; a larger scan gets a mosaic."""

_PARTS = ".mosaic.partial"
"""Folder of the parts of the mosaic, within that of the report."""

_LOCK = ".report.lock"

_CAPTIONS = {
    "mosaic": "Every pit at its place, by surface; in–out pairs have a ring and a link. "
    "Coordinates are millimetres of the foil with y up, or, for a grid of tiles without positions, "
    "pixels with y down.",
    "contact_sheet": "Every tile of the scan, numbered; ellipses are the measured openings.",
    "density": "Pits per scanned area. Overlaps count once, and bins of which less than a fifth "
    "was scanned are left out.",
    "closeups": "Tiles of the best pairs and tiles with the most pits, enlarged. Ellipses are the "
    "measured openings; pairs are linked from entry to exit pit.",
    "features": "Entry and exit are the log odds of a top pit and of a bottom pit; from the "
    "classical finder, responses in σ of the noise. Hip is large for pairs. A pit is drawn where "
    "it has the values of all axes: the learned finder gives a single pit only entry or exit.",
    "shapes": "Values beyond the axes are in the outermost bins.",
    "pairs": "Left: displacement from entry to exit pit, as seen in the picture. Middle and right: "
    "pair_p is the probability that density alone makes a pair at least as good; dashed, the most "
    "that unrelated pits would make.",
}


@dataclass(frozen=True)
class _Drawing:
    """A figure of the report: its heading, and its bytes by the suffix of the file."""

    heading: str
    files: dict[str, bytes]


def write_report(
    content: ReportContent,
    directory: Path,
    *,
    form: FigureFormat = "png",
    workers: int | None = None,
    executor: str = "threads",
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write the figures and ``report.html`` into a folder, and return the path of the page.

    The page stands alone: it holds its pictures, and needs no script and no network. A worker reads
    one tile at a time, so memory does not grow with the scan. The same content gives the same
    bytes. A report that was killed goes on with the tiles that are not in the mosaic yet, if it is
    written into the same folder again.

    Parameters
    ----------
    directory : is made if it is absent; files of the same names are replaced.
    form : besides PNG, figures are written in this format; a contact sheet is a picture of pixels
        and has PNG only.
    workers : threads or processes that read tiles; as many as there are cores unless given.
    executor : name of what reads the tiles of the mosaic, see ``run.executors``.
    progress : called with the number of tiles just drawn into the mosaic.

    Raises
    ------
    BadInput : the directory is a file, no such executor, or a damaged picture.
    MachineFailed : the disk is full, or a worker process was lost.
    """
    folder = make_page_folder(directory, what="report")
    parts = folder / _PARTS

    def paint(canvas: Canvas) -> FloatImage:
        return paint_in_pieces(
            canvas, content, parts, workers=workers, executor=executor, progress=progress
        )

    with hold_lock(folder / _LOCK, f"{folder}: writing a report"):
        page = _write_pages(content, folder, form, paint)
        delete(parts)
    return page


def _write_pages(
    content: ReportContent, folder: Path, form: FigureFormat, paint: Callable[[Canvas], FloatImage]
) -> Path:
    """Write figures and page; ``paint`` makes the mosaic's background."""
    placement = place_tiles(content.scan)
    figures = _draw_figures(content, placement, form, paint)
    pairs = select_pairs(content.pits).head(_FIRST_PAIRS)
    small = draw_cutouts(pairs, content.pits, content.thumbnails)
    best = None if content.candidates is None else content.candidates.head(_FIRST_CANDIDATES)
    shown = [] if best is None else draw_cutouts(best, content.pits, content.thumbnails)
    text = _page(content, measure_area_mm2(placement, content.scan), figures, small, shown)
    for name, drawing in figures.items():
        for suffix, data in drawing.files.items():
            write_picture(data, folder / f"{name}.{suffix}")
    return write_page(text, folder / "report.html")


def _draw_figures(
    content: ReportContent,
    placement: Placement,
    form: FigureFormat,
    paint: Callable[[Canvas], FloatImage],
) -> dict[str, _Drawing]:
    """Return name → drawing in the order of the page; ``paint`` makes the mosaic's background."""
    scan, pits, openings = content.scan, content.pits, content.openings
    out: dict[str, _Drawing] = {}
    scale = _sheet_scale(content, placement)
    if scale is not None:
        sheet = draw_tile_sheet(scan, pits, content.thumbnails, scale=scale)
        out["contact_sheet"] = _Drawing("Contact sheet", {"png": encode_rgb(sheet)})
    else:
        canvas = Canvas.over(placement, MOSAIC_PX)
        picture = paint(canvas)
        figure = draw_mosaic(canvas, picture, scan, pits, describe_mosaic(content))
        out["mosaic"] = _Drawing("Mosaic", encode_formats(figure, form))
        del picture, figure
    figure = draw_density(placement, scan, pits, title=lambda densities: f"Density: {densities}")
    out["density"] = _Drawing("Density", encode_formats(figure, form))
    if len(pits):
        best = "tiles of the best pairs, and " if len(select_pairs(pits)) else ""
        title = f"Close-ups: {best}tiles with the most pits"
        figure = draw_closeups(
            pits,
            content.thumbnails,
            title,
            evaluation=content.evaluation,
            pixel_size_um=scan.pixel_size_um,
        )
        out["closeups"] = _Drawing("Close-ups", encode_formats(figure, form))
        # With one channel some responses do not exist, and a single one makes no plot.
        if pits[["entry", "exit", "hip"]].notna().any().sum() > 1:
            figure = draw_features(openings, describe_features(openings))
            out["features"] = _Drawing("Feature space", encode_formats(figure, form))
        title = describe_shapes(openings, scan.pixel_size_um)
        figure = draw_shapes(openings, scan.pixel_size_um, title)
        out["shapes"] = _Drawing("Shapes", encode_formats(figure, form))
    if len(select_pairs(pits)):
        out["pairs"] = _Drawing(
            "Pairs", encode_formats(draw_pairs(pits, describe_pairs(pits)), form)
        )
    return out


def _sheet_scale(content: ReportContent, placement: Placement) -> int | None:
    """Return the enlargement of the contact sheet; None if a mosaic is drawn instead."""
    if placement.unit == "mm":
        return None
    height, width = content.scan.image_size
    across = grid_columns(content.scan)
    down = -(-len(content.scan.tiles) // across)
    longest = max(across * (width + 3), down * (height + 3))
    return next((scale for scale in (3, 2, 1) if scale * longest <= _SHEET_PX), None)


def _page(
    content: ReportContent,
    area: float | None,
    figures: dict[str, _Drawing],
    small: list[bytes],
    best: list[bytes],
) -> str:
    scan = content.scan
    sections = [("Identity", render_identity(scan, content.record))]
    sections.append(("In and out", render_left_out(content)))
    if content.evaluation is not None:
        html = render_evaluation(content.evaluation, content.breakdowns)
        sections.insert(0, ("Against the truth", html))
    if content.candidates is not None:
        html = render_candidates(content.candidates.head(_FIRST_CANDIDATES), best)
        sections.insert(0, (f"The best {len(best)} candidates", html))
    sections += [
        (drawing.heading, render_figure(drawing.files["png"], drawing.heading, _CAPTIONS[name]))
        for name, drawing in figures.items()
    ]
    if small:
        pairs = select_pairs(content.pits)
        html = render_pairs(pairs.head(_FIRST_PAIRS), small, scan.pixel_size_um)
        sections.append((f"First {len(small)} of {len(pairs):,} pairs", html))
    version = content.record.get("version", "")
    return render_page(
        f"Foil {scan.foil}, {scan.side} side",
        describe_mosaic(content),
        make_cards(content, area),
        sections,
        f"Etchscope {version}".strip(),
    )
