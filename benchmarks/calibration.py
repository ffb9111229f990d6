"""What calibration on one kind of foil gains, by density, and which measures contribute.

    python benchmarks/calibration.py --tiles 40 -o results

Two foils of a preset are simulated at each density, searched and scored with the shipped experts.
Calibrations are fitted on the first foils of all densities together: to the experts alone, with the
geometry of pairs, with the odds of the finder, and to all measures; to all measures with the same
weights at all densities; and without each group of measures. The second foils are used only to
measure. For each calibration the script prints the signal efficiency at exactly 1 and 0.1 false
candidates per tile, beside that of the same candidates in random order; the expected number of
signals beside the true number; the calibration error of probabilities over 1 %; and the candidates
selected at the working point of 1 false candidate per tile of the first foils. The case "before"
uses the experts on single openings without calibration. Particles without a candidate count as
lost, also where the model is not valid. Intervals are 95 %, over tiles. The time is printed.
"""

import argparse
import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.draw.figures import make_figure
from etchscope.draw.png import encode_figure
from etchscope.draw.style import INK, RC, SERIES_COLOURS
from etchscope.ensemble import (
    MEASURES,
    Calibration,
    Model,
    fit_calibration,
    measure_working_point,
)
from etchscope.evaluation import (
    Requirement,
    Search,
    calibration_table,
    efficiency_at_rate,
    expected_calibration_error,
)
from etchscope.files import read_table
from etchscope.pages.writing import write_picture
from etchscope.run import find, simulate
from etchscope.run.calibrate import KnownRun, known_candidates
from etchscope.run.experts import SHIPPED
from etchscope.run.search import search_of_run
from etchscope.run.stages.scoring import score
from etchscope.simulation import SimulatedScan, preset, with_parameters
from etchscope.store import Store, read_model

RATES = (1.0, 0.1)
CLAIMED = 0.01
"""Least probability of a candidate in the calibration error."""
SHAPES = MEASURES[MEASURES.index("log_radius") : MEASURES.index("no_partner")]
PARTNER = (*(m for m in MEASURES if m.startswith("other_")), "no_partner", "walls_apart")
FINDER = ("entry", "no_entry", "exit", "no_exit")
BEFORE = Calibration({"experts": 1.0, "experts_apart": 0.5}, 0.0, None, "nothing")
EXPERTS = ("experts", "experts_apart")
CASES: dict[str, tuple[str, ...]] = {
    "experts alone": (*EXPERTS, "log_density"),
    "and pairs": (*EXPERTS, "pair", "log_density"),
    "and the finder's odds": (*EXPERTS, "pair", *FINDER, "log_density"),
    "all measures": MEASURES,
    "all but pairs": tuple(m for m in MEASURES if m != "pair"),
    "all but the finder's odds": tuple(m for m in MEASURES if m not in FINDER),
    "all but shapes": tuple(m for m in MEASURES if m not in SHAPES),
    "all but the exit pit's": tuple(m for m in MEASURES if m not in PARTNER),
    "all but the experts": tuple(m for m in MEASURES if m not in EXPERTS),
}
"""The measures of each calibration."""
ALIKE = "all measures", "all, alike in crowds"
"""The case that is fitted once more without slopes over density, and the name of that fit."""


@dataclass(frozen=True)
class Foil:
    """A foil that was simulated, searched and scored once."""

    density: int
    store: Path
    scan: str
    truth: pd.DataFrame
    measures: pd.DataFrame
    is_signal: NDArray[np.bool_]


