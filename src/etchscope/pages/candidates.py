"""Ranked candidates for the eye: a page with one strip of cut-outs, figures and votes each."""

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
"""Least and greatest side of a cut-out on the page."""
_FULL_LOGIT = 6.0
"""The margin of a bar that is full: a probability of 0.9975."""
_TRIANGLE = "ternary.png"
_PLACES = ("foil", "scan", "tile")


@dataclass(frozen=True)
class CandidateView:
    """All that the contact sheet shows of one candidate.

    Parameters
    ----------
    rank : place in the list, 1 the best; at least 0, each once.
    row : of the candidates: ``foil, scan, tile, x_px, y_px, x_mm, y_mm, score, anomaly, selected,
        valid`` and the probabilities ``p_…``; what is absent, None or NaN is shown as "–".
    cutouts : (channel, y, x) float32, square, normalised, the bulk at 0; NaN is shown as bulk.
    channel_names : of the cut-outs, in their order.
    votes : expert → the class it votes for, and its margin as a logit.
    saliency : (y, x) float of the size of a cut-out, or None; its size counts, not its sign.
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
    """Write ``index.html`` and a picture a candidate into a folder, and return the page's path.

    The folder stands alone: no script, no network. A picture, ``candidate_<rank>.png``, holds the
    cut-outs side by side and what the saliency marks; a browser loads it when it comes into
    sight. The same entries give the same bytes.

    Parameters
    ----------
    entries : in any order; shown by rank. Without any the page says so.
    directory : made if absent; files of the same names are replaced.
    pits : all of the runs, candidates or not: ``class`` and the probabilities ``p_…``, drawn as a
        ternary plot, ``ternary.png``. The page says so where they have no place in one.

    Raises
    ------
    BadInput : an entry's arrays do not fit, two have one rank, or the directory is a file.
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
    """Draw the ternary plot of pits into a folder, and return what the page shows of it."""
    told = [c for c in pits if str(c).startswith("p_") and pits[c].notna().any()]
    if not is_ternary(pits[told]):
        return render_template("triangle.html", picture=None)
    title = "Every pit, coloured by what was decided of it"
    made = draw_ternary(pits[told], pits["class"], title=title)
    write_picture(encode_figure(made), folder / _TRIANGLE)
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
    """Return what the page says of a candidate, see ``templates/candidates.html``."""
    row = entry.row
    where = ", ".join(f"{key} {_said(row.get(key))}" for key in _PLACES)
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
    """Return what was decided of a candidate: it may be flagged, but is never dropped."""
    said = {True: "yes", False: "no"}
    states = []
    for key in ("selected", "valid"):
        value = said.get(bool(row[key])) if _is_known(row.get(key)) else "–"
        states.append({"text": f"{key}: {value}", "is_bad": (key, value) == ("valid", "no")})
    return states


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    def two(a: str, b: str, digits: int) -> str:
        return ", ".join(_said(row.get(key), f".{digits}f") for key in (a, b))

    return [
        ("score", _said(row.get("score"), ".4g")),
        ("anomaly", _said(row.get("anomaly"), ".4g")),
        ("x, y (px)", two("x_px", "y_px", 1)),
        ("x, y (mm)", two("x_mm", "y_mm", 3)),
        *((key, _said(row[key], ".3f")) for key in row if key.startswith("p_")),
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
                "margin": _said(margin, "+.2f"),
            }
        )
    return shown


def _is_known(value: Any) -> bool:
    """Return whether a value of a table is there: not absent, not null, not NaN."""
    return not pd.isna(value)


def _said(value: Any, form: str = "") -> str:
    return format(value, form) if _is_known(value) else "–"


def _page(
    ranked: list[CandidateView], shown: list[dict[str, Any]], triangle: Html | None, title: str
) -> str:
    number = len(ranked)
    told = format_count(number, "candidate")
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
    told = told if number else "No candidate"
    return render_page(title, told, cards, sections, "Etchscope", styles=["candidates.css"])
