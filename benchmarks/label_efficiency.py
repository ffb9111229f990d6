"""How the result depends on the number of labels, on the lights, and on labels of a crowd.

    python benchmarks/label_efficiency.py -o results

One expert, signal against all other classes, is trained on labels of a simulated foil with the
class mix of the experiment, and tested on another foil with more than 10,000 labels of background.
The script prints means over three seeds with their spread, and 95 % intervals for the first seed:
for each number of labels and network, for each set of channels, and for an expert whose training
continues with labels of a crowded foil.
"""

import argparse
import pickle
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from etchscope.draw.style import RC
from etchscope.ensemble import Labelled, default_kinds
from etchscope.evaluation import proportion
from etchscope.learn import (
    Expert,
    Lights,
    Training,
    cross_validate,
    measure_efficiency_at,
    set_threads,
    split_folds,
    train_expert,
)
from etchscope.simulation import preset, with_parameters
from learn import MIX, draw_labels, label_foil, make_mix_foil
from learning_figures import draw_ablation, draw_label_efficiency

COMPARED = {
    "plain": Training(network="plain", augmentation="none"),
    "plain, C4": Training(network="plain", augmentation="C4"),
    "plain, C8": Training(network="plain", augmentation="C8"),
    "3-D, C4": Training(network="azimuth", augmentation="C4"),
    "equivariant": Training(),
}
NUMBERS = (50, 200, 500, 1000)
SEEDS = (0, 1, 2)
EIGHT = tuple(range(8))
CHANNELS = {
    "all ten": (*EIGHT, 8, 9),
    "eight lamps and backlit": (*EIGHT, 8),
    "eight lamps and halo": (*EIGHT, 9),
    "eight lamps": EIGHT,
    "four lamps": (0, 2, 4, 6),
    "two opposite lamps": (0, 4),
    "one lamp": (0,),
    "backlit and halo": (8, 9),
}
"""Channels of each set; the lamps come first, in order of azimuth."""


@lru_cache(maxsize=4)
def _stored(path: Path) -> Labelled:
    labelled: Labelled = pickle.loads(path.read_bytes())  # written by this run
    return labelled


def _kept(labelled: Labelled, path: Path) -> Path:
    path.write_bytes(pickle.dumps(labelled))
    return path


def train_one(
    labelled: Labelled, training: Training, seed: int, start: Expert | None = None
) -> Expert:
    """Train signal against the rest; a fifth of the tiles determines when to stop."""
    target = labelled.label == "hip"
    held = next(split_folds(labelled.patches.region, target, 5, seed))
    return train_expert(labelled.patches, target, training, validation=held, seed=seed, start=start)


def measure_expert(expert: Expert, test: Labelled) -> dict[str, float]:
    """Return balanced accuracy, and the signal that passes at 1 % and 0.1 % false positives."""
    target = test.label == "hip"
    scores = expert.scores(test.patches)
    return {
        "balanced_accuracy": float(balanced_accuracy_score(target, scores > 0)),
        "passed_1": measure_efficiency_at(scores, target, 0.01)[0],
        "passed_01": measure_efficiency_at(scores, target, 0.001)[0]
        if (~target).sum() >= 1000
        else np.nan,
        "signal": int(target.sum()),
        "failed": expert.failed,
    }


def _one(labels: Path, test: Path, name: str, number: int, seed: int) -> dict[str, object]:
    set_threads(1)
    labelled, share = _stored(labels), number / sum(MIX.values())
    some = draw_labels(labelled, {c: round(n * share) for c, n in MIX.items()}, seed)
    figures = measure_expert(train_one(some, COMPARED[name], seed), _stored(test))
    return {"network": name, "labels": number, "seed": seed, **figures}


@contextmanager
def _pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def print_labels_table(labels: Path, test: Path, folder: Path) -> None:
    """Print and draw the figures of each network by the number of labels."""
    everything = sum(MIX.values())
    wanted = [(name, n, s) for n in NUMBERS for name in COMPARED for s in SEEDS]
    wanted += [("equivariant", everything, s) for s in SEEDS]
    with _pool() as pool:
        running = [pool.submit(_one, labels, test, *which) for which in wanted]
        table = pd.DataFrame([future.result() for future in running])
    table["efficiency"] = table["passed_1"] / table["signal"]
    for (number, name), rows in table.groupby(["labels", "network"], sort=False):
        first, strict = rows.iloc[0], rows["passed_01"] / rows["signal"]
        print(
            f"{number:5d} labels  {name:12s} balanced accuracy "
            f"{100 * rows['balanced_accuracy'].mean():.2f} ± "
            f"{100 * rows['balanced_accuracy'].std():.2f} %; at 1 % "
            f"{100 * rows['efficiency'].mean():.1f} ± {100 * rows['efficiency'].std():.1f} %, "
            f"{proportion(int(first['passed_1']), int(first['signal']))}; at 0.1 % "
            f"{100 * strict.mean():.1f} ± {100 * strict.std():.1f} %, "
            f"{proportion(int(first['passed_01']), int(first['signal']))}; "
            f"failed {rows['failed'].sum()}",
            flush=True,
        )
    with mpl.rc_context(RC):
        drawn_table = table[table["labels"] <= max(NUMBERS)]
        draw_label_efficiency(drawn_table).savefig(folder / "label-efficiency.png", dpi=100)


