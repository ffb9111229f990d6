"""Recall and precision of `find` on random foils, and the parameters that influence them most.

    python benchmarks/randomised.py --draws 30

Each foil has its own microscope and populations (`etchscope simulate --randomise`). The search has
its default settings. The influence of a parameter is its rank correlation with recall (or
precision) over the foils. Beside it the script prints the greatest correlation of the same number
of random parameters, which is large for many parameters and few foils.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from etchscope.evaluation import evaluate
from etchscope.preselect import FindSettings
from etchscope.run import find, simulate
from etchscope.simulation import RANGES, SimulatedScan, preset, randomise_scan, with_parameters
from etchscope.store import Store

TOLERANCE_PX = 6.0
LEAST_RADIUS_PX = 2.5


def list_parameters(scan: SimulatedScan) -> dict[str, float]:
    """Return the random parameters of a foil as numbers."""
    p, o = scan.population, scan.optics
    groups = {
        "hips": p.hips,
        "fragments": p.fragments,
        "stars": p.stars,
        "marks": p.marks,
        "density": p.density,
        "sheet": scan.sheet,
        "optics": o,
        "stage": scan.stage,
        "surface": scan.surface,
        "camera": scan.camera,
    }
    out = {}
    for name in RANGES:
        group, parameter = name.split(".")
        if parameter != "v":
            out[name] = float(getattr(groups[group], parameter))
    out["hips.v"] = p.hips.ratio(scan.sheet)
    out["hot spots"] = float(len(p.density.hot))
    out["is isotropic"] = float(p.hips.direction == "isotropic")
    out["is CR-39"] = float(scan.sheet.material == "cr39")
    out["spread of gains"] = float(np.std(o.gains))
    out["spread of azimuths"] = float(np.std(o.azimuth_errors_deg))
    return out


def search_foil(scan: SimulatedScan, settings: FindSettings) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "store")
        simulate([scan], Path(folder) / "truth", store=store)
        found = store.runs.pits(find(store, scan.scan.name, settings=settings).run)
    truth = scan.truth().drop_duplicates("pit").reset_index(drop=True)
    tolerance = TOLERANCE_PX * scan.optics.pixel_size_um / 1000

    def score(some: pd.DataFrame):
        return evaluate(some, found, rule="one-to-one", tolerance_mm=tolerance)

    everything = score(truth)
    large = score(truth[truth["radius_px"] > LEAST_RADIUS_PX].reset_index(drop=True))
    signal = score(truth[truth["class"] == "hip"].reset_index(drop=True))
    return {
        "openings": len(truth),
        "recall": everything.efficiency.value,
        "recall_large": large.efficiency.value,
        "recall_signal": signal.efficiency.value,
        "precision": everything.purity.value,
        "chance_recall": everything.chance_efficiency.value,
        "chance_precision": everything.chance_purity.value,
        "surface": float(_same_surface(everything, truth, found)),
    }


def _same_surface(score, truth: pd.DataFrame, found: pd.DataFrame) -> float:
    one = truth["surface"].to_numpy()[score.matching.truth_index]
    other = found["surface"].to_numpy()[score.matching.found_index]
    return float((one == other).mean()) if len(one) else np.nan


def print_influences(table: pd.DataFrame, names: list[str], outcome: str) -> None:
    rho = {n: spearmanr(table[n], table[outcome]).statistic for n in names}
    rng = np.random.default_rng(0)
    best = [
        np.abs(
            spearmanr(table[outcome], rng.standard_normal((len(table), len(names)))).statistic[
                0, 1:
            ]
        ).max()
        for _ in range(200)
    ]
    ranked = sorted(rho, key=lambda n: -abs(rho[n]))[:6]
    print(f"{outcome}: " + ", ".join(f"{n} {rho[n]:+.2f}" for n in ranked))
    print(f"  the best of {len(names)} random ones: {np.quantile(best, 0.95):.2f} (95 %)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--columns", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--max-pits", type=float, help="Limit the background pits per tile.")
    parser.add_argument("--save", type=Path, help="Write the table as CSV.")
    options = parser.parse_args()
    rows = []
    for seed in range(options.first_seed, options.first_seed + options.draws):
        (base,) = preset("reference", seed=seed, columns=options.columns, rows=options.rows)
        scan = replace(randomise_scan(base), foil=f"draw-{seed}")
        if options.max_pits is not None:
            cap = min(scan.population.fragments.per_tile, options.max_pits)
            scan = with_parameters(scan, {"fragments.per_tile": cap})
        rows.append({"seed": seed, **search_foil(scan, FindSettings()), **list_parameters(scan)})
        shown = ("openings", "recall", "recall_large", "recall_signal", "precision", "surface")
        print(seed, {k: round(rows[-1][k], 3) for k in shown}, flush=True)
    table = pd.DataFrame(rows)
    if options.save is not None:
        table.to_csv(options.save, index=False)
    outcomes = ["recall", "recall_large", "recall_signal", "precision", "surface"]
    quantiles = table[[*outcomes, "chance_recall", "chance_precision"]].quantile(
        [0, 0.25, 0.5, 0.75, 1]
    )
    print(quantiles.round(3).to_string())
    names = [c for c in table.columns if "." in c or c.startswith(("hot", "is ", "spread"))]
    for outcome in outcomes:
        print_influences(table, names, outcome)


if __name__ == "__main__":
    main()
