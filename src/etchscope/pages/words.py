"""What a report says in words and tables: headline figures, titles, identity, what was left out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from etchscope.draw.tables import SURFACES, format_count, select_pairs, split_by_surface
from etchscope.evaluate import Evaluation, chi2_text
from etchscope.foil import Scan, flag_legend
from etchscope.pages.content import ReportContent, ledger
from etchscope.pages.page import Card, Html, render_image, render_table

__all__ = [
    "describe_features",
    "describe_mosaic",
    "describe_pairs",
    "describe_shapes",
    "describe_surfaces",
    "make_cards",
    "render_candidates",
    "render_evaluation",
    "render_identity",
    "render_left_out",
    "render_pairs",
]

_P_CUT = 0.01
_HEADINGS = {"true_pos": "found", "low": "from", "high": "to", "agree": "found as the same"}
_ROWS = 200
"""A list of tiles longer than this is cut, and says so."""


def describe_surfaces(pits: pd.DataFrame) -> str:
    """Return "12 top · 9 bottom", only the surfaces that occur."""
    counts = {name: len(rows) for name, rows in split_by_surface(pits).items()}
    return " · ".join(f"{n:,} {name}" for name, n in counts.items() if n)


def make_cards(content: ReportContent, area_mm2: float | None) -> list[Card]:
    """Return the headline figures."""
    pits, scan = content.openings, content.scan
    used = len(scan.included)
    out = [Card(f"{len(pits):,}", "pits", describe_surfaces(pits))]
    if content.candidates is not None:
        chosen = int(content.candidates["selected"].fillna(value=False).sum())
        note = f"of {len(content.candidates):,} ranked, those above the working point"
        out.insert(0, Card(f"{chosen:,}", "candidates", note))
    pairs = select_pairs(pits)
    good, chance = _below(pits, _P_CUT)
    out.append(
        Card(
            f"{len(pairs):,}",
            "in–out pairs",
            f"{good:,} with p ≤ {_P_CUT}; unrelated pits would make {chance:.2g} at most"
            if len(pairs)
            else "",
        )
    )
    tiles = f"{used:,} of {len(scan.tiles):,} tiles"
    if area_mm2:
        out.append(Card(f"{area_mm2 / 100:.3g} cm²", "scanned", f"{tiles}, overlaps counted once"))
        local = pits["density_per_mm2"].dropna()
        note = (
            f"local: median {local.median():.3g}, 95 % of pits below {local.quantile(0.95):.3g}"
            if len(local)
            else "mean over the scanned area"
        )
        out.append(Card(f"{len(pits) / area_mm2:.3g}", "pits per mm²", note))
    else:
        out.append(Card(tiles, "scanned", "scale unknown: areas and densities in pixels"))
    if content.evaluation is not None:
        e = content.evaluation
        for what, p, by_chance in (
            ("efficiency", e.efficiency, e.chance_efficiency),
            ("purity", e.purity, e.chance_purity),
        ):
            interval = f"{100 * p.low:.1f}–{100 * p.high:.1f} % at {100 * p.confidence:g} %"
            note = f"{interval} confidence; by chance (local shifts) {_percent(by_chance.value)}"
            if what == "purity":
                note += f"; false finds a tile: {chi2_text(e.false_chi2_ndf)}"
            out.append(Card(_percent(p.value), what, note))
    return out


def describe_mosaic(content: ReportContent) -> str:
    """Return the mosaic's message."""
    pits, pairs = content.pits, len(select_pairs(content.pits))
    if not len(pits):
        return f"No pit on {format_count(len(content.scan.included), 'tile')}"
    tiles = format_count(len(content.scan.included), "tile")
    told = f"{format_count(len(pits), 'pit')} on {tiles}: {describe_surfaces(pits)}"
    return f"{told}, {format_count(pairs, 'in–out pair')}" if pairs else told


def describe_features(pits: pd.DataFrame) -> str:
    """Return the feature space's message: how well entry and exit response tell the surfaces.

    The two pits of a pair share their responses, so only single ones are counted.
    """
    groups = split_by_surface(pits[pits["partner"].isna()])
    told = [
        f"{_percent(float((rows[own] > rows[other]).mean()))} of single {name} pits "
        f"answer more to {own}"
        for name, own, other in (("top", "entry", "exit"), ("bottom", "exit", "entry"))
        if len(rows := groups[name])
    ]
    return "; ".join(told) or "The three responses of every pit"


def describe_shapes(pits: pd.DataFrame, pixel_size_um: float | None) -> str:
    """Return the shapes' message: how large and how round a typical opening is."""
    radius = pits["radius_px"].dropna()
    if not len(radius):
        return "No measured opening"
    across = 2 * float(radius.median())
    um = "" if pixel_size_um is None else f" ({across * pixel_size_um:.0f} µm)"
    ratio = 1 - float(pits["ellipticity"].median())
    wide = f"Half of the openings are wider than {across:.1f} px{um}"
    return f"{wide}, half rounder than {ratio:.2f} : 1" if np.isfinite(ratio) else wide