def _ablated(labels: Path, channels: tuple[int, ...], expert: str) -> tuple[float, float]:
    set_threads(1)
    labelled = _stored(labels)
    kind = next(k for k in default_kinds(tuple(MIX)) if k.name == expert)
    lamps, others = labelled.patches.lights.azimuths_deg, labelled.patches.lights.others
    lights = Lights(
        tuple(lamps[c] for c in channels if c < len(lamps)),
        tuple(others[c - len(lamps)] for c in channels if c >= len(lamps)),
    )
    of_kind = np.isin(labelled.label, kind.classes)
    some = labelled.patches.take(of_kind).of_channels(np.array(channels), lights)
    training = Training(network="plain")
    done = cross_validate(some, kind.target(labelled.label[of_kind]), training)
    each = done.trainings["balanced_accuracy"]
    return float(done.balanced_accuracy[0]), float(each.std())


def print_ablation_table(labels: Path, folder: Path) -> None:
    """Print and draw the balanced accuracy of the plain network for each set of channels."""
    wanted = [(name, expert) for name in CHANNELS for expert in ("hip-top", "top-bottom")]
    with _pool() as pool:
        running = [pool.submit(_ablated, labels, CHANNELS[n], e) for n, e in wanted]
        rows = [(*w, *f.result()) for w, f in zip(wanted, running, strict=True)]
    table = pd.DataFrame(rows, columns=["channels", "expert", "balanced_accuracy", "spread"])
    print(table.round(4).to_string(index=False), flush=True)
    with mpl.rc_context(RC):
        draw_ablation(table).savefig(folder / "ablation.png", dpi=100)


def _transferred(labels: Path, crowd: Path, tests: dict[str, Path], seed: int) -> pd.DataFrame:
    set_threads(1)
    mix = draw_labels(_stored(labels), MIX, seed)
    dense = _stored(crowd)
    before = train_one(mix, Training(), seed)
    going_on = replace(before.training, rate=1e-3)
    experts = {
        "mix alone": before,
        "mix, then crowd": train_one(dense, going_on, seed, start=before),
        "crowd alone": train_one(dense, Training(), seed),
    }
    rows = [
        {
            "trained on": name,
            "tested on": where,
            "seed": seed,
            **measure_expert(expert, _stored(test)),
        }
        for name, expert in experts.items()
        for where, test in tests.items()
    ]
    return pd.DataFrame(rows)


def print_transfer_table(labels: Path, test: Path, folder: Path) -> None:
    """Print the figures of experts trained on the mix, on a crowd, and on both in turn."""
    numbers = {"hip": 100, "top": 100, "bottom": 200, "misc": 0}
    crowds = []
    for seed, tiles in ((71, 8), (72, 16)):
        (scan,) = preset("reference", seed=seed, columns=4, rows=tiles // 4)
        scan = with_parameters(scan, {"fragments.per_tile": 1000.0, "hips.per_tile": 20.0})
        crowds.append(label_foil(scan))
    crowd = _kept(draw_labels(crowds[0], numbers, 0), folder / "crowd.pickle")
    tests = {"mix": test, "crowd": _kept(crowds[1], folder / "crowded-test.pickle")}
    with _pool() as pool:
        running = [pool.submit(_transferred, labels, crowd, tests, seed) for seed in SEEDS]
        table = pd.concat([future.result() for future in running])
    table["efficiency"] = table["passed_1"] / table["signal"]
    for (name, where), rows in table.groupby(["trained on", "tested on"], sort=False):
        first = rows.iloc[0]
        print(
            f"trained on {name:16s} tested on {where:6s} balanced accuracy "
            f"{100 * rows['balanced_accuracy'].mean():.2f} ± "
            f"{100 * rows['balanced_accuracy'].std():.2f} %; at 1 % "
            f"{100 * rows['efficiency'].mean():.1f} ± {100 * rows['efficiency'].std():.1f} %, "
            f"{proportion(int(first['passed_1']), int(first['signal']))}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--test-tiles", type=int, default=116)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mix = label_foil(make_mix_foil(2027))
        labels = _kept(mix, folder / "labels.pickle")
        large = label_foil(make_mix_foil(9000, options.test_tiles))
        print(f"tested on {pd.Series(large.label).value_counts().to_dict()}", flush=True)
        test = _kept(large, folder / "test.pickle")
        print_labels_table(labels, test, options.output)
        print_ablation_table(_kept(draw_labels(mix, MIX, 0), folder / "mix.pickle"), options.output)
        print_transfer_table(labels, test, folder)


if __name__ == "__main__":
    main()
