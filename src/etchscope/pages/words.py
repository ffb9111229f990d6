"""The words of a report: headline figures, and the titles of its figures."""

import numpy as np
import pandas as pd

from etchscope.draw.tables import format_count, select_pairs, split_by_surface
from etchscope.evaluation import format_chi2
from etchscope.pages.content import ReportContent
from etchscope.pages.page import Card

__all__ = [
    "describe_features",
    "describe_mosaic",
    "describe_pairs",
    "describe_shapes",
    "describe_surfaces",
    "make_cards",
]

_P_CUT = 0.01


def describe_surfaces(pits: pd.DataFrame) -> str:
    """Return the numbers of pits by surface, as "12 top · 9 bottom"."""
    counts = {name: len(rows) for name, rows in split_by_surface(pits).items()}
    return " · ".join(f"{n:,} {name}" for name, n in counts.items() if n)


def make_cards(content: ReportContent, area_mm2: float | None) -> list[Card]:
    """Return the headline figures of a report.

    Parameters
    ----------
    area_mm2 : of the scan, overlaps counted once; None without a scale.
    """
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
                note += f"; false finds per tile: {format_chi2(e.false_chi2_ndf)}"
            out.append(Card(_percent(p.value), what, note))
    return out


def describe_mosaic(content: ReportContent) -> str:
    """Return the title of the mosaic: the numbers of pits, tiles, pairs and marks."""
    pits, pairs = content.openings, len(select_pairs(content.pits))
    marks = len(content.pits) - len(pits)
    if not len(pits):
        return f"No pit on {format_count(len(content.scan.included), 'tile')}"
    tiles = format_count(len(content.scan.included), "tile")
    counts = f"{format_count(len(pits), 'pit')} on {tiles}: {describe_surfaces(pits)}"
    if pairs:
        counts += f", {format_count(pairs, 'in–out pair')}"
    return f"{counts}, and {format_count(marks, 'mark')}" if marks else counts


def describe_features(pits: pd.DataFrame) -> str:
    """Return the title of the feature space: how well entry and exit distinguish the surfaces.

    The two pits of a pair share both values, so only single pits are counted. The learned finder
    gives a single pit only one of them, and the title then has no shares.
    """
    groups = split_by_surface(pits[pits["partner"].isna()])
    shares = [
        f"{_percent(float((rows[own] > rows[other]).mean()))} of single {name} pits "
        f"respond more to {own}"
        for name, own, other in (("top", "entry", "exit"), ("bottom", "exit", "entry"))
        if len(rows := groups[name]) and bool(rows[[own, other]].notna().all(axis=None))
    ]
    return "; ".join(shares) or "Entry, exit and hip of every pit"


def describe_shapes(pits: pd.DataFrame, pixel_size_um: float | None) -> str:
    """Return the title of the shapes: the size and the axis ratio of a typical opening."""
    radius = pits["radius_px"].dropna()
    if not len(radius):
        return "No measured opening"
    across = 2 * float(radius.median())
    um = "" if pixel_size_um is None else f" ({across * pixel_size_um:.0f} µm)"
    ratio = 1 - float(pits["ellipticity"].median())
    wide = f"Half of the openings are wider than {across:.1f} px{um}"
    return f"{wide}, half rounder than {ratio:.2f} : 1" if np.isfinite(ratio) else wide


def describe_pairs(pits: pd.DataFrame) -> str:
    """Return the title of the pairs: their number, and how many unrelated pits would make."""
    if not len(select_pairs(pits)):
        return "No in–out pair"
    good, chance = _below(pits, _P_CUT)
    has = "has" if good == 1 else "have"
    counts = f"{format_count(good, 'pair')} {has} p ≤ {_P_CUT}"
    return f"{counts}, where unrelated pits would make {chance:.2g} at most"


def _below(pits: pd.DataFrame, cut: float) -> tuple[int, float]:
    """Return the number of pairs with pair_p up to a cut, and the most that unrelated pits make.

    Pairs that were split from one find have no pair_p; neither they nor their entry pits count.
    """
    pairs = select_pairs(pits)
    entries = int((pits["surface"] == "top").sum()) - int(pairs["pair_p"].isna().sum())
    return int((pairs["pair_p"] <= cut).sum()), entries * cut


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if np.isfinite(value) else "undefined"
