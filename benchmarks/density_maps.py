"""Measure density maps: equality with spatstat, bias at rims, coverage of intervals, speed.

    python benchmarks/density_maps.py --write

needs Rscript with spatstat (Debian: r-cran-spatstat). Each part can be run alone: --only spatstat.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from etchscope.background.bandwidth import choose_bandwidth, smallest_bandwidth
from etchscope.background.density_maps import PitPoints, Window, integrate, map_density
from etchscope.background.grid import bin_points, grid_over, sample_points
from etchscope.background.kernel_density import Smoother, corrected_density
from etchscope.background.polygons import inside_polygons, polygon_area

RESULTS = Path(__file__).parent / "results" / "density_maps.json"
SIDE = 20.0
SHEET = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]])
TURN = np.linspace(0, 2 * np.pi, 100, endpoint=False)
HOLE = np.column_stack([12 + 2 * np.cos(TURN), 8 + 2 * np.sin(TURN)])
RAGGED = np.array([[0, 0], [SIDE, 1], [SIDE - 2, SIDE], [8, SIDE - 6], [1, SIDE - 1]])

Field = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Pattern:
    """A kind of pattern: its density in 1/mm², the greatest one, and pits per cluster."""

    density: Field
    most: float
    per_cluster: int = 1


def spot(x: Any, y: Any, width: float) -> Any:
    return np.exp(-((x - 6) ** 2 + (y - 13) ** 2) / (2 * width**2))


PATTERNS = {
    "uniform, 50 per mm²": Pattern(lambda x, y: 50 + 0 * x, 50),
    "uniform, 0.5 per mm²": Pattern(lambda x, y: 0.5 + 0 * x, 0.5),
    "gradient, 20 to 148": Pattern(lambda x, y: 20 * np.exp(x / 10), 148),
    "gradient, 0.2 to 2.4": Pattern(lambda x, y: 0.2 * np.exp(x / 8), 2.5),
    "wide spot, 10 to 100": Pattern(lambda x, y: 10 + 90 * spot(x, y, 4), 100),
    "steep spot, 3 to 100": Pattern(lambda x, y: 3 + 97 * spot(x, y, 2), 100),
    "clusters of 4, 20 per mm²": Pattern(lambda x, y: 20 + 0 * x, 20, per_cluster=4),
}


def draw(pattern: Pattern, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return the places of one pattern on the sheet with a hole."""
    count = rng.poisson(pattern.most * SIDE**2 / pattern.per_cluster)
    x, y = rng.uniform(0, SIDE, (2, count))
    if pattern.per_cluster > 1:
        x, y = (np.repeat(v, pattern.per_cluster) for v in (x, y))
        x, y = (v + rng.normal(0, 0.05, len(v)) for v in (x, y))
    kept = rng.uniform(0, pattern.most, len(x)) < pattern.density(x, y)
    kept &= inside_polygons(x, y, [SHEET, HOLE])
    return x[kept], y[kept]


def window_over(count: int, polygons: list[Any], step: float | None = None) -> Window:
    step = step or smallest_bandwidth(SIDE**2, SIDE**2, count) / 4
    grid = grid_over((0, SIDE, 0, SIDE), step)
    return Window(polygon_area(polygons, grid), grid)


R_DENSITY = """
suppressMessages(library(spatstat))
xy <- read.csv("points.csv"); loops <- list()
for (file in list.files(".", "^loop")) {
  loop <- read.csv(file); loops[[file]] <- list(x = loop$x, y = loop$y)
}
W <- owin(poly = loops)
X <- ppp(xy$x, xy$y, window = W)
cells <- as.mask(W, dimyx = c(%(pixels)d, %(pixels)d))
began <- proc.time()[["elapsed"]]
Z <- density(X, sigma = %(sigma)g, W = cells, diggle = %(diggle)s)
took <- proc.time()[["elapsed"]] - began
at <- read.csv("at.csv")
out <- data.frame(value = Z[list(x = at$x, y = at$y)])
write.csv(out, "out.csv", row.names = FALSE)
cat(took, if (%(ppl)s) bw.ppl(X, srange = c(%(low)g, %(high)g), ns = 13) else 0,
    as.character(packageVersion("spatstat.explore")), "\\n")
"""


