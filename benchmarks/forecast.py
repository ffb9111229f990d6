"""What the experiment would take: 25 m² of foil, two sides, from parts measured on a few tiles.

    OMP_NUM_THREADS=1 python benchmarks/forecast.py --tiles 8

Scans of the preset experiment are added to a store, searched with both finders and scored, each in
one thread. The seconds of processor time for each tile follow from the difference of two scans, so
that what is done once for a scan does not count. The script
also joins the openings of a search several times over, as on a larger scan, and prints seconds
and memory for each opening. It prints what it measured, and then hours of the experiment on
some numbers of cores, which assume that no core waits for another one or for the disk.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.foil import Foil, Tile
from etchscope.preselect import FindSettings, complete
from etchscope.run import find
from etchscope.run.models import register_model
from etchscope.run.stages.scoring import score
from etchscope.simulation import SimulatedScan, preset
from etchscope.store import Store, TilePictures
from etchscope.store.runs import Runs

TILES, SCANS = 4_000_000, 80
CORES = (2, 100, 1000)
TIMES = (1, 2, 6)
"""Sizes of the scans; the first one only compiles and loads what every process needs once."""
COPIES = (20, 80)
"""How many times as many openings are joined as were found."""
STEPS = ("add", "find", "find --finder classical", "score")


def timed(work: Callable[[], object]) -> float:
    """Return seconds of processor time of all threads of this process."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def size_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def measure_scan(store: Store, drawn: SimulatedScan, parts: list[pd.DataFrame]) -> dict[str, float]:
    """Return seconds and bytes of one scan; the openings of its searches are added to ``parts``."""
    name, names = drawn.scan.name, tuple(f"step {c.step}" for c in drawn.scan.channels)
    pictures = {t.number: TilePictures(drawn.read_tile(t.number), names) for t in drawn.scan.tiles}
    before = size_of(store.path / "images")
    given = drawn.scan, drawn.foil_record, pictures.__getitem__
    out = {"add": timed(lambda: store.scans.add(*given, workers=1))}
    out["bytes of pictures"] = size_of(store.path / "images") - before
    write = Runs.write_part

    def noting(runs: Runs, run: str, index: int, table: pd.DataFrame, record: object) -> None:
        parts.append(table)
        write(runs, run, index, table, record)  # type: ignore[arg-type]
        folder = store.path / "runs" / f".{run}.partial"
        out[f"bytes of parts of {run.split('-')[0]}"] = size_of(folder)

    Runs.write_part = noting  # type: ignore[method-assign]
    classical = FindSettings(finder="classical")
    out["find --finder classical"] = timed(
        lambda: find(store, name, settings=classical, executor="inline")
    )
    parts.clear()
    out["find"] = timed(lambda: find(store, name, executor="inline"))
    found = list(parts)
    model = register_model(store, None, [name])
    done = {}
    out["score"] = timed(lambda: done.update(r=score(store, name, model, executor="inline")))
    Runs.write_part = write  # type: ignore[method-assign]
    parts[:] = found
    out["pits"] = done["r"].pits
    out["bytes of the run"] = size_of(store.path / "runs" / done["r"].run)
    return out


def measure_join(drawn: SimulatedScan, found: pd.DataFrame, copies: int) -> tuple[float, int]:
    """Return seconds of the join of as many copies of the openings, and how many there are."""
    tiles, step = drawn.scan.tiles, 1 + max(t.number for t in drawn.scan.tiles)
    wide = 10 + max(t.stage_x_mm for t in tiles)
    placed = tuple(
        Tile(
            number=t.number + k * step, stage_x_mm=t.stage_x_mm + k * wide, stage_y_mm=t.stage_y_mm
        )
        for k in range(copies)
        for t in tiles
    )
    scan = drawn.scan.model_copy(update={"tiles": placed, "datum": ()})
    many = [found.assign(tile=found["tile"] + k * step) for k in range(copies)]
    table = pd.concat(many, ignore_index=True)
    foil = Foil(name="F", thickness_um=500.0)
    return timed(lambda: complete(table, scan, FindSettings(), foil=foil)), len(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tiles", type=int, default=4, help="of the smallest scan, a multiple of 4"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    parts: list[pd.DataFrame] = []
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "store")
        for times in TIMES:
            (drawn,) = preset(
                "experiment", seed=options.seed, columns=4, rows=times * options.tiles // 4
            )
            drawn = replace(drawn, foil=f"foil{times}")
            measured.append(measure_scan(store, drawn, parts))
    print(pd.DataFrame(measured).T.round(2).to_string())
    more = (TIMES[-1] - TIMES[-2]) * options.tiles
    each = {k: (measured[-1][k] - measured[-2][k]) / more for k in measured[0]}
    print(pd.Series(each).round(3).to_string())
    joins = []
    for copies in COPIES:
        joins.append(measure_join(drawn, pd.concat(parts, ignore_index=True), copies))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(f"join of {joins[-1][1]:,} openings: {joins[-1][0]:.1f} s, peak {peak:.0f} MB")
    of_opening = np.diff([s for s, _ in joins])[0] / np.diff([n for _, n in joins])[0]
    openings = each["pits"] * TILES / SCANS
    print(f"join of one of {SCANS} scans: {openings:,.0f} pits, {of_opening * openings:.0f} s")
    for step in STEPS:
        hours = [f"{each[step] * TILES / cores / 3600:10,.1f}" for cores in CORES]
        print(f"{step:25s} {each[step]:8.3f} s a tile; hours on {CORES} cores: {''.join(hours)}")


if __name__ == "__main__":
    main()
