"""The contact sheet of candidates: a page with cut-outs, figures and votes of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.draw.candidates import draw_strip
from etchscope.draw.png import encode_figure, encode_rgba
from etchscope.draw.style import CLASS_COLOURS
from etchscope.draw.tables import format_count
from etchscope.draw.ternary import draw_ternary, is_ternary
from etchscope.foil import BadInput, parent_class
from etchscope.foil.types import FloatStack
from etchscope.pages.page import Card, Html, render_page, render_template
from etchscope.pages.writing import make_page_folder, write_page, write_picture

__all__ = ["CandidateView", "write_candidates"]

_SHOWN_PX = (74, 116)
"""Least and greatest side of a cut-out on the page, in px."""
_FULL_LOGIT = 6.0
"""Margin at which a bar is full; it corresponds to a probability of 0.9975."""
_TRIANGLE = "ternary.png"
_PLACES = ("foil", "scan", "tile")


@dataclass(frozen=True)
class CandidateView:
    """The data of one candidate on the contact sheet.

    Parameters
    ----------
    rank : place in the list, from 1 for the best; each rank once.
    row : of the candidates: ``foil, scan, tile, x_px, y_px, x_mm, y_mm, score, anomaly, selected,
        valid`` and the probabilities ``p_…``; a value that is absent, None or NaN is shown as "–".
    cutouts : (channel, y, x) float32, square, normalised, the bulk at 0; NaN is shown as bulk.
    channel_names : of the cut-outs, in their order.
    votes : expert → the class that it votes for, and its margin as a logit.
    saliency : (y, x) float of the size of a cut-out, or None; its absolute value is drawn.
    """

    rank: int
    row: Mapping[str, Any]
    cutouts: FloatStack
    channel_names: tuple[str, ...]
    votes: Mapping[str, tuple[str, float]]
    saliency: NDArray[Any] | None = None


def write_candidates(
    entries: Iterable[CandidateView],
    directory: Path,
    *,
    title: str = "Candidates",
    pits: pd.DataFrame | None = None,
) -> Path:
    """Write ``index.html`` and one picture per candidate into a folder, and return the page's path.

    The folder stands alone, without script or network. The picture ``candidate_<rank>.png`` holds
    the cut-outs side by side and the saliency; a browser loads it when it comes into sight. The
    same entries give the same bytes.

    Parameters
    ----------
    entries : in any order; they are shown by rank. Without entries the page states that there are
        none.
    directory : is made if it is absent; files of the same names are replaced.
    title : of the page.
    pits : all pits of the runs, candidates or not: ``class`` and the probabilities ``p_…`` are
        drawn as a ternary plot, ``ternary.png``. If they cannot be, the page states why.

    Raises
    ------
    BadInput : the arrays of an entry do not fit each other, two entries have one rank, or the
        directory is a file.
    MachineFailed : the disk is full.
    """
    ranked = sorted(entries, key=lambda e: e.rank)
    _check(ranked)
    folder = make_page_folder(directory, what="contact sheet")
    shown = []
    for entry in ranked:
        picture, names = draw_strip(entry.cutouts, entry.channel_names, entry.saliency)
        name = f"candidate_{entry.rank:04d}.png"
        write_picture(encode_rgba(picture), folder / name)
        shown.append(_shown(entry, name, names, picture.shape))
    triangle = None if pits is None else _triangle(pits, folder)
    return write_page(_page(ranked, shown, triangle, title), folder / "index.html")


def _triangle(pits: pd.DataFrame, folder: Path) -> Html:
    """Write the ternary plot of pits into a folder, and return the HTML that shows it."""
    known = [c for c in pits if str(c).startswith("p_") and pits[c].notna().any()]
    if not is_ternary(pits[known]):
        return render_template("triangle.html", picture=None)
    title = "Every pit, coloured by its decided class"
    figure = draw_ternary(pits[known], pits["class"], title=title)
    write_picture(encode_figure(figure), folder / _TRIANGLE)
    return render_template("triangle.html", picture=_TRIANGLE)


def _check(ranked: list[CandidateView]) -> None:
    ranks = [e.rank for e in ranked]
    twice = {rank for rank, after in pairwise(ranks) if rank == after}
    if twice or any(rank < 0 for rank in ranks):
        found = f"{sorted(twice) or min(ranks)}"
        raise BadInput("entries: rank", "each rank once, at least 0", found)
    for e in ranked:
        where, shape = f"candidate {e.rank}", e.cutouts.shape
        if e.cutouts.ndim != 3 or shape[1] != shape[2] or not e.cutouts.size:
            raise BadInput(f"{where}: cutouts", "(channel, size, size)", f"shape {shape}")
        if len(e.channel_names) != shape[0]:
            expected = f"a name for each of {shape[0]} channels"
            raise BadInput(f"{where}: channel_names", expected, f"{len(e.channel_names)}")
        if e.saliency is not None and e.saliency.shape != shape[1:]:
            raise BadInput(f"{where}: saliency", f"shape {shape[1:]}", f"{e.saliency.shape}")


def _shown(
    entry: CandidateView, picture: str, names: list[str], shape: tuple[int, ...]
) -> dict[str, Any]:
    """Return the values of a candidate for ``templates/candidates.html``."""
    row = entry.row
    where = ", ".join(f"{key} {_text(row.get(key))}" for key in _PLACES)
    least, most = (len(names) * px for px in _SHOWN_PX)
    return {
        "rank": entry.rank,
        "where": where,
        "picture": picture,
        "alt": f"Candidate {entry.rank} on {where}: {', '.join(names)}",
        "size": shape[:2],
        "names": names,
        "least_px": least,
        "most_px": most,
        "states": _states(row),
        "facts": _facts(row),
        "votes": _votes(entry.votes),
    }


def _states(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the decisions on a candidate: whether it is selected and valid."""
    words = {True: "yes", False: "no"}
    states = []
    for key in ("selected", "valid"):
        value = words.get(bool(row[key])) if _is_known(row.get(key)) else "–"
        states.append({"text": f"{key}: {value}", "is_bad": (key, value) == ("valid", "no")})
    return states


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    def two(a: str, b: str, digits: int) -> str:
        return ", ".join(_text(row.get(key), f".{digits}f") for key in (a, b))

    return [
        ("score", _text(row.get("score"), ".4g")),
        ("anomaly", _text(row.get("anomaly"), ".4g")),
        ("x, y (px)", two("x_px", "y_px", 1)),
        ("x, y (mm)", two("x_mm", "y_mm", 3)),
        *((key, _text(row[key], ".3f")) for key in row if key.startswith("p_")),
    ]


