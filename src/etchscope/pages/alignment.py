"""The page of an alignment: registrations, efficiencies, coincidences and their figures."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from etchscope.align import AlignedStack, Member, Registration, TagAndProbe
from etchscope.draw.matches import draw_matches
from etchscope.draw.png import encode_figure
from etchscope.draw.residuals import draw_residual_map, draw_residuals
from etchscope.pages.page import Card, Html, render_figure, render_page, render_table
from etchscope.pages.writing import write_page, write_picture

__all__ = ["write_alignment"]


def write_alignment(stack: AlignedStack, directory: Path) -> Path:
    """Write the figures and ``alignment.html`` of a stack into its folder; return the page.

    Raises
    ------
    MachineFailed : the disk is full.
    """
    figures: dict[str, tuple[str, bytes]] = {}
    for member in stack.members:
        found = member.registration
        if found is None:
            continue
        name = f"{member.source.name}-{member.against}"
        pairs = found.pairs(stack.tolerance_mm)
        matches = _matches(found, stack.tolerance_mm, member)
        drawn = (
            ("residuals", "Residuals", encode_figure(draw_residuals(pairs))),
            ("map", "Residual map", encode_figure(draw_residual_map(pairs))),
            ("matches", "Matches", matches),
        )
        for kind, heading, png in drawn:
            figures[f"{kind}-{name}"] = (f"{heading}: {name}", png)
    for name, (_, png) in figures.items():
        write_picture(png, directory / f"{name}.png")
    return write_page(_page(stack, figures), directory / "alignment.html")


def _matches(found: Registration, tolerance_mm: float, member: Member) -> bytes:
    m = found.match(tolerance_mm)
    fixed, moved = found.fixed_xy, found.moved_xy
    names = (f"only in {member.against}", f"only in {member.source.name}")
    chance = found.accidental(tolerance_mm)
    title = f"{m.true_pos:,} pits in both; unrelated lists would share {chance.expected:.0f}"
    parts = (fixed[m.truth_hit], fixed[~m.truth_hit], moved[~m.found_hit])
    return encode_figure(draw_matches(*parts, names=names, title=title))


def _page(stack: AlignedStack, figures: Mapping[str, tuple[str, bytes]]) -> str:
    places = stack.places()
    most = int(places["surfaces"].max())
    every = places[places["surfaces"] == most]
    expected = float(every["p_accidental"].sum())
    cards = [
        Card(f"{len(stack.members)}", "surfaces", ", ".join(m.source.name for m in stack.members)),
        Card(
            f"{len(every):,}",
            f"places on {most} surfaces",
            f"{expected:.2g} of them accidental",
        ),
        Card(f"{1000 * stack.tolerance_mm:.0f} µm", "tolerance"),
    ]
    sections = [
        ("Registrations", _registrations(stack)),
        ("Efficiencies, from the other surfaces", _efficiencies(stack.efficiencies())),
        ("Coincidences", _coincidences(places)),
    ]
    sections += [
        (heading, render_figure(png, heading, _CAPTIONS[name.split("-")[0]]))
        for name, (heading, png) in figures.items()
    ]
    title = f"Alignment of {', '.join(m.source.name for m in stack.members)}"
    subtitle = "All places are in the frame of the first list"
    return render_page(title, subtitle, cards, sections, "Etchscope")


_CAPTIONS = {
    "residuals": "Difference of the places (moved minus fixed) for each one-to-one match.",
    "map": "Median residual of each cell, enlarged. Errors of the stage that are the same in both "
    "scans do not show here.",
    "matches": "Pits with a partner within the tolerance, one to one, and pits without a partner.",
}


def _registrations(stack: AlignedStack) -> Html:
    rows = []
    for m in stack.members:
        if m.registration is None:
            rows.append([m.source.name, "(the frame)", f"{len(m.row):,}", *[""] * 5])
            continue
        record = m.registration.to_dict(stack.tolerance_mm)
        one = record["matches"]["one-to-one"]
        rows.append(
            [
                m.source.name,
                m.against or "",
                f"{len(m.row):,}",
                f"{one['counted']:,}",
                f"{one['by_chance']['expected']:.1f}",
                f"{record['rotation_deg']:+.4f}°",
                f"{record['transform']['scale']:.5f}",
                f"{record['median_residual_um']:.1f} µm",
            ]
        )
    head = ["list", "against", "pits", "matches", "by chance", "rotation", "scale", "residual"]
    return render_table(head, rows, numbers_from=2)


def _efficiencies(found: list[TagAndProbe]) -> Html:
    rows = [
        [
            e.surface,
            f"{e.passed.successes:,} of {e.passed.trials:,}",
            f"{100 * e.by_chance:.2f} %",
            f"{100 * e.efficiency:.1f} % [{100 * e.low:.1f}, {100 * e.high:.1f}]",
        ]
        for e in found
    ]
    head = ["surface", "tags that it shows", "by chance", "efficiency, 95 % interval"]
    return render_table(head, rows, numbers_from=1)


def _coincidences(places: pd.DataFrame) -> Html:
    rows = [
        [f"{n}", f"{len(group):,}", f"{group['p_accidental'].sum():.2g}"]
        for n, group in places.groupby("surfaces")
    ]
    return render_table(
        ["surfaces", "places", "of them accidental, expected"], rows, numbers_from=0
    )
