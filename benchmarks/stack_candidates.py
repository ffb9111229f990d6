"""Efficiency of one, two and three foils in coincidence, on simulated stacks that were searched.

    python benchmarks/stack_candidates.py --keep stacks -o results

Each stack has three foils of the preset experiment, photographed from both sides and searched by
the finder of the package. The same particles cross all foils, and each foil has background of its
own. How the scans lie to each other is known to 5 µm, as from datum holes. The thresholds come from
stacks of other seeds, whose foils are shifted against each other. `--keep` keeps the stores, and
goes on with those that are there.
"""

import argparse
import json
import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from etchscope import __version__
from etchscope.background.stack_candidates import search_stack
from etchscope.background.stack_model import fit_stack
from etchscope.background.stack_openings import StackOpenings
from etchscope.background.stack_search import StackModel, find_hypotheses
from etchscope.evaluation import match_one_to_one, poisson_interval
from etchscope.evaluation.chance import local_shifts
from etchscope.evaluation.tiles import proportion_over_tiles
from etchscope.geometry import Similarity, foil_frame
from etchscope.run import find
from etchscope.run.stack_surfaces import gather_surfaces, stack_runs
from etchscope.simulation import SimulatedScan, Stage, with_parameters
from etchscope.simulation.experiment import simulate_experiment
from etchscope.store import Store, TilePictures
from etchscope.store.alignments import AlignedScan, KeptAlignment

COLUMNS, ROWS = 4, 3
SEEDS = {1000: (61001, 71001), 3000: (63001, 73001)}
"""Background pits per tile → seeds of the stack of the thresholds and of the measured one."""
RATES = (1.0, 0.1)
GAP_UM, FRAME_MM = 100.0, 0.005
ANGLES = {"f1": 0.0, "f2": 0.35, "f3": -0.25}
REACH_PX = 6.0


def draw_stack(density: int, seed: int) -> list[SimulatedScan]:
    """Return both sides of three foils that the same particles cross."""
    base = simulate_experiment(seed, COLUMNS, ROWS)
    out = []
    for n, (foil, angle) in enumerate(ANGLES.items()):
        for side in ("front", "back"):
            turn = angle if side == "front" else -angle
            stage = Stage(turn, (0.02 * n, -0.03 * n), jitter_um=2.0)
            depth = n * (base.sheet.thickness_um + GAP_UM) / 1000
            sheet = replace(base.sheet, depth_mm=depth)
            own = {"foil": foil, "stack": "s", "exposure": n, "side": side}
            scan = replace(base, sheet=sheet, stage=stage, **own)
            out.append(with_parameters(scan, {"fragments.per_tile": density}))
    return out


def to_sheet(scan: SimulatedScan) -> Similarity:
    """Return the transform from the foil frame of a scan to the sheet."""
    sign = -1.0 if scan.side == "back" else 1.0
    dx, dy = scan.stage.offset_mm
    angle = np.deg2rad(sign * scan.stage.rotation_deg)
    return Similarity(float(angle), 1.0, sign * dx, dy).inverse()


def search_pictures(folder: Path, density: int, seed: int) -> tuple[Store, list[SimulatedScan]]:
    """Return a store with a stack whose pictures were searched and whose frames are known."""
    scans, root = draw_stack(density, seed), folder / f"d{density}-s{seed}"
    store = Store.open(root) if root.exists() else Store.create(root)
    for one in scans:
        if one.scan.name in store.scans.names():
            continue
        sources = tuple(f"step {c.step}" for c in one.scan.channels)

        def read(number: int, one=one, sources=sources) -> TilePictures:
            return TilePictures(one.read_tile(number), sources)

        store.scans.add(one.scan, one.foil_record, read)
        find(store, one.scan.name)
    rng = np.random.default_rng(seed)
    members = []
    for one in scans:
        way = to_sheet(one).moved(*rng.normal(0, FRAME_MM, 2).tolist())
        frame = foil_frame(store.scans.get(one.scan.name))
        members.append(AlignedScan(scan=one.scan.name, frame=frame, transform=way))
    kept = KeptAlignment(name="known", when=datetime.now(UTC), members=tuple(members))
    store.alignments.keep(kept)
    return store, scans


def list_truth(scans: list[SimulatedScan], pixel_um: float) -> dict:
    """Return (foil, side) → places of the openings of particles in px, y up, and their numbers."""
    out = {}
    for scan in scans:
        if scan.side == "back":
            continue
        truth = scan.truth()
        truth = truth[truth["class"] == "hip"].drop_duplicates("pit")
        at = to_sheet(scan).apply(truth[["x_mm", "y_mm"]].to_numpy()) * 1000 / pixel_um
        for side, surface in (("front", "top"), ("back", "bottom")):
            mine = (truth["surface"] == surface).to_numpy()
            out[scan.foil, side] = at[mine], truth["particle"].to_numpy(np.int64)[mine]
    return out


def identify(openings: StackOpenings, truth: dict, shift: np.ndarray) -> np.ndarray:
    """Return the particle of each opening, −1 for unrelated ones; the truth may be shifted."""
    out = np.full(len(openings.surface), -1, np.int64)
    for k, surface in enumerate(openings.surfaces):
        rows = np.flatnonzero(openings.surface == k)
        at, particle = truth[surface.foil, surface.side]
        m = match_one_to_one(at + shift, openings.table[rows, :2], REACH_PX)
        out[rows[m.found_index]] = particle[m.truth_index]
    return out


