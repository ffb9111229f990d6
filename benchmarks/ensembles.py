"""The ensemble of experts compared with simpler methods on the same test.

    python benchmarks/ensembles.py -o results

Every method is trained on the same labels of one simulated foil, with the class mix of the
experiment, in the same five folds of whole tiles. All are tested on the finds of another foil,
where hip is the signal and all else is background. The script compares the efficiencies at 1 % and
at 0.1 % of the background, from the picture of a find alone, without its partner:

- the ensemble: four experts and the regression on their votes (`--method stacked`);
- the same experts, their votes multiplied (`--method highest`);
- the same experts, a small neural network on their votes instead of the regression, fitted on
  the same held-out votes; its weight decay is chosen by cross-validation over the tiles;
- one expert of hip against everything else;
- one network for all four classes (`--method multiclass`);
- the anomaly, which is the distance from the background alone and needs no labels of signal.

Intervals are 95 % for the mean over seeds, by a bootstrap over the tiles of the test foil in which
thresholds are set anew; differences are taken within each sample. A seed determines the labels, the
folds and the weights; the range over seeds is given beside each mean. `ensembles.png` and
`ensembles.json` are written after each seed. A seed takes about ten minutes of one core with all
labels.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.utils.class_weight import compute_sample_weight

from etchscope.draw.efficiency import draw_roc
from etchscope.draw.style import RC
from etchscope.ensemble import (
    ExpertKind,
    Labelled,
    TrainedModel,
    fit_combiner,
    multiclass_kind,
    plan_training,
    train_model,
)
from etchscope.ensemble.combine import FAR
from etchscope.evaluation.tiles import draw_tiles, expanded_interval
from etchscope.learn import Training, measure_features, set_threads, split_folds
from learn import MIX, draw_labels, label_foil, make_mix_foil

SIGNAL = "hip"
REST = tuple(c for c in MIX if c != SIGNAL)
RATES = (0.01, 0.001)
CURVE = np.geomspace(1e-4, 1, 161)
ENSEMBLE = "ensemble"
STIFFNESS = (0.1, 1.0, 10.0, 100.0)
"""Weight decays among which that of the neural stacker is chosen."""


@dataclass(frozen=True)
class Test:
    """The finds of the test foil, (n,): whether each is signal, and the index of its tile."""

    target: NDArray[np.bool_]
    tile: NDArray[np.int64]
    times: NDArray[np.float64]
    """(draws + 1, tiles) how often each tile counts in each sample; in the first, each once."""

    @classmethod
    def of(cls, labelled: Labelled, draws: int) -> "Test":
        tiles, tile = np.unique(labelled.source["tile"].to_numpy(), return_inverse=True)
        times = draw_tiles(np.random.default_rng(0), len(tiles), draws)
        whole = np.ones((1, len(tiles)))
        return cls(labelled.label == SIGNAL, tile, np.concatenate([whole, times]))

    def efficiencies(self, score: NDArray[np.float64], rates: NDArray[np.float64]) -> np.ndarray:
        """Return the efficiency at each rate of background, (draws + 1, rates)."""
        order = np.argsort(-score, kind="stable")
        target, tile = self.target[order], self.tile[order]
        out = np.empty((len(self.times), len(rates)))
        for row, times in zip(out, self.times, strict=True):
            weight = times[tile]
            background, signal = np.cumsum(weight * ~target), np.cumsum(weight * target)
            passed = np.searchsorted(background, rates * background[-1] + 1e-9, side="right")
            row[:] = np.r_[0.0, signal][passed] / signal[-1]
        return out


def train(
    labelled: Labelled, training: Training, seed: int, kinds: Sequence[ExpertKind] | None = None
) -> TrainedModel:
    """Return the model of the experts of all folds; without kinds, the package's four experts."""
    begin = time.perf_counter()
    plan = plan_training(
        labelled, training, classes=tuple(MIX), signal=SIGNAL, kinds=kinds, seed=seed
    )
    done = train_model(plan)
    names = ", ".join(done.model.experts)
    print(f"  {names}: trained in {time.perf_counter() - begin:.0f} s", flush=True)
    return done


