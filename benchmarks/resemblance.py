"""How near the preset `tasl` is to real cells: python benchmarks/resemblance.py MONTAGE -o DIR.

MONTAGE is a picture of 9 rows and 12 columns of cells (other numbers: --rows, --columns). The
preset was tuned on the first four rows; so the distances are those of the others, unless --tuning.
Writes the report into DIR and prints the table of distances.
"""

import argparse
from pathlib import Path

import numpy as np

from etchscope.foil import Channel
from etchscope.ingest import Overrides, open_source
from etchscope.report.resemblance import write_resemblance
from etchscope.simulate import Optics, SimulatedScan
from etchscope.simulate.resemblance import barred, cut_cells, distinct
from etchscope.simulate.tasl import TUNED_ROWS, tasl

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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("montage", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=9)
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--tiles", type=int, default=3, help="simulated tiles")
    parser.add_argument("--tuning", action="store_true", help="measure on the tuning half")
    given = parser.parse_args()
    cells, row = real_cells(given.montage, given.rows, given.columns)
    real = cells[(row < TUNED_ROWS) == given.tuning]
    simulated = simulated_cells(tasl(given.seed, given.tiles, 1))
    ceiling = simulated_cells(untuned(given.seed, given.tiles))
    page = write_resemblance(real, simulated, given.output, untuned=ceiling, seed=given.seed)
    print(f"{len(real)} real, {len(simulated)} simulated, {len(ceiling)} untuned cells")
    print(page.with_name("distances.csv").read_text(), end="")
    print(page)


if __name__ == "__main__":
    main()
