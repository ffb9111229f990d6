"""What compressing white space saves, and what it does to the candidates of a search.

    OMP_NUM_THREADS=1 python benchmarks/compress.py --choose -o benchmarks/results/compress.json
    OMP_NUM_THREADS=1 python benchmarks/compress.py -o benchmarks/results/compress.json

A scan is drawn at each density, searched and scored. It is compressed, its runs are removed, and it
is searched and scored again on the compressed pictures, with the constants that were fitted before.
Candidates before and after are matched within 3 px. At last the scan is restored by adding it
again, and its files are compared byte by byte. Tiles are a quarter of the usual ones, so that the
script takes minutes; densities are given per usual tile of 640 × 480 pixels.

``--choose`` does this for several margins with another seed, from which the default was chosen.
With ``-o`` either replaces its own tables in the file.
"""

import argparse
import json
import shutil
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

import etchscope as es
from etchscope.run.compression import MARGIN_PX
from etchscope.simulation import Optics, Population, SimulatedScan

IMAGE_SIZE = (240, 320)
SHARE = IMAGE_SIZE[0] * IMAGE_SIZE[1] / (480 * 640)
DENSITIES = (10, 30, 100, 300)
MARGINS_PX = (8.0, 16.0, 24.0, 32.0, 40.0)
SAME_PX = 3.0
CHOOSING, REPORTED = 101, 7


def draw(density: int, seed: int, tiles: int) -> SimulatedScan:
    """Return a scan of so many pits per usual tile, one in ten of them signal."""
    pits = density * SHARE
    population = Population.of(0.9 * pits, 0.1 * pits)
    optics = Optics(image_size=IMAGE_SIZE)
    return SimulatedScan(
        seed=seed, columns=4, rows=tiles // 4, population=population, optics=optics
    )