def score_with_network(
    done: TrainedModel, votes: dict[str, NDArray[np.float64]], seed: int
) -> np.ndarray:
    """Return the log odds of signal of a small network on the votes of the experts."""
    labelled = done.labelled
    # Bounds and scale are those of the regression.
    x, new = (
        np.clip(np.column_stack(list(v.values())), -FAR, FAR) / 4 for v in (done.logits, votes)
    )
    tests = split_folds(labelled.patches.region, labelled.label, 5, seed)
    splits = [(np.flatnonzero(~test), np.flatnonzero(test)) for test in tests]
    network = MLPClassifier((16,), solver="lbfgs", max_iter=5000, random_state=seed)
    search = GridSearchCV(network, {"alpha": STIFFNESS}, scoring="neg_log_loss", cv=splits)
    search.fit(x, labelled.label, sample_weight=compute_sample_weight("balanced", labelled.label))
    print(f"  neural stacker: weight decay {search.best_params_['alpha']:g}", flush=True)
    log_p = search.predict_log_proba(new)
    k = search.classes_.tolist().index(SIGNAL)
    return log_p[:, k] - np.logaddexp.reduce(np.delete(log_p, k, axis=1), axis=1)


def score_methods(
    labelled: Labelled, test: Labelled, training: Training, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Return for each method the scores of the test finds, (n,), which are higher for signal."""
    done = train(labelled, training, seed)
    model, votes = done.model, done.model.votes(test.patches)
    logits, kinds = list(done.logits.values()), model.combiner.kinds
    highest = fit_combiner("highest", logits, done.labelled.label, model.classes, kinds)
    single = ExpertKind("hip-rest", ((SIGNAL,), REST))
    one = train(labelled, training, seed, (single,)).model
    every = train(labelled, training, seed, (multiclass_kind(tuple(MIX)),)).model
    return {
        ENSEMBLE: model.score(model.combiner.log_probabilities(list(votes.values()))),
        "votes multiplied": model.score(highest.log_probabilities(list(votes.values()))),
        "neural stacker": score_with_network(done, votes, seed),
        "hip against the rest": one.votes(test.patches)[single.name],
        "one network, four classes": every.score(every.log_probabilities(test.patches)),
        "anomaly": model.background.nearest(measure_features(test.patches)),
    }


def find_interval(drawn: NDArray[np.float64], test: Test) -> tuple[float, float, float]:
    """Return the value with all tiles and its interval over samples of tiles, in per cent."""
    (low,), (high,) = expanded_interval(drawn[1:, None], int(test.times.shape[1]))
    return 100 * float(drawn[0]), 100 * float(low), 100 * float(high)


def compare(efficiencies: dict[str, NDArray[np.float64]], test: Test) -> pd.DataFrame:
    """Return mean over seeds, interval and gain of the ensemble for each method and rate.

    Parameters
    ----------
    efficiencies : (seeds, draws + 1, rates) of each method.
    """
    rows = []
    for name, all_drawn in efficiencies.items():
        for k, rate in enumerate(RATES):
            drawn, gained = all_drawn[:, :, k], (efficiencies[ENSEMBLE] - all_drawn)[:, :, k]
            value, low, high = find_interval(drawn.mean(0), test)
            gain, least, most = find_interval(gained.mean(0), test)
            row = {"method": name, "rate": rate, "efficiency": value, "low": low, "high": high}
            row |= {"of_seeds": (100 * drawn[:, 0]).tolist()}
            row |= {"gain": gain, "gain_low": least, "gain_high": most}
            row |= {"gain_of_seeds": (100 * gained[:, 0]).tolist()}
            rows.append(row)
    return pd.DataFrame(rows)


def describe(table: pd.DataFrame) -> str:
    """Return the table in words, with one line for each method and rate."""
    lines = []
    for row in table.itertuples():
        line = (
            f"{row.method:26s} at {100 * row.rate:g} %: {row.efficiency:5.1f} % "
            f"[{row.low:.1f}, {row.high:.1f}], "
            f"seeds {min(row.of_seeds):.1f} to {max(row.of_seeds):.1f}"
        )
        if row.method != ENSEMBLE:
            line += (
                f"; the ensemble gains {row.gain:+.1f} [{row.gain_low:+.1f}, {row.gain_high:+.1f}]"
                f", seeds {min(row.gain_of_seeds):+.1f} to {max(row.gain_of_seeds):+.1f}"
            )
        lines.append(line)
    return "\n".join(lines)


def compute_curves(
    results: dict[str, list[NDArray[np.float64]]], test: Test
) -> dict[str, pd.DataFrame]:
    """Return the mean curve over seeds of each method; that of the ensemble has a band."""
    out = {}
    for name, of_seeds in results.items():
        drawn = np.mean([test.efficiencies(score, CURVE) for score in of_seeds], axis=0)
        low, high = np.full((2, len(CURVE)), np.nan)
        if name == ENSEMBLE:
            low, high = expanded_interval(drawn[1:], int(test.times.shape[1]))
        columns = {"false_positive_rate": CURVE, "efficiency": drawn[0], "low": low, "high": high}
        out[name] = pd.DataFrame(columns)
    return out


def write(
    results: dict[str, list[NDArray[np.float64]]],
    test: Test,
    training: dict[str, int],
    folder: Path,
) -> pd.DataFrame:
    """Write the table and the figure of the seeds so far, and return the table."""
    efficiencies = {
        name: np.stack([test.efficiencies(score, np.array(RATES)) for score in of_seeds])
        for name, of_seeds in results.items()
    }
    table = compare(efficiencies, test)
    counts = {"signal": int(test.target.sum()), "background": int((~test.target).sum())}
    record = {"taught": training, "tested_on": counts, "tiles": test.times.shape[1]}
    record["methods"] = table.to_dict("records")
    (folder / "ensembles.json").write_text(json.dumps(record, indent=1) + "\n")
    with mpl.rc_context(RC):
        title = (
            f"{counts['signal']:,} hip against {counts['background']:,} others of another foil, "
            "band of the ensemble"
        )
        draw_roc(compute_curves(results, test), title=title).savefig(
            folder / "ensembles.png", dpi=100
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tiles", type=int, default=16)
    parser.add_argument("--test-tiles", type=int, default=64)
    parser.add_argument("--labels", type=int, default=sum(MIX.values()))
    parser.add_argument("--epochs", type=int, default=Training().epochs)
    parser.add_argument("--draws", type=int, default=1000, help="of tiles, for the intervals")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    set_threads(options.threads)
    training = replace(Training(), epochs=options.epochs)
    share = options.labels / sum(MIX.values())
    numbers = {c: round(n * share) for c, n in MIX.items()}
    all_labels = label_foil(make_mix_foil(2027, options.tiles))
    other = label_foil(make_mix_foil(9000, options.test_tiles))
    test = Test.of(other, options.draws)
    counts = pd.Series(other.label).value_counts().to_dict()
    print(f"trained on {numbers}, tested on {counts} of {test.times.shape[1]} tiles", flush=True)
    results: dict[str, list[NDArray[np.float64]]] = {}
    for seed in range(options.seeds):
        print(f"seed {seed}", flush=True)
        some = draw_labels(all_labels, numbers, seed)
        for name, score in score_methods(some, other, training, seed).items():
            results.setdefault(name, []).append(score)
        table = write(results, test, {**numbers, "epochs": options.epochs}, options.output)
        print(describe(table), flush=True)


if __name__ == "__main__":
    main()