def judge(hits: np.ndarray, particle: np.ndarray) -> np.ndarray:
    """Return the particle of more than half of the openings of each hypothesis, first ones only."""
    of = np.where(hits >= 0, particle[hits], -1)
    same = ((of[:, :, None] == of[:, None, :]) & (of[:, :, None] >= 0)).sum(2)
    best = same.argmax(1)
    most = same.max(1, initial=0)
    clear = (most >= 2) & (2 * most > (hits >= 0).sum(1))
    out = np.where(clear, of[np.arange(len(of)), best], -1)
    first = np.zeros(len(out), bool)
    first[np.unique(out, return_index=True)[1]] = True
    return np.where(first, out, -1)


def gather(store: Store, foils: int) -> tuple[list, float, float]:
    pits = gather_surfaces(store, stack_runs(store, "known"), gap_um=GAP_UM)
    used = [s for s in pits.surfaces if int(s.foil[1]) <= foils]
    return used, pits.area_mm2 / pits.tile_mm2, pits.pixel_um


def measure(store: Store, scans: list[SimulatedScan], foils: int, thresholds: dict) -> list[dict]:
    """Return efficiency, its chance level and false particles per tile at frozen thresholds."""
    surfaces, tiles, pixel_um = gather(store, foils)
    openings = StackOpenings.of(surfaces)
    openings, model = fit_stack(openings, StackModel.usual(len(surfaces)))
    found = find_hypotheses(openings, model)
    truth = {key: t for key, t in list_truth(scans, pixel_um).items() if int(key[0][1]) <= foils}
    crossing = list(set.intersection(*(set(p.tolist()) for _, p in truth.values())))
    crossing = np.sort(np.array(crossing))
    at, number = truth["f1", "front"]
    place = at[np.argsort(number)][np.searchsorted(np.sort(number), crossing)]
    step = np.array([620.0, 465.0])
    tile = np.unique(np.floor((place + step / 2) / step), axis=0, return_inverse=True)[1].ravel()
    of = judge(found.hits, identify(openings, truth, np.zeros(2)))
    shifted = [judge(found.hits, identify(openings, truth, s)) for s in local_shifts(REACH_PX)]
    rows = []
    for rate, threshold in thresholds.items():
        passed = found.score >= threshold
        seen = np.isin(crossing, of[passed])
        per_tile = np.bincount(tile, seen).astype(int), np.bincount(tile)
        efficiency = proportion_over_tiles(*per_tile)
        false = int((passed & (of < 0)).sum())
        low, high = poisson_interval(false)
        chance = np.mean([np.isin(crossing, s[passed]).mean() for s in shifted])
        rows.append(
            {
                "rate": rate,
                "particles": len(crossing),
                "efficiency": [efficiency.value, efficiency.low, efficiency.high],
                "chance": float(chance),
                "false_per_tile": [false / tiles, low / tiles, high / tiles],
            }
        )
    return rows


def tabulate(measured: dict) -> dict:
    """Return the table of results."""
    columns = ["background pits per tile, foils", "particles"]
    columns += [f"efficiency (%) at {rate:g} false particles per tile" for rate in RATES]
    columns += ["by chance (%) at 0.1", "false particles per tile at the threshold of 0.1"]
    rows = []
    for (density, foils), found in measured.items():
        by_rate = {one["rate"]: one for one in found}
        name = f"{density:,}, {foils} foil{'s' if foils > 1 else ''}"
        row = [name, found[0]["particles"]]
        row += [[round(100 * v) for v in by_rate[rate]["efficiency"]] for rate in RATES]
        row += [round(100 * by_rate[0.1]["chance"], 1)]
        rows.append([*row, [round(v, 2) for v in by_rate[0.1]["false_per_tile"]]])
    return {"columns": columns, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, required=True, help="folder of the stores")
    parser.add_argument("--densities", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--foils", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--shifts", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, help="folder of stack_candidates.json")
    given = parser.parse_args()
    measured = {}
    for density in given.densities:
        tuning, test = (search_pictures(given.keep, density, seed) for seed in SEEDS[density])
        for foils in given.foils:
            begun = time.perf_counter()
            surfaces, tiles, _ = gather(tuning[0], foils)
            search = search_stack(surfaces, shifts=given.shifts)
            frozen = {rate: search.threshold(rate * tiles) for rate in RATES}
            measured[density, foils] = measure(*test, foils, frozen)
            took = time.perf_counter() - begun
            print(density, foils, frozen, measured[density, foils], f"{took:.0f} s", flush=True)
    if given.output is not None:
        result = {
            "about": __doc__.split("\n\n")[2].replace("\n", " ").split(" `--keep`")[0],
            "command": "python benchmarks/stack_candidates.py --keep stacks -o results",
            "seed": ", ".join(f"{a} and {b}" for a, b in SEEDS.values()),
            "version": f"{__version__} (unreleased)",
            "machine": f"{os.cpu_count()} cores",
            "date": date.today().isoformat(),
            "tables": {"main": tabulate(measured)},
        }
        text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
        (given.output / "stack_candidates.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
