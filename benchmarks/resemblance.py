"""How near the preset `tasl` is to real cells: python benchmarks/resemblance.py MONTAGE -o DIR.

MONTAGE is a picture of 9 rows and 12 columns of cells (other numbers: --rows, --columns). The
preset was tuned on the first four rows; so the distances are those of the others, unless --tuning.
Writes the report into DIR and prints the table of distances. With --foils N it also draws N
random foils (`etchscope simulate --randomise`) and prints, beside the real cells and the real
thumbnails (--thumbnails FILE.npy), between which values the foils' statistics lie.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.foil import Channel
from etchscope.ingest import Overrides, open_source
from etchscope.simulation import Optics, SimulatedScan, preset, randomise_scan, with_parameters
from etchscope.simulation.tasl import simulate_tasl
from resemblance_cells import SCALARS, barred, cut_cells, distinct, measure
from resemblance_page import write_resemblance
from thumbnails import PERCENTILES, hip_patches, thumbnail_statistics, thumbnails_of

TUNED_ROWS = 4
"""The preset was tuned on the first rows of the real montage; the rest is for the check."""

WANDER_PX = 4.0
"""Rms per axis by which the real cells' pits lie off the centre; the cut repeats it."""


def real_cells(path, rows, columns):
    """Return the different pits of a montage, and the montage's row of each."""
    source = open_source(path, Overrides(layout="montage", rows=rows, columns=columns))
    cells = np.stack([source.read_tile(t.number).pixels[0] for t in source.scan.tiles])
    number = np.flatnonzero(~barred(cells))
    chosen = number[distinct(cells[number])]
    return cells[chosen], chosen // columns


def simulated_cells(scan):
    """Return the cells of all tiles of a simulated scan."""
    out = []
    for tile in scan.scan.tiles:
        rng = np.random.default_rng([scan.seed, tile.number])
        out.append(cut_cells(scan.read_tile(tile.number)[0], rng=rng, wander_px=WANDER_PX))
    return np.concatenate(out)


def untuned(seed, columns):
    """Return the reference scan with its backlit channel alone."""
    optics = Optics(channels=(Channel(step=1, role="backlit"),))
    return SimulatedScan(seed=seed, columns=columns, rows=1, optics=optics)


THUMBNAIL = [*(f"depth {p} %" for p in PERCENTILES), "correlation", "bright centres"]
LEAST = 10
"""Thumbnails or cells that a foil must have to count."""


def statistics_of(thumbnails):
    """Return the statistics of thumbnails as one row."""
    found = thumbnail_statistics(thumbnails)
    values = [*found.depth, found.correlation, found.bright_centres]
    return dict(zip(THUMBNAIL, values, strict=True))


def of_foils(count, first_seed):
    """Return three tables, one row a random foil: lamps, backlit, and medians of cells."""
    tables = {"lamps": [], "backlit": [], "cells": []}
    for seed in range(first_seed, first_seed + count):
        scan = randomise_scan(SimulatedScan(seed=seed, columns=1, rows=1))
        scan = with_parameters(scan, {"hips.per_tile": 40.0})
        patches = hip_patches(scan)
        for name, channels in (("lamps", list(range(8))), ("backlit", [8])):
            thumbnails = thumbnails_of(patches, channels)
            if len(thumbnails) >= LEAST:
                tables[name].append(statistics_of(thumbnails))
        cells = cut_cells(scan.read_tile(1)[8])
        if len(cells) >= LEAST:
            tables["cells"].append(measure(cells).table[list(SCALARS)].median())
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def enclosed(foils, real):
    """Return, per statistic, the real value beside the quantiles of the foils."""
    out = foils.quantile([0.02, 0.25, 0.5, 0.75, 0.98]).T
    out.insert(0, "real", pd.Series(real))
    out["inside"] = out["real"].between(out[0.02], out[0.98])
    return out.round(2)


def print_enclosed(cells, thumbnails, count, first_seed):
    tables = of_foils(count, first_seed)
    real = {"cells": measure(cells).table[list(SCALARS)].median()}
    if thumbnails is not None:
        pictures = np.load(thumbnails)
        real |= dict.fromkeys(("lamps", "backlit"), statistics_of(pictures))
        (foil,) = preset("experiment", columns=4, rows=4)
        patches = hip_patches(foil)
        for name, channels in (("lamps", list(range(8))), ("backlit", [8])):
            row = statistics_of(thumbnails_of(patches, channels))
            print(f"preset experiment, {name}:", {k: round(v, 2) for k, v in row.items()})
    for name, values in real.items():
        print(f"\n{name}: {len(tables[name])} of {count} random foils")
        print(enclosed(tables[name], values).to_string())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("montage", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=9)
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--tiles", type=int, default=3, help="simulated tiles")
    parser.add_argument("--tuning", action="store_true", help="measure on the tuning half")
    parser.add_argument("--foils", type=int, default=0, help="random foils to compare with")
    parser.add_argument("--thumbnails", type=Path, help="real thumbnails, .npy")
    given = parser.parse_args()
    cells, row = real_cells(given.montage, given.rows, given.columns)
    real = cells[(row < TUNED_ROWS) == given.tuning]
    simulated = simulated_cells(simulate_tasl(given.seed, given.tiles, 1))
    ceiling = simulated_cells(untuned(given.seed, given.tiles))
    page = write_resemblance(real, simulated, given.output, untuned=ceiling, seed=given.seed)
    print(f"{len(real)} real, {len(simulated)} simulated, {len(ceiling)} untuned cells")
    print(page.with_name("distances.csv").read_text(), end="")
    print(page)
    if given.foils:
        print_enclosed(cells, given.thumbnails, given.foils, 10_000 + given.seed)


if __name__ == "__main__":
    main()
