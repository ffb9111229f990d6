"""Figures of oracle.py: efficiency by density of background, and by zenith angle."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from etchscope.draw.figures import make_figure
from etchscope.draw.png import encode_figure
from etchscope.draw.style import INK, RC, SERIES_COLOURS
from etchscope.foil.types import Floats
from etchscope.pages.writing import write_picture

RATES = (1.0, 0.1)
"""False candidates per tile."""
ZENITH_DEG = np.arange(0.0, 61.0, 10.0)
"""Edges of the bins of zenith angle."""


def draw_by_density(rows: list[dict[str, Any]], path: Path) -> None:
    with mpl.rc_context(RC):
        made = make_figure(10.5, 5.2, "Signal that a search could keep if it knew every opening")
        axes = made.subplots(1, len(RATES), sharey=True)
        names = list(dict.fromkeys(row["case"] for row in rows))
        for ax, rate in zip(axes, RATES, strict=True):
            for k, name in enumerate(names):
                own = [row for row in rows if row["case"] == name]
                x = np.array([row["background_per_tile"] for row in own], np.float64)
                figures = np.array([row[f"at_{rate:g}"] for row in own])
                _bars(ax, x * 1.03 ** (k - len(names) / 2), figures, name, SERIES_COLOURS[k])
                places = np.array([row[f"by_place_at_{rate:g}"][0] for row in own])
                ax.plot(x, 100 * places, "--", lw=0.9, color=SERIES_COLOURS[k])
            at = sorted({row["background_per_tile"] for row in rows})
            key = f"chance_at_{rate:g}"
            chance = [max(r[key] for r in rows if r["background_per_tile"] == d) for d in at]
            ax.plot(at, 100 * np.array(chance), ":", color="#8A8A8A", label="chance, at most")
            ax.set_xscale("log")
            ax.set_xticks(at, [f"{d:,}" for d in at])
            ax.minorticks_off()
            ax.set_ylim(0, 102)
            ax.grid(axis="y")
            ax.set_xlabel("background fragments per tile")
            ax.set_title(f"at {rate:g} false candidate{'s' if rate != 1 else ''} per tile")
        axes[0].set_ylabel("signal efficiency (%)")
        axes[0].plot([], [], "--", lw=0.9, color=INK, label="the same, true by place")
        made.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    write_picture(encode_figure(made), path)


def _bars(ax: Axes, x: Floats, figures: Floats, name: str, colour: str) -> None:
    value, low, high = 100 * figures.T
    ax.errorbar(
        x, value, [value - low, high - value], label=name, color=colour, marker="o", ms=4, capsize=2
    )


def draw_by_zenith(rows: list[dict[str, Any]], path: Path) -> None:
    with mpl.rc_context(RC):
        made = make_figure(6.5, 4.4, "Signal from everywhere, at 1 false candidate per tile")
        ax = made.subplots()
        names = list(dict.fromkeys((r["background_per_tile"], r["case"]) for r in rows))
        for k, (density, name) in enumerate(names):
            own = [
                r
                for r in rows
                if (r["background_per_tile"], r["case"]) == (density, name) and r["particles"]
            ]
            x = np.array([np.mean(r["zenith_deg"]) for r in own]) + 0.4 * (k - len(names) / 2)
            figures = np.array([r["efficiency"] for r in own])
            _bars(ax, x, figures, f"{name}, {density:,} fragments per tile", SERIES_COLOURS[k])
        ax.set(xlim=(ZENITH_DEG[0], ZENITH_DEG[-1]), ylim=(-2, 102), xticks=ZENITH_DEG)
        ax.set(xlabel="zenith angle (°)", ylabel="signal efficiency (%)")
        ax.grid(axis="y")
        ax.legend(loc="best")
    write_picture(encode_figure(made), path)
