"""Write a report: its figures as PNG, and one HTML page that holds them all."""

from collections.abc import Callable
from pathlib import Path

from etchscope.draw.closeups import closeup_figure, cutouts
from etchscope.draw.ellipses import contact_sheet
from etchscope.draw.features import feature_figure
from etchscope.draw.maps import (
    MOSAIC_PX,
    area_mm2,
    density_figure,
    mosaic_figure,
    mosaic_picture,
)
from etchscope.draw.pairs import pair_figure
from etchscope.draw.placement import Canvas, Placement, grid_columns, place
from etchscope.draw.png import encode_figure, encode_rgb
from etchscope.draw.shapes import shape_figure
from etchscope.draw.tables import pairs_of
from etchscope.pages.content import ReportContent
from etchscope.pages.page import figure_html, page
from etchscope.pages.words import (
    candidate_rows_html,
    cards,
    evaluation_html,
    feature_title,
    identity_html,
    left_out_html,
    mosaic_title,
    pair_rows_html,
    pair_title,
    shape_title,
)
from etchscope.pages.writing import make_page_folder, write_page, write_picture

__all__ = ["write_report"]

_FIRST_PAIRS = 50
_FIRST_CANDIDATES = 25
_SHEET_PX = 3200
"""A contact sheet is drawn only if it fits into so many pixels a side."""

_CAPTIONS = {
    "mosaic": "Every pit at its place, by surface; in–out pairs are ringed and linked. "
    "Foil millimetres have y up; a grid of tiles without positions counts pixels, y down.",
    "contact_sheet": "Every tile of the scan, numbered; ellipses are the measured openings.",
    "density": "Pits over scanned area; overlaps count once, and no bin is shown of which less "
    "than a fifth was scanned.",
    "closeups": "Tiles of the best pairs and the busiest tiles, enlarged; ellipses are the "
    "measured openings, pairs are linked from entry to exit pit.",
    "features": "The three responses of the pre-selection. Top pits lie along entry, bottom pits "
    "along exit, and pairs rise along hip.",
    "shapes": "Values beyond the axes stand in the outermost bins.",
    "pairs": "Left: displacement from entry to exit pit, as seen in the picture. Middle and right: "
    "pair_p is the probability that density alone makes a pair at least as good; dashed, the most "
    "that unrelated pits would make.",
}


def write_report(
    content: ReportContent, directory: Path, *, progress: Callable[[int], None] | None = None
) -> Path:
    """Write the figures and ``report.html`` into a folder, and return the path of the page.

    The page stands alone: pictures are inside, no script, no network. Tiles are read one at a
    time, so memory does not grow with the scan. The same content gives the same bytes.

    Parameters
    ----------
    directory : made if absent; files of the same names are replaced.
    progress : called with the number of tiles just drawn into the mosaic.

    Raises
    ------
    BadInput : the directory is a file.
    MachineFailed : the disk is full.
    """
    folder = make_page_folder(directory, what="report")
    placement = place(content.scan)
    figures = _figures(content, placement, progress)
    pairs = pairs_of(content.pits).head(_FIRST_PAIRS)
    small = cutouts(pairs, content.pits, content.thumbnails)
    best = None if content.candidates is None else content.candidates.head(_FIRST_CANDIDATES)
    shown = [] if best is None else cutouts(best, content.pits, content.thumbnails)
    text = _page(content, area_mm2(placement, content.scan), figures, small, shown)
    for name, (_, png) in figures.items():
        write_picture(png, folder / f"{name}.png")
    return write_page(text, folder / "report.html")


def _figures(
    content: ReportContent, placement: Placement, progress: Callable[[int], None] | None
) -> dict[str, tuple[str, bytes]]:
    """Return name → (heading, PNG) in the order of the page."""
    scan, pits = content.scan, content.pits
    out: dict[str, tuple[str, bytes]] = {}
    scale = _sheet_scale(content, placement)
    if scale is not None:
        sheet = contact_sheet(scan, pits, content.thumbnails, scale=scale)
        out["contact_sheet"] = ("Contact sheet", encode_rgb(sheet))
    else:
        canvas = Canvas.over(placement, MOSAIC_PX)
        picture = mosaic_picture(canvas, scan, content.thumbnails, progress)
        made = mosaic_figure(canvas, picture, scan, pits, mosaic_title(content))
        out["mosaic"] = ("Mosaic", encode_figure(made))
        del picture, made
    made = density_figure(placement, scan, pits, title=lambda told: f"Density: {told}")
    out["density"] = ("Density", encode_figure(made))
    if len(pits):
        best = "the tiles of the best pairs, and " if len(pairs_of(pits)) else ""
        title = f"A closer look: {best}the busiest tiles"
        made = closeup_figure(
            pits,
            content.thumbnails,
            title,
            evaluation=content.evaluation,
            pixel_size_um=scan.pixel_size_um,
        )
        out["closeups"] = ("Close-ups", encode_figure(made))
        # With one channel a response may not exist; one axis alone is no space.
        if pits[["entry", "exit", "hip"]].notna().any().sum() > 1:
            made = feature_figure(pits, feature_title(pits))
            out["features"] = ("Feature space", encode_figure(made))
        made = shape_figure(pits, scan.pixel_size_um, shape_title(pits, scan.pixel_size_um))
        out["shapes"] = ("Shapes", encode_figure(made))
    if len(pairs_of(pits)):
        out["pairs"] = ("Pairs", encode_figure(pair_figure(pits, pair_title(pits))))
    return out


def _sheet_scale(content: ReportContent, placement: Placement) -> int | None:
    """Return the enlargement of the contact sheet, None where a mosaic is drawn instead."""
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
    figures: dict[str, tuple[str, bytes]],
    small: list[bytes],
    best: list[bytes],
) -> str:
    scan = content.scan
    sections = [("Identity", identity_html(scan, content.record))]
    sections.append(("In and out", left_out_html(content)))
    if content.evaluation is not None:
        html = evaluation_html(content.evaluation, content.breakdowns)
        sections.insert(0, ("Against the truth", html))
    if content.candidates is not None:
        html = candidate_rows_html(content.candidates.head(_FIRST_CANDIDATES), best)
        sections.insert(0, (f"The best {len(best)} candidates", html))
    sections += [
        (heading, figure_html(png, heading, _CAPTIONS[name]))
        for name, (heading, png) in figures.items()
    ]
    if small:
        pairs = pairs_of(content.pits)
        html = pair_rows_html(pairs.head(_FIRST_PAIRS), small, scan.pixel_size_um)
        sections.append((f"First {len(small)} of {len(pairs):,} pairs", html))
    version = content.record.get("version", "")
    return page(
        f"Foil {scan.foil}, {scan.side} side",
        mosaic_title(content),
        cards(content, area),
        sections,
        f"Etchscope {version}".strip(),
    )
