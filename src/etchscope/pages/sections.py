"""The sections of a report as HTML: identity, book-keeping, truth, pairs, candidates."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from etchscope.draw.tables import SURFACES, split_by_surface
from etchscope.evaluation import Evaluation, format_chi2
from etchscope.foil import Scan, flag_legend
from etchscope.pages.content import ReportContent, ledger
from etchscope.pages.page import Html, render_image, render_table, render_template

__all__ = [
    "render_candidates",
    "render_evaluation",
    "render_identity",
    "render_left_out",
    "render_pairs",
]

_HEADINGS = {"true_pos": "found", "low": "from", "high": "to", "agree": "found as the same"}
_ROWS = 200
"""Greatest length of a list of tiles; the number of further tiles is stated."""


def render_identity(scan: Scan, record: Mapping[str, Any]) -> Html:
    """Return the section on the scan and the identity of the run."""
    height, width = scan.image_size
    roles = [c.role for c in scan.channels]
    lights = ", ".join(f"{roles.count(r)} {r}" for r in dict.fromkeys(roles))
    scale = "unknown" if scan.pixel_size_um is None else f"{scan.pixel_size_um:g} µm"
    facts = [
        ("foil, side, scan", f"{scan.foil}, {scan.side}, {scan.name}"),
        ("tiles", f"{len(scan.tiles):,} of {width} × {height} px, layout {scan.layout}"),
        ("pixel", scale),
        ("channels", lights),
    ]
    run = [(k, _code(v)) for k, v in _flat(record) if k != "counts"]
    return render_template(
        "identity.html",
        scan=render_table(("", ""), facts),
        run=render_table(("", ""), run) if run else None,
    )


def render_left_out(content: ReportContent) -> Html:
    """Return the book-keeping: detections and rows, flags, and tiles that were not used."""
    lines = [
        (what, f"{n:,}", Html(f'<span class="bad">{remark}</span>') if "not" in remark else remark)
        for what, n, remark in ledger(content)
    ]
    excluded = [
        (t.number, "excluded", t.excluded_why or "no reason given")
        for t in content.scan.tiles
        if t.excluded
    ]
    bad = [
        (
            entry.get("tile", ""),
            "left out when added",
            f"{entry.get('file', '')}: {entry.get('why', '')}",
        )
        for entry in content.left_out
    ]
    rows = [*excluded, *bad]
    return render_template(
        "left_out.html",
        ledger=render_table(("", "count", ""), lines),
        excluded=f"{len(excluded):,}",
        left_out=f"{len(bad):,}",
        tiles=render_table(("tile", "what", "why"), rows[:_ROWS]) if rows else None,
        more=f"{len(rows) - _ROWS:,}" if len(rows) > _ROWS else None,
        regimes=_regimes(content.pits),
    )


def _regimes(pits: pd.DataFrame) -> Html | None:
    """Return the table of pits by density regime and surface; None if no regime is known."""
    regimes = sorted(set(pits["regime"].dropna()))
    if not regimes:
        return None
    of = [split_by_surface(pits[pits["regime"] == r]) for r in regimes]
    body = [
        (r, *(f"{len(groups[s]):,}" for s in SURFACES))
        for r, groups in zip(regimes, of, strict=True)
    ]
    return render_table(("regime", *SURFACES), body)


def render_evaluation(e: Evaluation, breakdowns: Sequence[str]) -> Html:
    """Return the section on efficiency and purity beside their chance level, with breakdowns.

    Parameters
    ----------
    breakdowns : columns of the truth.
    """
    rows = [
        (what, str(p), f"{p.successes:,} of {p.trials:,}", str(chance))
        for what, p, chance in (
            ("efficiency", e.efficiency, e.chance_efficiency),
            ("purity", e.purity, e.chance_purity),
        )
    ]
    head = ("", f"value [{100 * e.confidence:g} % interval]", "counts", "by chance (local shifts)")
    return render_template(
        "evaluation.html",
        e=e,
        tolerance=f"{e.tolerance:g}",
        within=f" within {', '.join(e.grouped_by)}" if e.grouped_by else "",
        true_pos=f"{e.matching.true_pos:,}",
        false_pos=f"{e.matching.false_pos:,}",
        false_neg=f"{e.matching.false_neg:,}",
        tiles=f"{e.tiles.number:,}",
        false_per_tile=format_chi2(e.false_chi2_ndf),
        table=render_table(head, rows),
        breakdowns=[(column, _breakdown(e, column)) for column in breakdowns],
    )


def _breakdown(e: Evaluation, column: str) -> Html:
    by = e.by(column)
    body = [tuple(_cell(v) for v in row) for row in by.itertuples(index=False, name=None)]
    return render_table([_HEADINGS.get(c, c) for c in by.columns], body, numbers_from=1)


def render_pairs(
    pairs: pd.DataFrame, pictures: Sequence[bytes], pixel_size_um: float | None
) -> Html:
    """Return the table of pairs with their cut-outs, one row per pair, at its entry pit.

    Parameters
    ----------
    pairs : rows of the entry pits.
    pictures : PNG of each, see ``draw_cutouts``.
    pixel_size_um : for distances in µm; None for an unknown scale.
    """
    in_um = pixel_size_um is not None
    names = {bit: name.replace("_", " ") for name, bit in flag_legend().items()}
    distance = f"distance ({'µm' if in_um else 'px'})"
    places = ("tile", "pit → partner", "x, y (px)", "foil x, y (mm)", "dx, dy (px)", distance)
    head = ("", *places, "p", "entry", "exit", "hip", "flags")
    rows = []
    for row, png in zip(pairs.to_dict("records"), pictures, strict=True):
        far = float(np.hypot(row["pair_dx_px"], row["pair_dy_px"])) * (pixel_size_um or 1)
        known = np.isfinite(row["x_mm"])
        rows.append(
            (
                render_image(png, f"pit {row['pit']}"),
                row["tile"],
                f"{row['pit']} → {row['partner']}",
                f"{row['x_px']:.1f}, {row['y_px']:.1f}",
                f"{row['x_mm']:.3f}, {row['y_mm']:.3f}" if known else "–",
                f"{row['pair_dx_px']:+.1f}, {row['pair_dy_px']:+.1f}",
                f"{far:.0f}" if in_um else f"{far:.1f}",
                f"{row['pair_p']:.2g}" if np.isfinite(row["pair_p"]) else "split find",
                *(f"{row[k]:.1f}" for k in ("entry", "exit", "hip")),
                ", ".join(name for bit, name in names.items() if int(row["flags"]) & bit),
            )
        )
    return render_table(head, rows, numbers_from=1)


def render_candidates(candidates: pd.DataFrame, pictures: Sequence[bytes]) -> Html:
    """Return the table of candidates with their cut-outs, one row per candidate.

    Parameters
    ----------
    candidates : rows by falling score.
    pictures : PNG of each, see ``draw_cutouts``.
    """
    head = (
        "",
        "rank",
        "score",
        "p signal",
        "selected",
        "valid",
        "tile",
        "x, y (px)",
        "dx, dy (px)",
    )
    rows = []
    records = candidates.to_dict("records")
    for rank, (row, png) in enumerate(zip(records, pictures, strict=True), 1):
        shift = np.isfinite(row["pair_dx_px"])
        rows.append(
            (
                render_image(png, f"candidate {rank}"),
                rank,
                f"{row['score']:.2f}",
                f"{row['p_hip']:.3f}" if np.isfinite(row.get("p_hip", np.nan)) else "–",
                "yes" if row["selected"] else "no",
                "yes" if row["valid"] else "no",
                row["tile"],
                f"{row['x_px']:.1f}, {row['y_px']:.1f}",
                f"{row['pair_dx_px']:+.1f}, {row['pair_dy_px']:+.1f}" if shift else "alone",
            )
        )
    return render_table(head, rows, numbers_from=1)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if np.isfinite(value) else "–"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _code(value: str) -> Html:
    """Return a value as it is recorded, with its quotes."""
    return Html(f"<code>{escape(value, quote=False)}</code>")


def _flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested keys as dotted ones; of a list of more than 8 values the length is stated."""
    out: list[tuple[str, str]] = []
    for key, value in record.items():
        if key == "counts" and not prefix:
            continue
        if isinstance(value, Mapping):
            out += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and len(value) > 8:
            shown = ", ".join(str(v) for v in value[:8])
            out.append((prefix + key, f"{shown}, … ({len(value):,} in all)"))
        else:
            out.append((prefix + key, str(value)))
    return out
