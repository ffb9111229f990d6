"""The whole search, from pictures to ranked candidates, on foils not used in training, by density.

    python benchmarks/search.py --tiles 100 -o results

There are three groups of foils with seeds of their own. A model is trained on some labelled finds
of a few tiles. On other foils, one for each density, thresholds are determined for each class of
local density, for 1 and 0.1 false candidates per tile. On a third group, which is used only to
measure, the script prints the efficiency and the rate of false candidates at these thresholds, and
the efficiency at exactly those rates. A candidate within 6 px of an opening of a true particle is
true, and a second one of the same particle is false. Intervals are 95 %, over tiles. Chance is the
efficiency of the same candidates after local shifts. The response `hip` of the finder, which needs
no labels, is ranked and cut in the same way for comparison. The time is printed.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.candidates import candidate_table, places_px
from etchscope.draw.calibration import draw_reliability
from etchscope.draw.confusion import draw_confusion
from etchscope.draw.efficiency import draw_froc
from etchscope.draw.style import RC
from etchscope.draw.ternary import draw_ternary
from etchscope.ensemble import Model, measure_working_point
from etchscope.evaluation import (
    Figure,
    Requirement,
    Search,
    calibration_table,
    evaluate,
    expected_calibration_error,
    format_chi2,
    free_response,
    match_particles,
    proportion,
)
from etchscope.files import read_table
from etchscope.foil import as_labels, parent_class
from etchscope.learn import Training, set_threads
from etchscope.run import find, simulate
from etchscope.run.search import search_of_run
from etchscope.run.stages.scoring import score
from etchscope.run.stages.training import gather, train
from etchscope.simulation import SimulatedScan, preset, with_parameters
from etchscope.store import Store

CLASSES = ("hip", "top", "bottom", "misc")
LABELS = {10: (60, 30, 30, 50), 100: (259, 199, 811, 80), 300: (80, 100, 300, 80)}
LABELS[1000] = (60, 150, 450, 60)
"""Number of labels of hip, top, bottom and misc for each number of background pits per tile; at 100
it is that of the experiment."""
TOLERANCE_PX = 6.0
CLEAR_PX = 9.0
"""Distance from every opening beyond which a find is no pit."""
FALSE_A_TILE = (1.0, 0.1)
CLAIMED = 0.01
"""Least probability of signal in the reliability diagram."""
DISPLACED_PX = (0, 2, 4, 6, 8, 12, 20)


def make_foil(density: int, tiles: int, seed: int, name: str) -> SimulatedScan:
    """Return a foil like that of the reference scan with some density of background."""
    columns = max(round(np.sqrt(tiles * 0.8)), 1)
    (scan,) = preset("reference", seed=seed, columns=columns, rows=-(-tiles // columns))
    return replace(with_parameters(scan, {"fragments.per_tile": density}), foil=name)


def simulate_and_search(scan: SimulatedScan, store: Store, folder: Path) -> pd.DataFrame:
    """Simulate a foil into a store and search it; return its true openings."""
    (truth,) = simulate([scan], folder, store=store)
    find(store, scan.scan.name)
    return read_table(truth)


def true_classes(
    found: pd.DataFrame, truth: pd.DataFrame, pixel_size_um: float
) -> "pd.Series[str]":
    """Return the true class of each find, "" where it is unclear.

    It is the class of the opening that is matched one to one within 6 px; of a pair only the entry
    pit counts. A find far from all openings is misc.
    """
    classes = pd.Series("", index=found.index)
    places = places_px(found, pixel_size_um), places_px(truth, pixel_size_um)
    classes[cKDTree(places[1]).query(places[0])[0] > CLEAR_PX] = "misc"
    mm = TOLERANCE_PX * pixel_size_um / 1000
    matched = evaluate(truth, found, rule="one-to-one", tolerance_mm=mm).matching
    true = truth.iloc[matched.truth_index]
    kinds = np.where(
        (true["class"] == "hip") & (true["surface"] != "top"), "", true["class"].map(parent_class)
    )
    classes.iloc[matched.found_index] = np.where(np.isin(kinds, CLASSES), kinds, "")
    return classes


def label_some(
    store: Store, scan: SimulatedScan, truth: pd.DataFrame, numbers: Sequence[int], seed: int
) -> None:
    """Label a number of finds of each class, or all if there are fewer."""
    found = store.runs.pits(str(store.runs.latest(scan.scan.name)))
    classes = true_classes(found, truth, scan.optics.pixel_size_um)
    rng = np.random.default_rng(seed)
    rows: list[int] = []
    for name, number in zip(CLASSES, numbers, strict=True):
        rows += rng.permutation(np.flatnonzero(classes == name))[:number].tolist()
    some = found.iloc[sorted(rows)]
    columns = some[["foil", "side", "x_mm", "y_mm", "scan", "tile", "x_px", "y_px"]]
    labels = columns.assign(
        **{"class": classes.iloc[sorted(rows)]}, who="simulator", source="model", when="2026-01-01"
    )
    store.labels.add(as_labels(labels))


def train_model(store: Store, scans: Sequence[str], name: str, seed: int = 0) -> Model:
    """Train the usual experts and their ensemble on the labels of a store, and keep the model."""
    set_threads(2)
    done = train(gather(store, scans=scans), Training(), seed=seed)
    store.models.save(name, *done.model.to_record())
    for expert, figures in done.model.information["experts"].items():
        print(
            f"  {expert:11s} balanced accuracy {100 * figures['balanced_accuracy']:.2f} %, "
            f"{figures['failed']} of 5 trainings failed"
        )
    return done.model


@dataclass(frozen=True)
class Foil:
    """A scored foil of known truth with its searches by score and by two simpler values.

    ``unlabelled`` ranks finds by the finder's response ``hip``, which needs no labels, and
    ``anomaly`` by the distance from the background.
    """

    truth: pd.DataFrame
    pits: pd.DataFrame
    search: Search
    candidates: pd.DataFrame
    unlabelled: Search
    anomaly: Search


def score_foil(store: Store, scan: SimulatedScan, folder: Path, model: str) -> Foil:
    """Simulate, search and score a foil."""
    truth = simulate_and_search(scan, store, folder)
    run = score(store, scan.scan.name, model).run
    search, candidates = search_of_run(store, run, truth, signal="hip", valid_only=False)
    pits = store.runs.pits(run)
    anomaly = store.runs.judged(run)["anomaly"]
    others = (rank_by(value, pits, truth, search, scan) for value in (pits["hip"], anomaly))
    return Foil(truth, pits, search, candidates, *others)


def rank_by(
    value: "pd.Series[float]",
    pits: pd.DataFrame,
    truth: pd.DataFrame,
    search: Search,
    scan: SimulatedScan,
) -> Search:
    """Return the search that ranks the finds by a value."""
    size = scan.optics.pixel_size_um
    ranked = candidate_table(pits.assign(score=value.to_numpy()), pixel_size_um=size)
    true = truth[truth["class"] == "hip"]
    is_true, _ = match_particles(
        places_px(true, size),
        np.unique(true["particle"], return_inverse=True)[1],
        places_px(ranked, size),
        TOLERANCE_PX,
    )
    return replace(
        search,
        score=ranked["score"].to_numpy(np.float64),
        is_true=is_true,
        by_chance=np.zeros(len(is_true)),
        tile=np.searchsorted([t.number for t in scan.scan.tiles], ranked["tile"]),
        ground=replace(search.ground, candidates=ranked["density_per_mm2"].to_numpy(np.float64)),
    )


def print_working_points(frozen: Search, test: Search) -> None:
    """Print the figures of a foil at thresholds of another, and at exactly the rates of these."""
    for allowed in FALSE_A_TILE:
        asked = Requirement(false_per_tile=allowed)
        point = measure_working_point(
            frozen, asked, chosen_by=str(asked), measured_on="another foil", other=test
        )
        value, low, high = point.false_per_tile
        thresholds = point.threshold_at(test.ground.candidates)
        chance, gathered = test.chance(thresholds), test.false_chi2_ndf(thresholds)
        print(
            f"  at {allowed:g} false per tile ({point.in_words}): efficiency "
            f"{percent(point.efficiency)}, chance {chance}; purity {percent(point.purity)}; "
            f"{value:.3f} [{low:.3f}, {high:.3f}] false per tile, "
            f"{format_chi2(gathered)}; efficiency at exactly that rate "
            f"{percent(point.efficiency_at_rate)}"
        )


def percent(figure: Figure) -> str:
    value, low, high = (100 * v for v in figure)
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def print_by_displacement(done: Foil, threshold: float, size: float) -> None:
    """Print the efficiency by the displacement of the exit pit from the entry pit."""
    hips = done.truth[done.truth["class"] == "hip"]
    sides = {s: hips[hips["surface"] == s].set_index("particle") for s in ("top", "bottom")}
    exits = sides["bottom"][["x_mm", "y_mm"]].set_axis(["exit_x_mm", "exit_y_mm"], axis=1)
    both = sides["top"].join(exits, how="inner")
    apart = np.hypot(both["exit_x_mm"] - both["x_mm"], both["exit_y_mm"] - both["y_mm"])
    number = pd.Series(
        np.unique(hips["particle"], return_inverse=True)[1], index=hips["particle"].to_numpy()
    ).drop_duplicates()
    passed = done.candidates[done.candidates["is_true"] & (done.candidates["score"] >= threshold)]
    hit = number.reindex(both.index).isin(passed["particle"]).to_numpy()
    bins = pd.cut(1000 * apart / size, DISPLACED_PX)
    parts = [
        f"{where.left:g}-{where.right:g} px {proportion(int(hit[rows].sum()), len(rows))}"
        for where, rows in bins.reset_index(drop=True).groupby(bins.to_numpy()).groups.items()
    ]
    print("  by displacement at 1 per tile: " + "; ".join(parts))


def report(density: int, frozen: Foil, done: Foil, folder: Path, size: float) -> pd.DataFrame:
    """Print and draw the figures of one density; return its curve."""
    search, pits = done.search, done.pits
    valid = proportion(int(pits["valid"].sum()), len(pits))
    print(
        f"\n{density} background pits per tile: {search.tiles} tiles, {search.particles} "
        f"particles, {len(pits)} finds, valid {valid}",
        flush=True,
    )
    print_working_points(frozen.search, search)
    best = proportion(int(search.is_true.sum()), search.particles)
    print(f"  with a candidate at all: {best}")
    print("  pre-selection alone:")
    print_working_points(frozen.unlabelled, done.unlabelled)
    print("  distance from background alone:")
    print_working_points(frozen.anomaly, done.anomaly)
    print_by_displacement(done, frozen.search.threshold_for(false_per_tile=1), size)
    ranked = done.candidates
    p = ranked["p_hip"].to_numpy(np.float64)
    outcome = ranked["is_true"].to_numpy(bool)
    error = expected_calibration_error(calibration_table(p, outcome))
    # Nearly all candidates clearly are no signal, which would hide the calibration of the others.
    some = p >= CLAIMED
    table = calibration_table(p[some], outcome[some])
    print(
        f"  p_hip of candidates at the foil's own shares: calibration error {error:.4f}; of the "
        f"{some.sum()} with p_hip over {CLAIMED:g}: {expected_calibration_error(table):.4f}"
    )
    print(table.round(3).to_string(index=False))
    classes = true_classes(pits, done.truth, size)
    known = classes != ""
    counts = pd.crosstab(classes[known].rename("true"), pits.loc[known, "class"].astype(str))
    counts = counts.reindex(index=list(CLASSES), columns=list(CLASSES), fill_value=0)
    print(counts.to_string(header=True))
    figures = {
        "confusion": draw_confusion(counts),
        "reliability": draw_reliability(p[some], outcome[some]),
        "ternary": draw_ternary(
            pits.loc[known, [f"p_{c}" for c in CLASSES]],
            classes[known],
            title=f"{known.sum():,} finds, coloured by true class",
        ),
    }
    for name, figure in figures.items():
        with mpl.rc_context(RC):
            figure.savefig(folder / f"{name}-{density}.png", dpi=100)
    return free_response(search)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tiles", type=int, default=100, help="tiles per density of the tested foils"
    )
    parser.add_argument("--densities", type=int, nargs="+", default=[10, 100, 300, 1000])
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    curves = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store.create(folder / "store")
        names = []
        for density, numbers in LABELS.items():
            tiles = 16 if density <= 100 else 8
            scan = make_foil(density, tiles, options.seed + density, f"training-{density}")
            scan = with_parameters(scan, {"hips.per_tile": 20.0})
            truth = simulate_and_search(scan, store, folder / "training")
            label_some(store, scan, truth, numbers, options.seed)
            names.append(scan.scan.name)
        print(store.labels.table()["class"].value_counts().to_dict())
        train_model(store, names, "shipped")
        print(f"trained after {time.perf_counter() - begin:.0f} s", flush=True)
        for density in options.densities:
            scan = make_foil(
                density, options.tiles, options.seed + 10_000 + density, f"frozen-{density}"
            )
            frozen = score_foil(store, scan, folder / "frozen", "shipped")
            scan = make_foil(
                density, options.tiles, options.seed + 20_000 + density, f"test-{density}"
            )
            done = score_foil(store, scan, folder / "test", "shipped")
            size = scan.optics.pixel_size_um
            curves[f"{density} pits per tile"] = report(density, frozen, done, options.output, size)
            for one in (f"frozen-{density}-front", f"test-{density}-front"):
                store.scans.remove(f"scan = '{one}'")
            print(f"  after {time.perf_counter() - begin:.0f} s", flush=True)
    with mpl.rc_context(RC):
        draw_froc(curves, tile_cm2=0.128).savefig(options.output / "froc.png", dpi=100)


if __name__ == "__main__":
    main()