def _votes(votes: Mapping[str, tuple[str, float]]) -> list[dict[str, str]]:
    shown = []
    for expert, (voted, margin) in votes.items():
        full = min(abs(margin) / _FULL_LOGIT, 1) if np.isfinite(margin) else 0
        shown.append(
            {
                "expert": expert,
                "voted": voted,
                "percent": f"{100 * full:.1f}",
                "colour": CLASS_COLOURS.get(parent_class(voted), "#8A8A8A"),
                "margin": _text(margin, "+.2f"),
            }
        )
    return shown


def _is_known(value: Any) -> bool:
    """Return whether a value of a table is neither absent nor null nor NaN."""
    return not pd.isna(value)


def _text(value: Any, form: str = "") -> str:
    return format(value, form) if _is_known(value) else "–"


def _page(
    ranked: list[CandidateView], shown: list[dict[str, Any]], triangle: Html | None, title: str
) -> str:
    number = len(ranked)
    selected = sum(bool(e.row["selected"]) for e in ranked if _is_known(e.row.get("selected")))
    foils = {str(e.row["foil"]) for e in ranked if _is_known(e.row.get("foil"))}
    cards = [Card(f"{number:,}", "candidates", "in the order of their rank")]
    if number:
        others = "the others are shown, too" if selected < number else ""
        cards.append(Card(f"{selected:,}", "selected", others))
        cards.append(Card(f"{len(foils):,}", "foil" if len(foils) == 1 else "foils", ""))
    sections = []
    if number:
        reading = render_template("how_to_read_candidates.html", full_logit=f"{_FULL_LOGIT:g}")
        sections.append(("How to read it", reading))
    if triangle is not None:
        sections.append(("All pits", triangle))
    sections.append(("Candidates", render_template("candidates.html", candidates=shown)))
    subtitle = format_count(number, "candidate") if number else "No candidate"
    return render_page(title, subtitle, cards, sections, "Etchscope", styles=["candidates.css"])