def describe_pairs(pits: pd.DataFrame) -> str:
    """Return the pairs' message: those beyond what density alone would make."""
    if not len(select_pairs(pits)):
        return "No in–out pair"
    good, chance = _below(pits, _P_CUT)
    has = "has" if good == 1 else "have"
    told = f"{format_count(good, 'pair')} {has} p ≤ {_P_CUT}"
    return f"{told}, where unrelated pits would make {chance:.2g} at most"


def render_identity(scan: Scan, record: Mapping[str, Any]) -> str:
    """Return what was scanned, and the run's identity as recorded."""
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
    run = [(k, Html(f"<code>{_escaped(v)}</code>")) for k, v in _flat(record) if k != "counts"]
    left = render_table(("", ""), facts)
    right = render_table(("", ""), run) if run else "<p>No run record.</p>"
    return (
        f'<div class="columns"><div><h3>Scan</h3>{left}</div><div><h3>Run</h3>{right}</div></div>'
    )


def render_left_out(content: ReportContent) -> str:
    """Return the book-keeping: detections in and out, flags, tiles not used and why."""
    lines = [
        (what, f"{n:,}", Html(f'<span class="bad">{remark}</span>') if "not" in remark else remark)
        for what, n, remark in ledger(content)
    ]
    parts = [
        '<div class="columns"><div><h3>Pits</h3>',
        render_table(("", "count", ""), lines),
        "</div><div>",
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
    parts.append(f"<h3>Tiles: {len(excluded):,} excluded, {len(bad):,} left out when added</h3>")
    if rows:
        parts.append(render_table(("tile", "what", "why"), rows[:_ROWS]))
    if len(rows) > _ROWS:
        parts.append(f"<p>… and {len(rows) - _ROWS:,} more.</p>")
    parts.append("</div></div>")
    regimes = content.pits["regime"].dropna()
    if len(regimes):
        of = [
            split_by_surface(content.pits[content.pits["regime"] == r])
            for r in sorted(set(regimes))
        ]
        body = [
            (r, *(f"{len(groups[s]):,}" for s in SURFACES))
            for r, groups in zip(sorted(set(regimes)), of, strict=True)
        ]
        parts += ["<h3>Pits by density regime</h3>", render_table(("regime", *SURFACES), body)]
    return "".join(parts)


def render_evaluation(e: Evaluation, breakdowns: Any) -> str:
    """Return efficiency and purity beside their chance level, and the breakdowns."""
    rows = [
        (what, str(p), f"{p.successes:,} of {p.trials:,}", str(chance))
        for what, p, chance in (
            ("efficiency", e.efficiency, e.chance_efficiency),
            ("purity", e.purity, e.chance_purity),
        )
    ]
    head = ("", f"value [{100 * e.confidence:g} % interval]", "counts", "by chance (local shifts)")
    within = f" within {', '.join(e.grouped_by)}" if e.grouped_by else ""
    parts = [
        f"<p>Matched {e.rule}, strictly closer than {e.tolerance:g} {e.unit}{within}: "
        f"{e.matching.true_pos:,} true, {e.matching.false_pos:,} false, "
        f"{e.matching.false_neg:,} missed. Intervals are over {e.tiles.number:,} tiles "
        f"({e.tiles.of}); false finds a tile: {chi2_text(e.false_chi2_ndf)}, which is 1 where they "
        "are independent. Chance is the same list shifted by 10 and 20 tolerances in eight "
        "directions.</p>",
        render_table(head, rows),
    ]
    for column in breakdowns:
        by = e.by(column)
        body = [tuple(_cell(v) for v in row) for row in by.itertuples(index=False, name=None)]
        names = [_HEADINGS.get(c, c) for c in by.columns]
        parts += [f"<h3>By {_escaped(column)}</h3>", render_table(names, body, numbers_from=1)]
    return "".join(parts)


def render_pairs(pairs: pd.DataFrame, pictures: list[bytes], pixel_size_um: float | None) -> str:
    """Return the table of pairs with their cut-outs, one row a pair, at its entry pit."""
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


def render_candidates(candidates: pd.DataFrame, pictures: list[bytes]) -> str:
    """Return the table of the best candidates with their cut-outs, one row a candidate."""
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


def _below(pits: pd.DataFrame, cut: float) -> tuple[int, float]:
    """Return the pairs with pair_p up to a cut, and the most that unrelated pits would make.

    Pairs that were split from one find have no pair_p and do not count, nor do their entry pits.
    """
    pairs = select_pairs(pits)
    entries = int((pits["surface"] == "top").sum()) - int(pairs["pair_p"].isna().sum())
    return int((pairs["pair_p"] <= cut).sum()), entries * cut


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if np.isfinite(value) else "undefined"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if np.isfinite(value) else "–"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _escaped(value: object) -> str:
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested keys as dotted ones; a long list is cut and says how long it is."""
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
