"""The pits as distributions: feature space, shapes and pairs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from etchscope.foil.types import Floats
from etchscope.report.content import of_surface, pairs_of
from etchscope.report.style import COLOURS, evenly, figure

__all__ = ["feature_figure", "pair_figure", "shape_figure"]

_POINTS = 20_000
"""At most so many pits of a surface are drawn as points; the figure says so."""
_RESPONSES = ("entry", "exit", "hip")


def feature_figure(pits: pd.DataFrame, title: str) -> Figure:
    """Return the 3-D feature space (entry, exit, hip) and its three projections."""
    made = figure(12.5, 8.6, title)
    groups = {name: rows for name, rows in of_surface(pits).items() if len(rows)}
    drawn = {name: evenly(rows, _POINTS) for name, rows in groups.items()}
    width = _linear_width(pits)
    grid = made.add_gridspec(2, 2)
    _space(made.add_subplot(grid[0, 0], projection="3d"), drawn, width)
    for place, (a, b) in zip(
        (grid[0, 1], grid[1, 0], grid[1, 1]),
        (("entry", "exit"), ("entry", "hip"), ("exit", "hip")),
        strict=True,
    ):
        ax = made.add_subplot(place)
        for name, rows in drawn.items():
            ax.plot(rows[a], rows[b], "o", color=COLOURS[name], ms=_size(drawn), alpha=0.5, mew=0)
        if width is not None:
            ax.set_xscale("asinh", linear_width=width)
            ax.set_yscale("asinh", linear_width=width)
        ax.set(xlabel=f"{a} response (σ)", ylabel=f"{b} response (σ)")
        ax.grid(True)
    labels = {
        name: f"{name} ({len(rows):,}{'' if len(drawn[name]) == len(rows) else ', thinned'})"
        for name, rows in groups.items()
    }
    _surface_legend(made, labels)
    return made


def _space(ax: Any, drawn: dict[str, pd.DataFrame], width: float | None) -> None:
    """Draw the 3-D scatter; a wide range is shown as asinh with ticks in the original unit."""
    scale = 1.0 if width is None else width
    for name, rows in drawn.items():
        xyz = rows[list(_RESPONSES)].to_numpy(float)
        x, y, z = (xyz if width is None else np.arcsinh(xyz / scale)).T
        ax.scatter(x, y, z, s=_size(drawn) ** 2, color=COLOURS[name], alpha=0.5, lw=0)
    if width is not None:
        values = np.concatenate(
            [r[list(_RESPONSES)].to_numpy(float).ravel() for r in drawn.values()]
        )
        top = float(np.nanmax(values))
        ticks = [v for v in (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000) if v <= top]
        told = FuncFormatter(lambda value, _: f"{np.sinh(value) * scale:.0f}")
        for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
            axis.set_ticks(np.arcsinh(np.array(ticks) / scale))
            axis.set_major_formatter(told)
    ax.set(xlabel="entry (σ)", ylabel="exit (σ)", zlabel="hip (σ)")
    ax.view_init(elev=22, azim=40)
    ax.set_box_aspect(None, zoom=1.1)


def shape_figure(pits: pd.DataFrame, pixel_size_um: float | None, title: str) -> Figure:
    """Return radius, ellipticity, orientation and contrast, each by surface."""
    made = figure(12.5, 7.2, title)
    groups = {name: rows for name, rows in of_surface(pits).items() if len(rows)}
    grid = made.add_gridspec(2, 2)
    radius = made.add_subplot(grid[0, 0])
    _steps(radius, groups, "radius_px", "radius of the opening (px)")
    if pixel_size_um is not None:
        radius.secondary_xaxis("top", functions=_both_ways(pixel_size_um)).set_xlabel("(µm)")
    _steps(made.add_subplot(grid[0, 1]), groups, "ellipticity", "ellipticity 1 − b/a", (0, 1))
    _steps(made.add_subplot(grid[1, 0]), groups, "contrast", "contrast (opening over bulk)")
    _roses(made.add_subplot(grid[1, 1], projection="polar"), groups)
    _surface_legend(made, {name: f"{name} ({len(rows):,})" for name, rows in groups.items()})
    return made


def _both_ways(factor: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    return (lambda v: v * factor), (lambda v: v / factor)


def _roses(ax: Any, groups: dict[str, pd.DataFrame]) -> None:
    edges = np.linspace(0, 180, 25)
    for name, rows in groups.items():
        # A round opening has no long axis to speak of.
        long = rows.loc[rows["ellipticity"] > 0.1, "angle_deg"].dropna()
        count = np.histogram(long, edges)[0]
        both = np.concatenate([count, count])
        theta = np.deg2rad(np.concatenate([edges[:-1], edges[:-1] + 180]) + 3.75)
        ax.plot(np.append(theta, theta[0]), np.append(both, both[0]), color=COLOURS[name], lw=1.6)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.set_rlabel_position(67.5)
    ax.set_xlabel("long axis, counter-clockwise from +x (deg), pits; ellipticity > 0.1")


def pair_figure(pits: pd.DataFrame, title: str) -> Figure:
    """Return the pairs' displacements, and their ``pair_p`` beside what chance alone would give.

    Chance: an unrelated entry pit has a best partner with pair_p below c with probability c at
    most, so n entry pits give n·c accidental pairs.
    """
    made = figure(12.5, 4.4, title)
    where, low, cut = made.subplots(1, 3, width_ratios=(1.05, 1, 1))
    pairs = pairs_of(pits)
    split = int(pairs["pair_p"].isna().sum())  # from one find: no pair_p
    entries = int((pits["surface"] == "top").sum()) - split
    _displacements(made, where, pairs)
    p = pairs["pair_p"].dropna().to_numpy(float)
    edges = np.linspace(0, 1, 21)
    low.hist(p, edges.tolist(), color=COLOURS["pair"], histtype="stepfilled", alpha=0.85)
    low.axhline(entries / 20, color="#333333", ls="--", lw=1.3)
    low.set(xlabel="pair_p", ylabel="pairs per 0.05", xlim=(0, 1))
    ordered = np.sort(np.clip(p, 1e-9, 1))
    floor = max(float(ordered[0]) if len(ordered) else 1e-3, 1e-6)
    cuts = np.geomspace(min(floor, 1e-3), 1, 200)
    cut.step(cuts, np.searchsorted(ordered, cuts, side="right"), color=COLOURS["pair"], lw=2)
    cut.plot(cuts, entries * cuts, color="#333333", ls="--", lw=1.3)
    cut.set(xlabel="cut c on pair_p", ylabel="pairs with pair_p ≤ c", xscale="log")
    cut.set_yscale("log" if len(p) else "linear")
    cut.set_ylim(bottom=0.5 if len(p) else 0)
    cut.grid(True)
    handles = [
        Line2D([], [], color=COLOURS["pair"], lw=4, label=f"pairs ({len(pairs):,})"),
        Line2D(
            [],
            [],
            color="#333333",
            ls="--",
            label=f"unrelated pits at most: {entries:,} entries × c",
        ),
    ]
    made.legend(handles=handles, loc="outside lower left", ncols=2)
    return made


def _displacements(made: Figure, ax: Axes, pairs: pd.DataFrame) -> None:
    d = pairs[["pair_dx_px", "pair_dy_px"]].dropna().to_numpy(float)
    reach = float(np.abs(d).max()) * 1.05 if len(d) else 6.0
    if len(d) > 2000:
        bins = np.linspace(-reach, reach, 61)
        count = np.histogram2d(d[:, 0], d[:, 1], (bins, bins))[0]
        shown = np.ma.masked_equal(count, 0)
        norm = LogNorm(1, max(2, count.max()))
        mesh = ax.pcolormesh(bins, bins, shown.T, norm=norm, cmap="cividis", rasterized=True)
        made.colorbar(mesh, ax=ax, label="pairs", shrink=0.85)
    else:
        ax.plot(d[:, 0], d[:, 1], ".", color=COLOURS["pair"], ms=4, alpha=0.7, mew=0)
    ax.axhline(0, color="#999999", lw=0.7)
    ax.axvline(0, color="#999999", lw=0.7)
    ax.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")
    ax.set(xlabel="exit − entry, x (px)", ylabel="exit − entry, y (px, down)")


def _linear_width(pits: pd.DataFrame) -> float | None:
    """Return the asinh width for a wide range of responses, None where linear axes do."""
    values: Floats = pits[list(_RESPONSES)].to_numpy(float).ravel()
    values = np.abs(values[np.isfinite(values)])
    if not values.size:
        return None
    middle, top = np.percentile(values, [50, 99.9])
    return float(max(middle, 1.0)) if top > 10 * max(middle, 1.0) else None


def _size(drawn: dict[str, pd.DataFrame]) -> float:
    most = max((len(rows) for rows in drawn.values()), default=1)
    return float(np.clip(110 / np.sqrt(max(most, 1)), 1.5, 5))


def _steps(
    ax: Axes,
    groups: dict[str, pd.DataFrame],
    column: str,
    label: str,
    limits: tuple[float, float] | None = None,
) -> None:
    values = {name: rows[column].dropna().to_numpy(float) for name, rows in groups.items()}
    pooled = np.concatenate([*values.values(), np.zeros(0)])
    if limits is None:
        low, high = np.percentile(pooled, [0.1, 99.9]) if pooled.size else (0.0, 1.0)
        limits = (low, high) if high > low else (low - 0.5, low + 0.5)
    edges = np.linspace(*limits, 51)
    for name, own in values.items():
        ax.hist(np.clip(own, *limits), edges.tolist(), histtype="step", color=COLOURS[name], lw=1.6)
    ax.set(xlabel=label, ylabel="pits a bin", xlim=limits)
    ax.grid(True, axis="y")


def _surface_legend(made: Figure, labels: dict[str, str]) -> None:
    handles = [
        Line2D([], [], ls="none", marker="o", color=COLOURS[name], label=label)
        for name, label in labels.items()
    ]
    if handles:
        made.legend(handles=handles, loc="outside lower left", ncols=len(handles))