def digests(store: Path) -> dict[str, bytes]:
    """Return the bytes of the files of all pictures."""
    folder = store / "images"
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def search(store: es.Store, scan: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the candidates and the pits of a scan, searched and scored from nothing."""
    store.remove_runs(store.runs(scan)["run"].tolist())
    done = store.run(scan, workers=1)
    return store.candidates(run=done.run, every=True), store.pits(run=done.run)


def compare(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    """Return how two tables of candidates of one scan differ."""
    place = [
        t[["tile", "x_px", "y_px"]].to_numpy(np.float64) * [1e6, 1, 1] for t in (before, after)
    ]
    apart, row = cKDTree(place[1]).query(place[0])
    same = (apart <= SAME_PX) & ~pd.Series(row).duplicated().to_numpy()
    a, b = before[same].reset_index(drop=True), after.iloc[row[same]].reset_index(drop=True)
    change = {
        "place": apart[same],
        "radius": np.abs(b["radius_px"] - a["radius_px"]).to_numpy(),
        "score": np.abs(b["score"] - a["score"]).to_numpy(),
    }
    selected = a["selected"].fillna(value=False).to_numpy(bool)
    moved = selected != b["selected"].fillna(value=False).to_numpy(bool)
    out: dict[str, Any] = {
        "before": len(before),
        "lost": int((~same).sum()),
        "new": len(after) - int(same.sum()),
        "selected": int(before["selected"].fillna(value=False).sum()),
        "selection changed": int(moved.sum()),
        "lost_scores": [round(float(s), 3) for s in before["score"][~same]],
        "new_scores": np.delete(after["score"].to_numpy(), row[same]).round(3).tolist(),
    }
    for name, values in change.items():
        for what, share in (("median", 50), ("99 %", 99), ("largest", 100)):
            out[f"{name}, {what}"] = float(np.percentile(values, share)) if len(values) else 0.0
    return out


def measure(
    density: int, seed: int, tiles: int, margins: tuple[float, ...]
) -> list[dict[str, Any]]:
    """Return one row for each margin."""
    scan = draw(density, seed, tiles)
    name, rows = scan.scan.name, []
    with tempfile.TemporaryDirectory(prefix="etchscope-compress-") as folder:
        first = es.open(Path(folder) / "store", create=True)
        first.add(scan)
        begin = time.process_time()
        candidates, _ = search(first, name)
        searching_s = time.process_time() - begin
        for margin in margins:
            path = Path(shutil.copytree(first.path, Path(folder) / f"margin-{margin:g}"))
            store, original = es.open(path), digests(path)
            begin = time.process_time()
            (done,) = store.compress(name, margin_px=margin, workers=1)
            row: dict[str, Any] = {
                "density": density,
                "margin": margin,
                "tiles": tiles,
                "before_bytes": done.compression.bytes_before,
                "after_bytes": done.compression.bytes_after,
                "kept": done.kept_share,
                "is_done": done.is_done,
                "seconds": (time.process_time() - begin) / tiles / SHARE,
                "search_seconds": searching_s / tiles / SHARE,
            }
            if done.is_done:
                row |= compare(candidates, search(store, name)[0])
                begin = time.process_time()
                store.add(scan)
                row["restore_seconds"] = (time.process_time() - begin) / tiles / SHARE
                row["is_restored"] = digests(path) == original
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def tables_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the tables of the page."""
    saved = []
    for row in rows:
        per_tile = (row["before_bytes"] / row["tiles"] / SHARE / 1e6, row["after_bytes"])
        kept = round(100 * row["kept"], 1)
        after = (
            round(per_tile[1] / row["tiles"] / SHARE / 1e6, 3) if row["is_done"] else "unchanged"
        )
        share = round(100 * (1 - row["after_bytes"] / row["before_bytes"]), 1)
        restored = ("yes" if row["is_restored"] else "no") if row["is_done"] else "–"
        times = round(row["seconds"], 2)
        saved.append([row["density"], round(per_tile[0], 3), after, share, kept, times, restored])
    columns = ["pits per tile", "MB per tile before", "after", "saved (%)", "pixels kept (%)"]
    columns += ["seconds per tile", "restored byte for byte"]
    names = ["before", "lost", "new", "selected", "selection changed"]
    names += [f"{k}, {w}" for k in ("place", "radius", "score") for w in ("median", "largest")]
    head = ["pits per tile", "candidates", *names[1:5]]
    head += [f"{n} (px)" if n[0] in "pr" else n for n in names[5:]]
    same = [
        [row["density"], *(_short(row[name]) for name in names)] for row in rows if row["is_done"]
    ]
    return {
        "bytes": {"columns": columns, "rows": saved},
        "candidates": {"columns": head, "rows": same},
    }


def margins_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the table of margins."""
    names = ["before", "lost", "new", "selection changed"]
    names += [f"{k}, {w}" for k in ("place", "radius", "score") for w in ("median", "largest")]
    columns = ["pits per tile", "margin (px)", "saved (%)", "candidates", *names[1:4]]
    columns += [f"{n} (px)" if n[0] in "pr" else n for n in names[4:]]
    lines = []
    for row in rows:
        saved = round(100 * (1 - row["after_bytes"] / row["before_bytes"]), 1)
        found = (_short(row[name]) if row["is_done"] else "–" for name in names)
        lines.append([row["density"], row["margin"], saved, *found])
    return {"margins": {"columns": columns, "rows": lines}}


def write_result(path: Path, tiles: int, tables: dict[str, Any]) -> None:
    """Put tables into the file of the figures."""
    known = json.loads(path.read_text("utf-8"))["tables"] if path.exists() else {}
    result = {
        "about": (
            "White space of simulated scans, compressed and searched again: bytes, and what "
            f"happens to the candidates of `run`. {tiles} tiles of a quarter of the usual size at "
            "each density, ten pictures each; densities, bytes and seconds of processor time are "
            "per usual tile of 640 × 480 pixels."
        ),
        "command": "OMP_NUM_THREADS=1 python benchmarks/compress.py",
        "seed": REPORTED,
        "version": "0.1.0 (unreleased)",
        "machine": "two busy cores, x86_64",
        "date": date.today().isoformat(),
        "values": {"margin": MARGIN_PX, "same": SAME_PX, "choosing": CHOOSING},
        "tables": known | tables,
    }
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.2g}")


def main() -> None:
    """Measure, print rows, and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--choose", action="store_true", help="several margins, another seed")
    parser.add_argument("--tiles", type=int, default=16, help="tiles of a scan, a multiple of 4")
    parser.add_argument("--density", type=int, action="append", help="pits per usual tile")
    parser.add_argument("--output", "-o", type=Path, help="file of the figures")
    given = parser.parse_args()
    densities = given.density or ((30, 100) if given.choose else DENSITIES)
    margins = MARGINS_PX if given.choose else (MARGIN_PX,)
    seed = CHOOSING if given.choose else REPORTED
    rows = [row for d in densities for row in measure(d, seed, given.tiles, margins)]
    if given.output is not None:
        write_result(given.output, given.tiles, (margins_of if given.choose else tables_of)(rows))


if __name__ == "__main__":
    main()
