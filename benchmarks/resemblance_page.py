"""A report that sets simulated cells beside real ones and gives the distance of each measure."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from etchscope.draw.figures import make_figure
from etchscope.draw.png import encode_figure
from etchscope.draw.style import COLOURS, RC
from etchscope.files.atomic import write_aside
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats
from etchscope.pages.page import Card, Html, render_figure, render_page, render_table
from etchscope.pages.writing import make_page_folder, write_page, write_picture
from resemblance_cells import (
    FREQUENCIES,
    GREY_EDGES,
    MEASURES,
    RADII_PX,
    SCALARS,
    VISIBLE,
    CellMeasures,
    measure,
)
from resemblance_distances import compare, discriminate

__all__ = ["write_resemblance"]

Cells = NDArray[np.uint8]
_REAL, _SIMULATED = COLOURS["top"], COLOURS["bottom"]
_SHEET = (5, 6)  # rows, columns of each half of the contact sheet
_QUIZ = (4, 8)
_GAP_PX = 2
_LEAST = 4

_SHORT = {
    "diameter_px": "Diameter of the pit, px",
    "contrast": "Contrast of the pit",
    "glints": "Light inside the pit",
    "discs": "Other dark discs in a cell",
    "rings": "Rings in a cell",
    "ring_px": "Size of the rings, px",
    "dark_share": "Dark share of the texture",
    "profile": "Radial profile",
    "spectrum": "Spectrum of the texture",
    "greys": "Grey levels of the texture",
}
_CAPTIONS = {
    "sheet": "Cells in the order they came, at one scale. Printed positions are cut away in both.",
    "quiz": "Half of these cells are simulated. The solution is below the next heading.",
    "profile": "Grey over ground around the centre of the pit: mean over cells, and the band that "
    "holds 80 % of them.",
    "texture": "What lies outside dark discs: power per frequency, and the share of the area at "
    "each grey level; mean over cells, and the band that holds 80 % of them.",
    "numbers": "One number a cell; the same bins for both.",
}


def write_resemblance(
    real: Cells,
    simulated: Cells,
    directory: Path,
    *,
    untuned: Cells | None = None,
    seed: int = 1,
    rounds: int = 200,
) -> Path:
    """Write figures, ``distances.csv`` and ``resemblance.html``, and return the path of the page.

    The page stands alone, with its pictures inside. The same cells and seed give the same bytes.

    Parameters
    ----------
    real, simulated : (cell, y, x) uint8 of 63 × 63 px, real ones first seen here.
    directory : made if absent; files of the same names are replaced.
    untuned : cells of a simulation that knows nothing of the real ones, the ceiling.
    seed : of the bootstrap and of the shuffled sheet.
    rounds : of the bootstrap.

    Raises
    ------
    BadInput : fewer than four cells of a kind, cells of another size, or the directory is a file.
    MachineFailed : the disk is full.
    """
    if min(len(real), len(simulated)) < _LEAST:
        found = f"{len(real)} real and {len(simulated)} simulated"
        raise BadInput("cells", f"{_LEAST} or more of each kind", found)
    folder = make_page_folder(directory, what="report")
    rng = np.random.default_rng(seed)
    a, b = measure(real), measure(simulated)
    far = None if untuned is None or len(untuned) < _LEAST else measure(untuned)
    distances = compare(a, b, far, rng=rng, rounds=rounds)
    auc = discriminate(a, b, rng)
    quiz, is_simulated = _shuffled(real, simulated, rng)
    with mpl.rc_context(RC):
        figures = {
            "sheet": ("Side by side", encode_figure(_sheet_figure(real, simulated))),
            "quiz": ("Which is which?", encode_figure(_quiz_figure(quiz))),
            "profile": ("Radial profile", encode_figure(_profile_figure(a, b))),
            "texture": ("Texture", encode_figure(_texture_figure(a, b))),
            "numbers": ("Size, contrast, density", encode_figure(_numbers_figure(a, b))),
        }
    text = _page(distances, auc, (len(real), len(simulated)), figures, is_simulated)
    for name, (_, png) in figures.items():
        write_picture(png, folder / f"{name}.png")
    with write_aside(folder / "distances.csv") as aside:
        distances.to_csv(aside, float_format="%.4g")
    return write_page(text, folder / "resemblance.html")


def _page(
    distances: pd.DataFrame,
    auc: float,
    counts: tuple[int, int],
    figures: dict[str, tuple[str, bytes]],
    is_simulated: Bools,
) -> str:
    near = distances["distance"] <= distances["floor_high"]
    quiz = figures["quiz"][0]
    pieces = [
        (heading, render_figure(png, heading, _CAPTIONS[name]))
        for name, (heading, png) in figures.items()
    ]
    first = next(i for i, (heading, _) in enumerate(pieces) if heading == quiz)
    sections = [("Distances", _distances_html(distances)), *pieces[: first + 1]]
    sections.append(("Solution", _solution_html(is_simulated)))
    sections += pieces[first + 1 :]
    worst = distances["distance"].idxmax()
    cards = [
        Card(f"{counts[0]} / {counts[1]}", "cells", "real / simulated"),
        Card(
            f"{int(near.sum())} of {len(near)}",
            "measures at the floor",
            "as near as two halves of the real cells are in 95 of 100 draws",
        ),
        Card(
            f"{distances['distance'].median():.2f}",
            "median distance",
            f"floor {distances['floor'].median():.2f}, in spreads of the real cells",
        ),
        Card(f"{distances['distance'].max():.2f}", "largest distance", _SHORT[str(worst)]),
        Card(f"{auc:.2f}", "AUC", "of a linear discriminant of single cells; 0.5 is a guess"),
    ]
    return render_page(
        "Resemblance",
        "Simulated backlit cells beside real ones, measured in the same way",
        cards,
        sections,
        "Etchscope",
    )


def _distances_html(distances: pd.DataFrame) -> Html:
    def number(row: "pd.Series[float]", name: str, low: str, high: str) -> str:
        if not np.isfinite(row[name]):
            return "–"
        return f"{row[name]:.2f} ({row[low]:.2f} to {row[high]:.2f})"

    rows = [
        (
            _SHORT[str(name)],
            MEASURES[str(name)],
            number(row, "distance", "low", "high"),
            number(row, "floor", "floor_low", "floor_high"),
            number(row, "ceiling", "ceiling_low", "ceiling_high"),
        )
        for name, row in distances.iterrows()
    ]
    head = ("Measure", "What it is", "Distance", "Floor: real halves", "Ceiling: untuned")
    note = (
        "<p>One number a cell: Wasserstein distance of the two distributions over the standard "
        "deviation of the real cells. One curve a cell: rms difference of the mean curves, each "
        "point over the real standard deviation there. In brackets 5 % to 95 % of the bootstrap, "
        "which adds noise of its own and so lies rather high. The floor is the distance of two "
        "random halves of the real cells; smaller distances cannot be measured.</p>"
    )
    return Html(note + render_table(head, rows, numbers_from=2))


def _solution_html(is_simulated: Bools) -> Html:
    columns = _QUIZ[1]
    rows = []
    for start in range(0, len(is_simulated), columns):
        answers = ["simulated" if s else "real" for s in is_simulated[start : start + columns]]
        rows.append((f"Row {start // columns + 1}", *answers))
    head = ("", *(str(i + 1) for i in range(min(columns, len(is_simulated)))))
    table = render_table(head, rows)
    return Html(f"<details><summary>Show which is which</summary>{table}</details>")


def _shuffled(real: Cells, simulated: Cells, rng: np.random.Generator) -> tuple[Cells, Bools]:
    """Return as many real as simulated cells in random order, and which are simulated."""
    half = min(_QUIZ[0] * _QUIZ[1] // 2, len(real), len(simulated))
    chosen = [cells[rng.permutation(len(cells))[:half]] for cells in (real, simulated)]
    is_simulated = np.repeat([False, True], half)
    order = rng.permutation(2 * half)
    return np.concatenate(chosen)[order], is_simulated[order]


def _mosaic(cells: Cells, rows: int, columns: int) -> Cells:
    """Return the visible part of cells as one picture, grey between them."""
    height, width = cells[0][VISIBLE].shape
    out = np.full((rows * (height + _GAP_PX), columns * (width + _GAP_PX)), 90, np.uint8)
    for i, cell in enumerate(cells[: rows * columns]):
        y, x = (i // columns) * (height + _GAP_PX), (i % columns) * (width + _GAP_PX)
        out[y : y + height, x : x + width] = cell[VISIBLE]
    return out[:-_GAP_PX, :-_GAP_PX]


def _show(axes: Axes, picture: Cells) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()


def _sheet_figure(real: Cells, simulated: Cells) -> Figure:
    rows, columns = _SHEET
    made = make_figure(13, 5.2, "Real cells and simulated ones at the same scale")
    for axes, cells, title, colour in zip(
        made.subplots(1, 2),
        (real, simulated),
        ("Real", "Simulated"),
        (_REAL, _SIMULATED),
        strict=True,
    ):
        _show(axes, _mosaic(cells, rows, columns))
        axes.set_title(title, color=colour)
    return made


def _quiz_figure(cells: Cells) -> Figure:
    rows, columns = -(-len(cells) // _QUIZ[1]), min(_QUIZ[1], len(cells))
    made = make_figure(13, 0.6 + 10.7 * rows / columns, "Which of these are simulated?")
    _show(made.subplots(), _mosaic(cells, rows, columns))
    return made


def _band(axes: Axes, x: Floats, values: Floats, colour: str, label: str) -> None:
    """Draw the mean of curves and the band of the middle 80 % of them."""
    known = ~np.isnan(values).all(axis=1)
    if not known.any():
        return
    low, high = np.nanquantile(values[known], (0.1, 0.9), axis=0)
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, np.nanmean(values[known], axis=0), color=colour, linewidth=2, label=label)


def _both(axes: Axes, x: Floats, real: Floats, simulated: Floats, labels: tuple[str, str]) -> None:
    _band(axes, x, real, _REAL, "real")
    _band(axes, x, simulated, _SIMULATED, "simulated")
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.grid(visible=True)
    axes.legend()


def _profile_figure(real: CellMeasures, simulated: CellMeasures) -> Figure:
    made = make_figure(8, 4.4, "The pit from its centre outwards")
    labels = ("distance from the centre of the pit, px", "grey / ground")
    axes = made.subplots()
    _both(axes, RADII_PX, real.profile, simulated.profile, labels)
    axes.set_ylim(0, 1.05)
    return made


def _texture_figure(real: CellMeasures, simulated: CellMeasures) -> Figure:
    made = make_figure(12, 4.4, "What lies between the pits")
    left, right = made.subplots(1, 2)
    middle = (FREQUENCIES[1:] + FREQUENCIES[:-1]) / 2
    labels = ("frequency, cycles / px", "log₁₀ of the power")
    _both(left, middle, real.spectrum, simulated.spectrum, labels)
    # The last bin holds the ground itself and would flatten all others.
    levels = (GREY_EDGES[1:-1] + GREY_EDGES[:-2]) / 2
    labels = ("grey / ground", "share of the area")
    _both(right, levels, real.greys[:, :-1], simulated.greys[:, :-1], labels)
    return made


def _numbers_figure(real: CellMeasures, simulated: CellMeasures) -> Figure:
    made = make_figure(13, 6.2, "One number a cell")
    panels = made.subplots(2, 4).ravel()
    for axes, name in zip(panels, SCALARS, strict=False):
        values = [m.table[name].dropna().to_numpy(float) for m in (real, simulated)]
        together = np.concatenate(values)
        axes.set_title(_SHORT[name])
        axes.set_ylabel("share of cells")
        if not len(together):
            continue
        low, high = together.min(), together.max()
        if name in ("discs", "rings"):  # counts: a bin each
            edges = np.arange(low - 0.5, high + 1)
        else:
            edges = np.linspace(low, max(high, low + 1e-6), 15)
        for one, colour, label in zip(
            values, (_REAL, _SIMULATED), ("real", "simulated"), strict=True
        ):
            weights = np.full(len(one), 1 / max(len(one), 1))
            axes.hist(one, edges, weights=weights, color=colour, alpha=0.25)
            axes.hist(
                one, edges, weights=weights, color=colour, histtype="step", lw=1.6, label=label
            )
    panels[0].legend()
    panels[-1].set_axis_off()
    return made
