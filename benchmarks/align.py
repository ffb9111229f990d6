"""Alignment of real coordinates, of randomly moved coordinates, and of a simulated stack.

    python benchmarks/align.py published real trials accidental stack

`published`, `real` and `accidental` read the real coordinates of ../shared/data/moedal_pb. `trials`
moves them at random. `stack` simulates the lead-ion stack and searches its pictures.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.align import HOLE_MM, TOLERANCE_MM, align_stack, register
from etchscope.evaluation import (
    Accidental,
    accidental_matches,
    chance_matches,
    evaluate,
    match_nearest,
    match_one_to_one,
    poisson_interval,
    proportion,
)
from etchscope.foil import BadInput, PitList
from etchscope.geometry import Similarity, foil_to_tile, merge_copies
from etchscope.ingest import read_pit_list
from etchscope.run import find
from etchscope.run.alignments import save_alignment
from etchscope.run.coincidence_labels import label_from_coincidence
from etchscope.run.pit_lists import list_of_scan
from etchscope.simulation import preset, with_parameters
from etchscope.store import Store, TilePictures

DATA = Path(__file__).parents[2] / "shared" / "data" / "moedal_pb"
PIXEL_MM = 0.0064516
SCANS = ("c1", "cr", "c2")


def read_data(name: str) -> dict:
    return json.loads((DATA / f"{name}.json").read_text())


def read_list(scan: str, folder: Path, *, datum: bool = False) -> PitList:
    """Return a real list, through a description beside which nothing else is read."""
    record = {
        "foil": "clean-2" if scan == "c2" else "clean-1",
        "side": "back" if scan == "cr" else "front",
        "pits": str(DATA / "pits_tile_xy.json"),
        "positions": str(DATA / "stage_positions_inch.json"),
        "key": scan,
        "pixel_size_um": 6.4516,
        "image_size": [480, 640],
        "position_unit": "inch",
        "mirrored_pixels": scan == "cr",
        "datum": read_data("datum_holes")[scan] if datum else [],
    }
    path = folder / f"{scan}.json"
    path.write_text(json.dumps(record))
    return read_pit_list(path)


def overlap_tiles(xy_px: np.ndarray) -> np.ndarray:
    """Return a number of its own for each point in an overlap of c1's tiles, else 0.

    The published lists do not say their tile; only where tiles overlap can a pit stand twice.
    """
    holes = read_data("datum_holes")["c1"]
    stage = {t: np.array(at) * 25.4 for t, at in read_data("stage_positions_inch")["c1"].items()}
    ends = [
        stage[str(tile)] + [(x - 320) * PIXEL_MM, -(y - 240) * PIXEL_MM] for tile, x, y in holes
    ]
    angle = float(np.arctan2(*(ends[2] - ends[0])[::-1]))
    at = Similarity(angle, PIXEL_MM, *ends[0]).apply(xy_px * [1, -1])  # y_px is down
    half = np.array([640, 480]) * PIXEL_MM / 2
    count = sum((np.abs(at - centre) <= half).all(axis=1).astype(int) for centre in stage.values())
    return np.where(count > 1, np.arange(1, len(at) + 1), 0)


def merge_pits(xy_px: np.ndarray) -> np.ndarray:
    tile = overlap_tiles(xy_px)
    zero = np.zeros(len(tile), np.int64)
    stands = merge_copies(xy_px, tile, zero, zero.astype(float), 10.0)
    return xy_px[stands == np.arange(len(tile))]


def compare_published() -> None:
    print("\nPublished rows: nearest within 15 px as published; one-to-one after merging copies")
    truth = np.array(read_data("truth_foil_xy_px"), float)
    rows = read_data("published_counts")["rows"]
    right = 0
    print("list          TP    FP   FN  as published | one-to-one: efficiency, purity, by chance")
    for name, points in read_data("predictions_foil_xy_px").items():
        found = np.array(points, float)
        tables = [pd.DataFrame(xy, columns=["x_px", "y_px"]) for xy in (truth, found)]
        e = evaluate(*tables, rule="nearest", tolerance_px=15)
        counted = {"true_pos": e.matching.true_pos, "false_pos": e.matching.false_pos}
        same = rows[name] == counted | {"false_neg": e.matching.false_neg}
        right += same
        tables = [pd.DataFrame(merge_pits(xy), columns=["x_px", "y_px"]) for xy in (truth, found)]
        one = evaluate(*tables, rule="one-to-one", tolerance_px=15)
        counts = f"{e.matching.true_pos:5d} {e.matching.false_pos:5d} {e.matching.false_neg:4d}"
        print(
            f"{name:12s} {counts}  {'yes' if same else 'NO':12s} | {one.efficiency}, {one.purity}, "
            f"{one.accidental()}; {len(tables[0])} truths, {len(tables[1])} found"
        )
    print(f"{right} of {len(rows)} rows exactly")


def align_real() -> None:
    print("\nReal coordinates, no datum holes")
    with tempfile.TemporaryDirectory() as folder:
        lists = {s: read_list(s, Path(folder)) for s in SCANS}
        datum = {s: read_list(s, Path(folder), datum=True) for s in SCANS}
    places = {s: lists[s].pits[["x_mm", "y_mm"]].to_numpy() for s in SCANS}
    for scan in ("cr", "c2"):
        start = time.perf_counter()
        found = register(places["c1"], places[scan], names=("c1", scan))
        took = time.perf_counter() - start
        figures = found.to_dict()
        holes = [datum[s].pits[["x_mm", "y_mm"]].to_numpy() for s in ("c1", scan)]
        by_holes = match_nearest(*holes, TOLERANCE_MM).true_pos
        again = register(*holes)
        # Both lists have the axes of their own holes, so the rotation is the error of the holes.
        middle = holes[1].mean(axis=0)
        shift = (again.transform.apply(middle)[0] - middle) / PIXEL_MM
        matches = figures["matches"]
        print(
            f"c1–{scan}: nearest {matches['nearest']['counted']}, one-to-one "
            f"{matches['one-to-one']['counted']} (chance {found.accidental()}); median residual "
            f"{figures['median_residual_um']:.2f} µm; rotation {figures['rotation_deg']:+.4f}°, "
            f"scale {found.transform.scale:.6f}; {took:.2f} s"
        )
        print(
            f"   by the datum holes alone: nearest {by_holes}; the pits turn that by "
            f"{np.degrees(again.transform.angle_rad):+.4f}° and move it by {shift.round(2)} px "
            f"in the middle, y up"
        )
    start = time.perf_counter()
    stack = align_stack([lists[s] for s in SCANS])
    took = time.perf_counter() - start
    for member in stack.members[1:]:
        m = member.registration
        print(
            f"after merging copies: {member.source.name}–c1 one-to-one {m.match().true_pos}, "
            f"{m.accidental()} by chance, of {len(m.fixed_xy)} and {len(m.moving_xy)} pits"
        )
    for member in stack.members:
        print(f"   mosaic {member.source.name}: {member.mosaic.to_dict()}")
    shown = stack.places()
    triple = shown[shown["surfaces"] == 3]
    print(
        f"triple coincidence one-to-one after merging: {len(triple)}, "
        f"{triple['p_accidental'].sum():.2g} of them accidental by expectation"
    )
    c1 = places["c1"]
    hit = np.ones(len(c1), bool)
    for member in stack.members[1:]:
        moved = member.transform.apply(places[member.source.name])
        hit &= match_nearest(c1, moved, TOLERANCE_MM).truth_hit
    print(f"by the nearest rule, copies kept: {int(hit.sum())}; published 2,682")
    for e in stack.efficiencies():
        print(
            f"   tag and probe {e.surface}: {e.passed}, freed of chance {e.efficiency:.4f} "
            f"[{e.low:.4f}, {e.high:.4f}], by chance {e.by_chance:.4f}"
        )
    print(f"{took:.2f} s for the stack")


def move_at_random(points: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Similarity]:
    """Return the points rotated by up to 5°, mirrored or not and moved by up to 5 mm, and how."""
    middle = points.mean(axis=0)
    to_middle = Similarity(shift_x=-middle[0], shift_y=-middle[1])
    turn = Similarity(
        np.radians(rng.uniform(-5, 5)), 1.0, *rng.uniform(-5, 5, 2), bool(rng.integers(2))
    )
    way = to_middle.then(turn)
    return way.apply(points), way


def run_trials(count: int) -> None:
    print("\nRandomised trials: rotation to 5°, offset to 5 mm, mirror, points dropped and added")
    with tempfile.TemporaryDirectory() as folder:
        c1, cr = (
            read_list(s, Path(folder)).pits[["x_mm", "y_mm"]].to_numpy() for s in ("c1", "cr")
        )
    base = register(c1, cr).transform
    for dropped in (0.5, 0.9, 1.0):
        rng = np.random.default_rng(int(100 * dropped))
        outcome = {"recovered": 0, "failed": 0, "wrongly accepted": 0}
        worst, start = 0.0, time.perf_counter()
        number = count if dropped == 0.5 else max(count // 4, 1)
        for _ in range(number):
            kept = cr[rng.random(len(cr)) >= dropped]
            noise = rng.uniform(cr.min(axis=0), cr.max(axis=0), (len(cr) - len(kept), 2))
            points = np.concatenate([kept, noise])
            moved, _ = move_at_random(points, rng)
            try:
                found = register(c1, moved, mirrored=None)
            except BadInput:
                outcome["failed"] += 1
                continue
            off = np.hypot(*(found.moved_xy - base.apply(points)).T).max() / PIXEL_MM
            good = off < 3 and dropped < 1
            outcome["recovered" if good else "wrongly accepted"] += 1
            worst = max(worst, off if good else 0.0)
        print(
            f"{100 * dropped:.0f} % dropped, as many added, {number} trials: {outcome}; "
            f"recovered: {proportion(outcome['recovered'], number)}; largest error anywhere on "
            f"the foil {worst:.3f} px; {(time.perf_counter() - start) / number:.2f} s each"
        )


def count_accidental() -> None:
    print("\nAccidental matches at 12 px: expected, and counted with the other list shifted nearby")
    with tempfile.TemporaryDirectory() as folder:
        stack = align_stack([read_list(s, Path(folder)) for s in SCANS])
    c1 = stack.members[0].surface.xy_mm
    area = float(np.prod(np.ptp(c1, axis=0)))
    for member in stack.members[1:]:
        other = member.surface.xy_mm
        for rule in ("nearest", "one-to-one"):
            counted = chance_matches(c1, other, TOLERANCE_MM, rule=rule).truth.sum()
            local: Accidental = accidental_matches(c1, other, TOLERANCE_MM, rule=rule)
            uniform = len(c1) * -np.expm1(-len(other) / area * np.pi * TOLERANCE_MM**2)
            low, high = (v / 16 for v in poisson_interval(round(16 * counted)))
            agree = "agrees" if low <= local.expected <= high else "DISAGREES"
            print(
                f"c1–{member.source.name}, {rule}: counted in the mean of 16 shifts "
                f"{counted:.1f} [{low:.1f}, {high:.1f}]; local densities expect {local}: "
                f"{agree}; a uniform one expects {uniform:.1f}"
            )


def simulate_and_search(scans, store: Store) -> None:
    for scan in scans:
        sources = tuple(f"step {c.step}" for c in scan.scan.channels)

        def read_tile(number: int, scan=scan, sources=sources) -> TilePictures:
            return TilePictures(scan.read_tile(number), sources)

        store.scans.add(scan.scan, scan.foil_record, read_tile)
        find(store, scan.scan.name)


def align_simulated(columns: int, rows: int, densities: list[int], seed: int) -> None:
    print(f"\nSimulated lead-ion stack, {columns * rows} tiles a scan, pictures searched by find")
    for density in densities:
        scans = preset("pb-stack", seed=seed, columns=columns, rows=rows, sides=("front", "back"))
        scans = [
            with_parameters(s, {"fragments.per_tile": density}) if s.foil == "d" else s
            for s in scans
        ]
        with tempfile.TemporaryDirectory() as folder:
            store = Store.create(Path(folder) / "store")
            simulate_and_search(scans, store)
            measure_stack(scans, store, Path(folder) / "aligned", density)


def measure_stack(scans, store: Store, folder: Path, density: int) -> None:
    names = [s.scan.name for s in scans]
    lists = [list_of_scan(store, n) for n in names]
    tolerance = 6 * PIXEL_MM
    aligned = align_stack(lists, tolerance_mm=tolerance)
    save_alignment(folder, aligned)
    print(f"{density} background pits per tile")
    for m in aligned.members[1:]:
        r = m.registration
        print(
            f"  {m.source.name} with {m.against}: {len(m.row)} pits, {r.match(tolerance).true_pos} "
            f"matches, {r.accidental(tolerance)} by chance; spread {1000 * r.spread_mm:.1f} µm"
        )
    for needed in (2, 3, 4):
        done = label_from_coincidence(
            store, folder, "d-front", surfaces=needed, who=f"coincidence of {needed}"
        )
        labels = store.labels.table(foil="d", side="front", who=f"coincidence of {needed}")
        target = next(s for s in scans if s.scan.name == "d-front")
        truth = list_ions(target, aligned.member("d-front").source.holes_mm)
        m = match_one_to_one(truth, labels[["x_mm", "y_mm"]].to_numpy(), tolerance)
        chance = accidental_matches(labels[["x_mm", "y_mm"]].to_numpy(), truth, tolerance)
        print(
            f"  labels of {needed} or more of 4 surfaces: {len(labels)}; purity "
            f"{proportion(m.true_pos, len(labels))}, efficiency "
            f"{proportion(m.true_pos, len(truth))}; by chance {chance}; accidental by expectation "
            f"{done.expected_accidental:.2g}; {done.outside} outside"
        )
    for e in aligned.efficiencies():
        scan = next(s for s in scans if s.scan.name == e.surface)
        own = aligned.member(e.surface).own_mm
        truth = list_ions(scan, aligned.member(e.surface).source.holes_mm)
        true = proportion(match_one_to_one(truth, own, tolerance).true_pos, len(truth))
        print(
            f"  {e.surface}: tag and probe {e.efficiency:.3f} [{e.low:.3f}, {e.high:.3f}] of "
            f"{e.passed.trials} tags (raw {e.passed.value:.3f}, chance {e.by_chance:.3f}); "
            f"truth {true}"
        )


def list_ions(scan, holes=()) -> np.ndarray:
    """Return the places of the pits of ions on the near surface, without copies, mm of the scan.

    Those around datum holes are left out, as in the lists.
    """
    truth = scan.truth()
    near = truth[(truth["class"] == "hip") & (truth["surface"] == "top")].drop_duplicates("pit")
    at = near[["x_mm", "y_mm"]].to_numpy()
    inside = foil_to_tile(at[:, 0], at[:, 1], scan.scan)["tile"].notna().to_numpy()
    for hole in holes:
        inside = inside & (np.hypot(*(at - hole).T) >= HOLE_MM)
    return at[inside]


def main() -> None:
    parts = ("published", "real", "trials", "accidental", "stack")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=list(parts))
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--rows", type=int, default=5)
    parser.add_argument("--densities", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--seed", type=int, default=2027)
    options = parser.parse_args()
    for part in options.parts:
        if part == "trials":
            run_trials(options.trials)
        elif part == "stack":
            align_simulated(options.columns, options.rows, options.densities, options.seed)
        else:
            {
                "published": compare_published,
                "real": align_real,
                "accidental": count_accidental,
            }[part]()


if __name__ == "__main__":
    main()
