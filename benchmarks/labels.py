"""How many labels a second several people give at once, and whether one is lost or there twice.

    python benchmarks/labels.py --people 8 --labels 1000
    python benchmarks/labels.py --catalogue postgresql://ada@localhost/foils?schema=benchmark

Each process opens the store once and adds its labels one by one, each in a transaction of its own.
Prints the rate of all together, the longest wait of one label, and what the store has afterwards.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.foil import Foil
from etchscope.foil.machine import make_process_context
from etchscope.simulation import SimulatedScan
from etchscope.store import Store, TilePictures


def give(path: str, who: str, count: int) -> float:
    """Add labels one by one; return the longest wait, s."""
    store, longest = Store.open(path), 0.0
    name = store.scans.names()[0]
    places = np.random.default_rng(0).uniform(10, 100, (count, 2))
    for number, (x, y) in enumerate(places):
        label = {"scan": name, "tile": 1, "x_px": x, "y_px": y, "class": "hip", "who": who}
        given = {"id": f"{who}-{number}", "source": "person", "when": "2026-05-01"}
        start = time.perf_counter()
        store.labels.add(pd.DataFrame([label | given]))
        longest = max(longest, time.perf_counter() - start)
    return longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--catalogue", help="address of a database; SQLite unless given")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "store", catalogue=args.catalogue)
        foil = SimulatedScan(seed=1, columns=1, rows=1)
        names = tuple(f"step {c.step}" for c in foil.scan.channels)
        store.scans.add(
            foil.scan, Foil(name=foil.scan.foil), lambda n: TilePictures(foil.read_tile(n), names)
        )
        people = [f"p{k}" for k in range(args.people)]
        with make_process_context("etchscope.store").Pool(args.people) as pool:
            pool.map(abs, range(args.people))
            start = time.perf_counter()
            given = [(str(store.path), who, args.labels) for who in people]
            longest = pool.starmap(give, given, chunksize=1)
            seconds = time.perf_counter() - start
        found = store.labels.table(latest=False)["id"]
        expected = {f"{who}-{n}" for who in people for n in range(args.labels)}
        print(f"{len(found) / seconds:.0f} labels per second, longest wait {max(longest):.2f} s")
        print(f"lost {len(expected - set(found))}, twice {len(found) - found.nunique()}")


if __name__ == "__main__":
    main()