def make_foil(name: str, density: int, tiles: int, seed: int) -> SimulatedScan:
    columns = max(round(np.sqrt(tiles * 0.8)), 1)
    (scan,) = preset(name, seed=seed, columns=columns, rows=-(-tiles // columns))
    return replace(
        with_parameters(scan, {"fragments.per_tile": float(density)}), foil=f"d{density}-{seed}"
    )


def limit_tiles(most: int, density: int) -> int:
    """Return a number of tiles with 40,000 fragments, at least 1 and at most ``most``."""
    return min(most, max(40_000 // density, 1))


def simulate_foil(folder: Path, name: str, density: int, tiles: int, seed: int) -> Foil:
    """Simulate a foil in a store of its own, search it, and score it with the shipped experts."""
    scan = make_foil(name, density, tiles, seed + density)
    store = Store.create(folder / scan.foil / "store")
    store.models.save("shipped", *read_model(SHIPPED))
    (path,) = simulate([scan], folder / scan.foil, store=store)
    find(store, scan.scan.name)
    truth = read_table(path)
    known = KnownRun(score(store, scan.scan.name, "shipped").run, truth, scan.foil)
    measures, is_signal = known_candidates(store, [known], signal="hip", tolerance_px=6.0)
    return Foil(density, store.path, scan.scan.name, truth, measures, is_signal)


def search_with(foil: Foil, name: str, model: Model) -> tuple[Search, pd.DataFrame, Any]:
    """Return the search of a foil by a model, its candidates, and the report of the run."""
    store = Store.open(foil.store)
    store.models.save(name, *model.to_record())
    done = score(store, foil.scan, name)
    search, candidates = search_of_run(store, done.run, foil.truth, signal="hip", valid_only=False)
    return search, candidates, done


def in_random_order(search: Search, rate: float) -> float:
    """Return the mean efficiency of the same candidates in random order."""
    true, n = int(search.is_true.sum()), len(search.score)
    false = n - true
    kept = min(rate * search.tiles / false, 1.0) if false else 1.0
    return kept * true / search.particles


def measure(known: Foil, test: Foil, case: str, name: str, model: Model) -> dict[str, Any]:
    """Return the figures of one case at one density."""
    search, candidates, done = search_with(test, name, model)
    first, _, _ = search_with(known, name, model)
    p = candidates["p_hip"].to_numpy(np.float64)
    outcome = candidates["is_true"].to_numpy(bool)
    claimed = p >= CLAIMED
    asked = Requirement(false_per_tile=1.0)
    point = measure_working_point(
        first, asked, chosen_by=str(asked), measured_on="another foil", other=search
    )
    passed = search.score >= point.threshold_at(search.ground.candidates)  # type: ignore[union-attr]
    row: dict[str, Any] = {
        "case": case,
        "background_per_tile": test.density,
        "particles": search.particles,
        "candidates": len(search.score),
        "with_candidate": float(outcome.sum() / search.particles),
        "true": int(outcome.sum()),
        "expected": done.expected,
        "sum_p": float(p.sum()),
        "claimed": int(claimed.sum()),
        "calibration_error": float(
            expected_calibration_error(calibration_table(p[claimed], outcome[claimed]))
            if claimed.any()
            else np.nan
        ),
        "valid": float(candidates["valid"].mean()),
        "selected": int(passed.sum()),
        "selected_true": int((passed & search.is_true).sum()),
        "purity": point.purity,
    }
    for rate in RATES:
        row[f"at_{rate:g}"] = efficiency_at_rate(search, rate)
        row[f"chance_at_{rate:g}"] = in_random_order(search, rate)
    return row


def percent(figure: Any) -> str:
    return "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * v for v in figure))


def print_row(row: dict[str, Any]) -> None:
    expected = "unknown"
    if row["expected"] is not None:
        expected = "{:.0f} [{:.0f}, {:.0f}]".format(*row["expected"])
    print(
        f"{row['background_per_tile']:5d} {row['case']:26s} "
        f"at 1 {percent(row['at_1'])} %, at 0.1 {percent(row['at_0.1'])} % (chance "
        f"{100 * row['chance_at_1']:.1f}, {100 * row['chance_at_0.1']:.1f}); expected {expected}, "
        f"true {row['true']} of {row['particles']} particles, error {row['calibration_error']:.3f} "
        f"of {row['claimed']} claims; selected {row['selected']}, {row['selected_true']} true; "
        f"valid {row['valid']:.2f}",
        flush=True,
    )


def draw(rows: list[dict[str, Any]], cases: list[str], path: Path) -> None:
    with mpl.rc_context(RC):
        made = make_figure(10.5, 4.8, "Signal efficiency by the measures of the calibration")
        axes = made.subplots(1, len(RATES), sharey=True)
        for ax, rate in zip(axes, RATES, strict=True):
            for k, case in enumerate(cases):
                own = [row for row in rows if row["case"] == case]
                x = np.array([row["background_per_tile"] for row in own], np.float64)
                value, low, high = 100 * np.array([row[f"at_{rate:g}"] for row in own]).T
                bars = [value - low, high - value]
                x = x * 1.04 ** (k - len(cases) / 2)
                colour = SERIES_COLOURS[k]
                ax.errorbar(x, value, bars, label=case, color=colour, marker="o", ms=4, capsize=2)
            last = [row for row in rows if row["case"] == cases[-1]]
            at = [row["background_per_tile"] for row in last]
            chance = [100 * row[f"chance_at_{rate:g}"] for row in last]
            ax.plot(at, chance, ":", color=INK, label="the same in random order")
            ax.set_xscale("log")
            ax.set_xticks(at, [f"{d:,}" for d in at])
            ax.minorticks_off()
            ax.set_ylim(0, 102)
            ax.grid(axis="y")
            ax.set_xlabel("background fragments per tile")
            ax.set_title(f"at {rate:g} false candidate{'s' if rate != 1 else ''} per tile")
        axes[0].set_ylabel("signal efficiency (%)")
        made.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    write_picture(encode_figure(made), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="experiment")
    parser.add_argument("--tiles", type=int, default=40, help="of each foil")
    parser.add_argument("--densities", type=int, nargs="+", default=[10, 30, 100, 300, 1000, 3000])
    parser.add_argument("--seed", type=int, default=28_000, help="of the first foils")
    parser.add_argument("--test-seed", type=int, default=29_000, help="of the second foils")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    seeds = options.seed, options.test_seed
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool,
    ):
        jobs = [
            pool.submit(
                simulate_foil,
                Path(name),
                options.preset,
                density,
                limit_tiles(options.tiles, density),
                seed,
            )
            for density in sorted(options.densities, reverse=True)  # the longest ones first
            for seed in seeds
        ]
        foils, tests = (
            sorted((job.result() for job in jobs[k::2]), key=lambda foil: foil.density)
            for k in range(2)
        )
        print(f"simulated and scored after {time.perf_counter() - begin:.0f} s", flush=True)
        shipped = Model.from_record(*read_model(SHIPPED))
        measures = pd.concat([foil.measures for foil in foils], ignore_index=True)
        is_signal = np.concatenate([foil.is_signal for foil in foils])
        models = {"before": BEFORE, "as shipped": shipped.calibration}
        for case, of in CASES.items():
            models[case] = fit_calibration(measures, is_signal, fitted_on="first foils", of=of)
        of = CASES[ALIKE[0]]
        models[ALIKE[1]] = fit_calibration(
            measures, is_signal, fitted_on="first foils", of=of, by_density=False
        )
        figures = []
        for number, (case, calibration) in enumerate(models.items()):
            own = replace(shipped, calibration=calibration)
            figures += [
                pool.submit(measure, first, test, case, f"case-{number}", own)
                for first, test in zip(foils, tests, strict=True)
            ]
        rows = [job.result() for job in figures]
    for row in rows:
        print_row(row)
    shown = ["before", "as shipped", "experts alone", "and pairs", "and the finder's odds"]
    draw(rows, [*shown, "all measures"], options.output / "calibration.png")
    record = {"options": {**vars(options), "output": str(options.output)}, "rows": rows}
    record["calibration"] = models["all measures"].to_record()
    (options.output / "calibration.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
