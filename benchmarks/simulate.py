"""Speed and memory of the simulator, and the time from an empty folder to a searched foil.

    python benchmarks/simulate.py
    python benchmarks/simulate.py --sitting --columns 20 --rows 25

Tiles of 640 × 480 px with ten channels and 30, 1,000 and 3,000 background pits are simulated in two
threads. The floor is the time for the random numbers of such a tile (its noise, and the texture of
both surfaces), measured in the same run. With `--sitting` the script simulates a two-sided foil
with 100 background pits per tile, writes it in the layout of the microscope, adds it to a store and
searches it, and prints the time of each step and the result of the search.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from etchscope.evaluation import evaluate
from etchscope.ingest import add_scan
from etchscope.run import find, simulate
from etchscope.simulation import Population, SimulatedScan, find_isolated, preset
from etchscope.simulation.optics import OVERSAMPLING
from etchscope.store import Store

WORKERS = 2
TOLERANCE_PX = 6.0


def make_foil(pits: float, tiles: int, seed: int = 1) -> SimulatedScan:
    columns = max(round(np.sqrt(tiles)), 1)
    return SimulatedScan(
        seed=seed, columns=columns, rows=-(-tiles // columns), population=Population.of(pits, 5)
    )


def measure_seconds_per_tile(foil: SimulatedScan, tiles: int) -> float:
    foil.read_tile(1)  # compiled before the clock starts
    numbers = [t.number for t in foil.scan.tiles][:tiles]
    start = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(lambda n: foil.read_tile(n).shape, numbers):
            pass
    return (time.perf_counter() - start) / len(numbers)


def measure_floor_seconds(foil: SimulatedScan, tiles: int) -> float:
    """Return the seconds a tile that its random numbers alone take."""
    height, width = foil.optics.image_size
    points = height * width * (len(foil.optics.channels) + 2 * OVERSAMPLING**2)

    def draw(seed: int) -> float:
        return float(np.random.default_rng(seed).standard_normal(points, np.float32)[-1])

    start = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(draw, range(tiles)))
    return (time.perf_counter() - start) / tiles


def measure_peak_memory_mb(tiles: int, pits: int) -> float:
    """Return the peak memory of simulating a number of tiles in two threads."""
    code = "\n".join(
        (
            "import resource, sys",
            f"sys.path.insert(0, {str(Path(__file__).parent)!r})",
            "from simulate import make_foil, measure_seconds_per_tile",
            f"measure_seconds_per_tile(make_foil({pits}, {tiles}), {tiles})",
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)",
        )
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def print_speed(tiles: int) -> None:
    cv2.setNumThreads(1)
    for pits in (30, 1000, 3000):
        foil = make_foil(pits, tiles)
        floor, took = measure_floor_seconds(foil, tiles), measure_seconds_per_tile(foil, tiles)
        print(
            f"{pits:5d} pits per tile: {1 / took:5.2f} tiles/s, {took / floor:.1f} times the floor "
            f"({1 / floor:.1f} tiles/s)"
        )
    small, large = (measure_peak_memory_mb(n, 3000) for n in (8, 80))
    print(f"peak memory at 3,000 pits: {small:.0f} MB for 8 tiles, {large:.0f} MB for 80")


def run_sitting(name: str, columns: int, rows: int, folder: Path) -> None:
    def timed(what: str, start: float) -> None:
        took = time.perf_counter() - start
        print(f"  {what}: {took:.0f} s, {2 * columns * rows / took:.1f} tiles/s", flush=True)

    scans = preset(name, seed=3, columns=columns, rows=rows, sides=("front", "back"))
    print(f"{name}, {columns} × {rows} tiles a side, both sides")
    start = time.perf_counter()
    simulate(scans, folder / "twin", workers=WORKERS)
    timed("drawn and written", start)
    store, start = Store.create(folder / "store"), time.perf_counter()
    for scan in scans:
        add_scan(store, folder / "twin" / scan.scan.name)
    timed("added to a store", start)
    start = time.perf_counter()
    runs = [find(store, scan.scan.name, workers=WORKERS).run for scan in scans]
    timed("searched", start)
    for scan, run in zip(scans, runs, strict=True):
        truth = scan.truth().drop_duplicates("pit").reset_index(drop=True)
        pixel = scan.optics.pixel_size_um
        truth["setting"] = np.where(find_isolated(truth, pixel), "isolated", "overlapped")
        found = store.runs.pits(run)
        score = evaluate(truth, found, rule="one-to-one", tolerance_mm=TOLERANCE_PX * pixel / 1000)
        print(f"  {scan.scan.name}: {len(truth)} openings, {len(found)} found")
        print(f"    recall {score.efficiency}, by chance {score.chance_efficiency}")
        print(f"    precision {score.purity}, by chance {score.chance_purity}")
        for column in ("setting", "class", "surface"):
            for row in score.by(column).itertuples(index=False):
                print(f"    {column} {row}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=16)
    parser.add_argument("--sitting", action="store_true")
    parser.add_argument("--preset", default="reference")
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--rows", type=int, default=25)
    options = parser.parse_args()
    if not options.sitting:
        print_speed(options.tiles)
        return
    with tempfile.TemporaryDirectory() as folder:
        run_sitting(options.preset, options.columns, options.rows, Path(folder))


if __name__ == "__main__":
    main()