def ask_spatstat(
    x: Any,
    y: Any,
    loops: list[Any],
    at: Any,
    sigma: float,
    *,
    diggle: bool = False,
    pixels: int = 1024,
    tried: tuple[float, float] | None = None,
) -> tuple[Any, float, float, str]:
    """Return densities at places, seconds, the bandwidth of bw.ppl or 0, and the version."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        header: dict[str, Any] = {"delimiter": ",", "header": "x,y", "comments": "", "fmt": "%.12g"}
        np.savetxt(folder / "points.csv", np.column_stack([x, y]), **header)
        np.savetxt(folder / "at.csv", at, **header)
        for k, loop in enumerate(loops):
            area = np.sum(
                loop[:, 0] * np.roll(loop[:, 1], -1) - np.roll(loop[:, 0], -1) * loop[:, 1]
            )
            is_turned = (area > 0) == (k > 0)  # outlines run counter-clockwise, holes clockwise
            np.savetxt(folder / f"loop{k}.csv", loop[::-1] if is_turned else loop, **header)
        low, high = tried or (0.0, 0.0)
        words = {"pixels": pixels, "sigma": sigma, "diggle": "TRUE" if diggle else "FALSE"}
        words |= {"ppl": "TRUE" if tried else "FALSE", "low": low, "high": high}
        (folder / "go.R").write_text(R_DENSITY % words)
        done = subprocess.run(
            ["Rscript", "go.R"], cwd=folder, check=True, capture_output=True, text=True
        )
        took, width, package = done.stdout.split()
        values = np.genfromtxt(folder / "out.csv", skip_header=1)
        return values, float(took), float(width), package


def compare_spatstat(seed: int) -> dict[str, Any]:
    """Compare with density.ppp at the centres of its pixels, in windows with a hole and a bay."""
    rng, rows = np.random.default_rng(seed), []
    worst, package = 0.0, ""
    for name, loops in (("square with a hole", [SHEET, HOLE]), ("ragged, a hole", [RAGGED, HOLE])):
        # Their pixels are an odd number of times finer, so that some have the centres of our cells.
        for sigma, finer in ((1.0, 5), (2.0, 9)):
            for diggle in (False, True):
                x, y = rng.uniform(0, SIDE, (2, 60000))
                kept = rng.uniform(0, 1, 60000) < 0.2 + 0.8 * spot(x, y, 4)
                kept &= inside_polygons(x, y, loops)
                x, y = x[kept], y[kept]
                window = window_over(len(x), loops, sigma / 8)
                grid, seen = window.grid, window.seen
                smoother = Smoother(seen, grid)
                if diggle:
                    # Jones and Diggle: each point weighs 1 / e(xᵢ), and no sum is divided.
                    weight = 1 / sample_points(smoother.mass(sigma), x, y, grid)
                    ours = smoother.smooth(bin_points(x, y, grid, weight), sigma)
                else:
                    ours = smoother.density(bin_points(x, y, grid), sigma)
                inside = seen > 0.999 * grid.cell_area
                u, v = np.meshgrid(grid.x, grid.y)
                at = np.column_stack([u[inside], v[inside]])
                pixels = finer * round(SIDE / grid.step)
                theirs, _, _, package = ask_spatstat(
                    x, y, loops, at, sigma, diggle=diggle, pixels=pixels
                )
                known = np.isfinite(theirs)
                apart = abs(ours[inside][known] - theirs[known])
                relative = float((apart / theirs[known]).max())
                of_most = float(apart.max() / theirs[known].max())
                worst = max(worst, of_most)
                kind = "Diggle" if diggle else "uniform"
                rows.append([name, sigma, kind, len(x), f"{of_most:.1e}", f"{relative:.1e}"])
                print(rows[-1], flush=True)
    return {"rows": rows, "worst": worst, "package": package}


def compare_bandwidths(seed: int) -> list[list[Any]]:
    """Compare the chosen bandwidth with that of bw.ppl over the same range."""
    rows = []
    for name in ("gradient, 0.2 to 2.4", "steep spot, 3 to 100"):
        x, y = draw(PATTERNS[name], np.random.default_rng(seed))
        window = window_over(len(x), [SHEET, HOLE])
        ours = choose_bandwidth(x, y, window.seen, window.grid) * np.sqrt(2)
        widest = 0.25 * np.sqrt(window.area)
        tried = (4 * np.sqrt(2) * window.grid.step, float(widest))
        at = np.array([[1.0, 1.0]])
        theirs = ask_spatstat(x, y, [SHEET, HOLE], at, 1.0, pixels=256, tried=tried)[2]
        rows.append([name, len(x), round(float(ours), 3), round(theirs, 3)])
        print(rows[-1], flush=True)
    return rows


def measure_bias(seed: int, patterns: int) -> list[list[Any]]:
    """Measure the mean of many maps over the truth: everywhere, at rims and beside the hole."""
    sigma, rows = 1.0, []
    window = window_over(1, [SHEET, HOLE], sigma / 4)
    smoother, grid = Smoother(window.seen, window.grid), window.grid
    u, v = np.meshgrid(grid.x, grid.y)
    valid = window.seen > 0.5 * grid.cell_area
    rim = np.minimum.reduce([u, SIDE - u, v, SIDE - v]) < sigma
    beside = np.hypot(u - 12, v - 8) - 2 < sigma
    for name in ("uniform, 50 per mm²", "gradient, 20 to 148", "wide spot, 10 to 100"):
        rng, pattern = np.random.default_rng(seed), PATTERNS[name]
        kernel, value = np.zeros(grid.shape), np.zeros(grid.shape)
        for _ in range(patterns):
            counts = bin_points(*draw(pattern, rng), grid)
            kernel += smoother.density(counts, sigma) / patterns
            value += corrected_density(counts, smoother, sigma) / patterns
        true = pattern.density(u, v)
        row: list[Any] = [name]
        for mean in (value, kernel):
            for where in (valid, valid & rim, valid & beside):
                row.append(round(100 * float((mean / true)[where].mean() - 1), 2))
        rows.append(row)
        print(row, flush=True)
    return rows


def measure_coverage(seed: int, patterns: int) -> list[list[Any]]:
    """Measure how often the interval of a cell holds the truth, with the bandwidth chosen."""
    rows = []
    for name, pattern in PATTERNS.items():
        for adaptive in (False, True):
            rng = np.random.default_rng(seed)
            covered, rims, totals, widths = [], [], [], []
            for _ in range(patterns):
                x, y = draw(pattern, rng)
                window = window_over(len(x), [SHEET, HOLE])
                done = map_density(PitPoints(x, y), window, adaptive=adaptive)
                u, v = np.meshgrid(done.grid.x, done.grid.y)
                true, pits = pattern.density(u, v), done.all_pits
                holds = (pits.low <= true) & (true <= pits.high)
                near = np.minimum.reduce([u, SIDE - u, v, SIDE - v, np.hypot(u - 12, v - 8) - 2])
                covered.append(holds[done.valid].mean())
                rims.append(holds[done.valid & (near < done.bandwidth)].mean())
                total = integrate(done)
                expected = float((true * done.seen)[done.valid].sum())
                totals.append(total.low <= expected <= total.high)
                widths.append(done.bandwidth)
            mean = 100 * float(np.mean(covered))
            error = 1.96 * 100 * float(np.std(covered, ddof=1)) / patterns**0.5
            kernel = "varying" if adaptive else "one width"
            rows.append(
                [
                    name,
                    kernel,
                    round(float(np.mean(widths)), 2),
                    [round(v, 1) for v in (mean, mean - error, mean + error)],
                    round(100 * float(np.mean(rims)), 1),
                    round(100 * float(np.mean(totals))),
                ]
            )
            print(rows[-1], flush=True)
    return rows


def measure_speed(seed: int, spatstat_points: int) -> dict[str, Any]:
    """Measure a map of 10⁷ pits, the floor of reading and adding them once, and spatstat."""
    count = 10_000_000
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, SIDE, (2, count))
    bin_points(x[:10], y[:10], grid_over((0, SIDE, 0, SIDE), 1.0))  # compiles
    began = time.perf_counter()
    window = window_over(count, [SHEET])
    made = time.perf_counter() - began
    began = time.perf_counter()
    done = map_density(PitPoints(x, y), window)
    chosen = time.perf_counter() - began
    began = time.perf_counter()
    map_density(PitPoints(x, y), window, bandwidth=0.5)
    given = time.perf_counter() - began
    began = time.perf_counter()
    bin_points(x, y, window.grid)
    floor = time.perf_counter() - began
    few = slice(0, spatstat_points)
    at = np.array([[1.0, 1.0]])
    theirs = ask_spatstat(x[few], y[few], [SHEET], at, 0.5, pixels=512)[1]
    out = {
        "window_s": round(made, 2),
        "chosen_s": round(chosen, 2),
        "given_s": round(given, 2),
        "floor_s": round(floor, 2),
        "cells": int(np.prod(done.grid.shape)),
        "spatstat_s": round(theirs, 2),
        "spatstat_points": spatstat_points,
    }
    print(out, flush=True)
    return out


PARTS: dict[str, Callable[[int, int], Any]] = {
    "spatstat": lambda seed, _: compare_spatstat(seed),
    "bandwidth": lambda seed, _: compare_bandwidths(seed),
    "bias": measure_bias,
    "speed": lambda seed, _: measure_speed(seed, 1_000_000),
    "coverage": measure_coverage,
}


def compare_aims(parts: dict[str, Any]) -> dict[str, Any]:
    """Return the worst figures of the parts, which the aims are compared with."""
    independent = [row for row in parts["coverage"] if not row[0].startswith("clusters")]
    covered = [row[3][0] for row in independent]
    return {
        "worst_of_most": max((row[4] for row in parts["spatstat"]["rows"]), key=float),
        "worst_relative": max((row[5] for row in parts["spatstat"]["rows"]), key=float),
        "worst_rim": max((row[2] for row in parts["bias"]), key=abs),
        "covered_least": min(covered),
        "covered_most": max(covered),
        "covered_clusters": min(row[3][0] for row in parts["coverage"]),
    }


def as_results(parts: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return the parts as the file of results holds them."""
    near = ["bias (%)", "at rims", "beside the hole"]
    return {
        "command": "python benchmarks/density_maps.py --write",
        "seed": seed,
        "version": version("etchscope"),
        "machine": "2 cores, busy with other work",
        "date": date.today().isoformat(),
        "about": "Points drawn on a square of 20 mm with a hole of 4 mm, and in a ragged window.",
        "values": {
            name: parts["speed"][name]
            for name in ("window_s", "chosen_s", "given_s", "floor_s", "spatstat_s")
        }
        | {"package": parts["spatstat"]["package"]}
        | compare_aims(parts),
        "tables": {
            "spatstat": {
                "columns": [
                    "window",
                    "bandwidth (mm)",
                    "correction",
                    "pits",
                    "largest difference over the largest density",
                    "largest relative difference",
                ],
                "rows": parts["spatstat"]["rows"],
            },
            "bandwidth": {
                "columns": ["pattern", "pits", "width of greatest likelihood (mm)", "bw.ppl (mm)"],
                "rows": parts["bandwidth"],
            },
            "bias": {
                "columns": ["pattern", *near, *(f"kernel alone: {n}" for n in near)],
                "rows": parts["bias"],
            },
            "coverage": {
                "columns": [
                    "pattern",
                    "kernel",
                    "mean bandwidth (mm)",
                    "cells whose interval holds the truth (%)",
                    "at rims and beside the hole (%)",
                    "totals that hold it (%)",
                ],
                "rows": parts["coverage"],
            },
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patterns", type=int, default=40, help="patterns of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(PARTS))
    parser.add_argument("--write", action="store_true", help="write benchmarks/results")
    options = parser.parse_args()
    parts = {
        name: part(options.seed, options.patterns)
        for name, part in PARTS.items()
        if options.only in (None, name)
    }
    if options.write and options.only is None:
        text = json.dumps(as_results(parts, options.seed), ensure_ascii=False, indent=1)
        RESULTS.write_text(text + "\n", encoding="utf-8")
    sys.exit(0)
