"""Figures of alignments and of matches: residuals, maps, curves; and the page of an alignment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binned_statistic, binned_statistic_2d

from etchscope.align import AlignedStack, Member, Registration, TagAndProbe
from etchscope.foil import BadInput
from etchscope.foil.types import Floats
from etchscope.report.page import Card, figure_html, page, table
from etchscope.report.style import COLOURS, RC, SERIES_COLOURS, figure, png_bytes
from etchscope.report.tables import drawable, series
from etchscope.store.files import written_aside

__all__ = ["match_map", "residual_figure", "residual_map", "tolerance_figure", "write_alignment"]

_BINS = 20
_FEW = 3
_SCARCE = 300  # matches, that are drawn as larger dots
_A_CELL = 6  # matches in a cell of the map
_MATCH_COLOURS = {"matched": "#BBBBBB", "first": COLOURS["top"], "second": COLOURS["bottom"]}


@mpl.rc_context(RC)
def residual_figure(pairs: pd.DataFrame, *, unit: str = "µm", title: str = "") -> Figure:
    """Return the residuals dx and dy against x and y, with the median and its spread in bins.

    Parameters
    ----------
    pairs : ``x_mm, y_mm, dx_mm, dy_mm``, one row a match.

    Raises
    ------
    BadInput : a column is missing, or there is no match.
    """
    shown = drawable(pairs, ["x_mm", "y_mm", "dx_mm", "dy_mm"], "matches")
    um = shown[["dx_mm", "dy_mm"]].to_numpy(float) * 1000
    apart = np.hypot(um[:, 0], um[:, 1])
    told = f"{len(shown):,} matches, half of them nearer than {np.median(apart):.1f} {unit}"
    made = figure(9.6, 6.6, title or told)
    axes = made.subplots(2, 2, sharey=True, sharex="col")
    # What 98 % of the residuals need; cut openings would hide the rest.
    reach = float(np.clip(np.quantile(apart, 0.98) * 1.15, 2.0, None))
    few = len(shown) < _SCARCE
    dots: dict[str, Any] = {"ms": 6, "alpha": 1.0} if few else {"ms": 2.5, "alpha": 0.6}
    for row, (name, values) in enumerate((("dx", um[:, 0]), ("dy", um[:, 1]))):
        for column, along in enumerate(("x", "y")):
            ax: Axes = axes[row, column]
            at = shown[f"{along}_mm"].to_numpy(float)
            ax.plot(at, values, ".", color="#9BB8CC", mew=0, rasterized=True, **dots)
            ax.axhline(0, color="#777777", lw=1)
            middle, low, high = _running(at, values)
            ax.fill_between(low[0], low[1], high[1], color=SERIES_COLOURS[1], alpha=0.25, lw=0)
            ax.plot(*middle, color=SERIES_COLOURS[1], lw=2, label="median, and half of the matches")
            ax.set_ylim(-reach, reach)
            ax.grid(True)
            if row == 1:
                ax.set_xlabel(f"{along} (mm)")
            if column == 0:
                ax.set_ylabel(f"{name} ({unit})")
    axes[0, 0].legend(loc="upper left")
    beyond = int((np.abs(um).max(axis=1) > reach).sum())
    if beyond:
        text = f"{beyond:,} matches lie beyond these axes"
        made.text(0.99, 0.985, text, ha="right", va="top", fontsize=9, color="#666666")
    return made


def _running(at: Floats, values: Floats) -> tuple[Any, Any, Any]:
    """Return (places, median), and (places, quarter) of the lower and upper quarter, in bins."""
    edges = np.linspace(at.min(), at.max() + 1e-9, _BINS + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    out = []
    for q in (50, 25, 75):
        quantile, _, _ = binned_statistic(
            at, values, lambda v, q=q: np.percentile(v, q) if len(v) >= _FEW else np.nan, edges
        )
        out.append((middle, quantile))
    return out[0], out[1], out[2]


@mpl.rc_context(RC)
def residual_map(pairs: pd.DataFrame, *, title: str = "") -> Figure:
    """Return the median residual over the foil as arrows, on a raster of up to 20 cells across.

    Cells hold six matches on average, or more; those with fewer than three are left empty.

    Raises
    ------
    BadInput : a column is missing, or there are fewer than three matches in each cell.
    """
    shown = drawable(pairs, ["x_mm", "y_mm", "dx_mm", "dy_mm"], "matches").astype(float)
    x, y = shown["x_mm"].to_numpy(), shown["y_mm"].to_numpy()
    width, height = max(np.ptp(x), 1e-6), max(np.ptp(y), 1e-6)
    across = int(np.clip(np.sqrt(len(x) / _A_CELL * width / height), 1, _BINS))
    bins = [across, int(np.clip(round(across * height / width), 1, _BINS))]
    medians = []
    for name in ("dx_mm", "dy_mm"):
        median, ex, ey, _ = binned_statistic_2d(
            x, y, 1000 * shown[name], lambda v: np.median(v) if len(v) >= _FEW else np.nan, bins
        )
        medians.append(median)
    length = np.hypot(*medians)
    known = np.isfinite(length)
    if not known.any():
        raise BadInput("matches", f"{_FEW} or more in a cell of the map", "fewer in each")
    typical = float(np.median(length[known]))
    told = f"The mosaics agree within {typical:.1f} µm in the median cell"
    made = figure(8.2, 6.6 * float(np.clip(height / width, 0.4, 1.3)) + 1.0, title or told)
    ax = made.add_subplot()
    mesh = ax.pcolormesh(ex, ey, length.T, cmap="Blues", vmin=0, vmax=np.nanquantile(length, 0.98))
    at_x, at_y = np.meshgrid((ex[:-1] + ex[1:]) / 2, (ey[:-1] + ey[1:]) / 2, indexing="ij")
    scale = 0.8 * (ex[1] - ex[0]) / max(float(np.nanquantile(length, 0.95)), 1e-9)
    ax.quiver(
        at_x[known],
        at_y[known],
        *(m[known] * scale for m in medians),
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.0025,
        color="#222222",
    )
    ax.set(xlabel="x (mm)", ylabel="y (mm)", aspect="equal")
    made.colorbar(mesh, ax=ax, label="length of the median residual (µm)", shrink=0.8)
    return made


@mpl.rc_context(RC)
def match_map(
    matched: Floats,
    only_first: Floats,
    only_second: Floats,
    *,
    names: tuple[str, str],
    title: str,
    unit: str = "mm",
) -> Figure:
    """Return where points have a partner, and where only one of two lists has one.

    Parameters
    ----------
    matched, only_first, only_second : (n, 2) places in one frame, y up.
    names : of the two lists, as "missed" and "false".

    Raises
    ------
    BadInput : no point at all.
    """
    parts = (
        (matched, _MATCH_COLOURS["matched"], "o", f"in both ({len(matched):,})"),
        (only_first, _MATCH_COLOURS["first"], "o", f"{names[0]} ({len(only_first):,})"),
        (only_second, _MATCH_COLOURS["second"], "s", f"{names[1]} ({len(only_second):,})"),
    )
    every = np.concatenate([p[0] for p in parts])
    if not len(every):
        raise BadInput("map", "one point or more to draw", "none")
    width, height = np.maximum(np.ptp(every, axis=0), 1e-6)
    made = figure(8.4, 7.6 * float(np.clip(height / width, 0.4, 1.3)) + 1.3, title)
    ax = made.add_subplot()
    size = 3.4 if len(every) < 8000 else 1.8
    for place, (xy, colour, marker, label) in enumerate(parts):
        small = size * (0.7 if place == 0 else 1.0)
        ax.plot(*xy.T, marker, ms=small, color=colour, mew=0, label=label, rasterized=True)
    ax.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})", aspect="equal")
    made.legend(loc="outside lower left", ncols=3, markerscale=2)
    return made


@mpl.rc_context(RC)
def tolerance_figure(
    curves: Mapping[str, pd.DataFrame], *, unit: str = "px", title: str = ""
) -> Figure:
    """Return efficiency and purity against the tolerance, and one against the other.

    Parameters
    ----------
    curves : name of a list → ``evaluate.tolerance_curve``.

    Raises
    ------
    BadInput : no curve, or one without the columns or a row.
    """
    columns = ["tolerance", "chance_efficiency", "chance_purity"]
    for name in ("efficiency", "purity"):
        columns += [name, f"{name}_low", f"{name}_high"]
    made = figure(11.6, 4.6, title or "Efficiency and purity against the tolerance")
    axes = made.subplots(1, 3)
    for name, t, colour, dashes in series(curves, columns, "curve"):
        ordered = t.sort_values("tolerance")
        x = ordered["tolerance"].to_numpy(float)
        for ax, what in zip(axes[:2], ("efficiency", "purity"), strict=True):
            low, high = (ordered[f"{what}_{end}"].to_numpy(float) for end in ("low", "high"))
            ax.fill_between(x, low, high, color=colour, alpha=0.16, lw=0)
            ax.plot(x, ordered[what], dashes, color=colour, lw=2, label=name)
            ax.plot(x, ordered[f"chance_{what}"], ":", color=colour, lw=1.6)
        axes[2].plot(ordered["efficiency"], ordered["purity"], dashes + "o", ms=4, color=colour)
    axes[0].plot(
        [], [], ":", color="#777777", label="chance by local shifts, in the colour of its list"
    )
    for ax, what in zip(axes[:2], ("efficiency", "purity"), strict=True):
        ax.set(xlabel=f"tolerance ({unit})", ylabel=what, ylim=(0, 1.02))
    axes[2].set(xlabel="efficiency", ylabel="purity", title="one against the other")
    for ax in axes:
        ax.grid(True)
    handles, labels = axes[0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower left", ncols=4)
    return made


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
        with mpl.rc_context(RC):
            made = residual_figure(pairs)
            figures[f"residuals-{name}"] = (f"Residuals: {name}", png_bytes(made))
            figures[f"map-{name}"] = (f"Residual map: {name}", png_bytes(residual_map(pairs)))
            figures[f"matches-{name}"] = (
                f"Matches: {name}",
                png_bytes(_matches(found, stack.tolerance_mm, member)),
            )
    for name, (_, png) in figures.items():
        with written_aside(directory / f"{name}.png") as aside:
            aside.write_bytes(png)
    text = _page(stack, figures)
    with written_aside(directory / "alignment.html") as aside:
        aside.write_text(text, encoding="utf-8")
    return directory / "alignment.html"


def _matches(found: Registration, tolerance_mm: float, member: Member) -> Figure:
    m = found.match(tolerance_mm)
    fixed, moved = found.fixed_xy, found.moved_xy
    names = (f"only in {member.against}", f"only in {member.source.name}")
    chance = found.accidental(tolerance_mm)
    title = f"{m.true_pos:,} pits in both; unrelated lists would share {chance.expected:.0f}"
    parts = (fixed[m.truth_hit], fixed[~m.truth_hit], moved[~m.found_hit])
    return match_map(*parts, names=names, title=title)


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
        (heading, figure_html(png, heading, _CAPTIONS[name.split("-")[0]]))
        for name, (heading, png) in figures.items()
    ]
    title = f"Alignment of {', '.join(m.source.name for m in stack.members)}"
    return page(title, "All places in the frame of the first", cards, sections, "Etchscope")


_CAPTIONS = {
    "residuals": "Moved less fixed place of each one-to-one match.",
    "map": "Median residual of each cell, enlarged; a stage that errs alike in both scans is not "
    "seen here.",
    "matches": "Pits with a partner within the tolerance, one to one, and those without.",
}


def _registrations(stack: AlignedStack) -> str:
    rows = []
    for m in stack.members:
        if m.registration is None:
            rows.append([m.source.name, "(the frame)", f"{len(m.row):,}", *[""] * 5])
            continue
        told = m.registration.to_dict(stack.tolerance_mm)
        one = told["matches"]["one-to-one"]
        rows.append(
            [
                m.source.name,
                m.against or "",
                f"{len(m.row):,}",
                f"{one['counted']:,}",
                f"{one['by_chance']['expected']:.1f}",
                f"{told['rotation_deg']:+.4f}°",
                f"{told['transform']['scale']:.5f}",
                f"{told['median_residual_um']:.1f} µm",
            ]
        )
    head = ["list", "against", "pits", "matches", "by chance", "rotation", "scale", "residual"]
    return table(head, rows, numbers_from=2)


def _efficiencies(found: list[TagAndProbe]) -> str:
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
    return table(head, rows, numbers_from=1)


def _coincidences(places: pd.DataFrame) -> str:
    rows = [
        [f"{n}", f"{len(group):,}", f"{group['p_accidental'].sum():.2g}"]
        for n, group in places.groupby("surfaces")
    ]
    return table(["surfaces", "places", "of them accidental, expected"], rows, numbers_from=0)
