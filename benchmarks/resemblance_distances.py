"""How far simulated cells are from real ones, in units of the real ones' spread."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from etchscope.foil import BadInput
from etchscope.foil.types import Floats
from resemblance_cells import CURVES, MEASURES, SCALARS, CellMeasures

__all__ = ["compare", "discriminate", "distances", "resampled_distances", "split_distances"]

_SPREAD_FLOOR = 0.01


def _curve(of: CellMeasures, name: str) -> Floats:
    values: Floats = getattr(of, name)
    return values


def _mean_curve(of: CellMeasures, name: str) -> Floats:
    """Return the mean over the cells that have the curve, NaN if none has."""
    return pd.DataFrame(_curve(of, name)).mean().to_numpy(float)


def _spread(of: CellMeasures) -> dict[str, Floats]:
    """Return the cell-to-cell standard deviation of each measure, the unit of the distances."""
    out = {name: np.array([of.table[name].std(ddof=1)]) for name in SCALARS}
    for name in CURVES:
        out[name] = pd.DataFrame(_curve(of, name)).std(ddof=1).to_numpy()
    # A measure that never varies would make every other value infinitely far.
    return {name: np.fmax(values, _SPREAD_FLOOR) for name, values in out.items()}


def distances(
    real: CellMeasures, other: CellMeasures, unit: CellMeasures | None = None
) -> dict[str, float]:
    """Return how far one set of cells is from another, per measure.

    One number a cell: the first Wasserstein distance of the two distributions over the standard
    deviation of the real cells. One curve a cell: the rms over its points of the difference of the
    mean curves over the standard deviation of the real cells at that point. So 1 is as far as one
    real cell is from another; NaN values are left out, and a set without any is NaN away.

    Parameters
    ----------
    unit : the cells whose spread is the unit; ``real`` unless given.
    """
    spread = _spread(unit or real)
    out = {}
    for name in SCALARS:
        a, b = (m.table[name].dropna().to_numpy(float) for m in (real, other))
        known = len(a) > 0 and len(b) > 0
        apart = float(wasserstein_distance(a, b)) if known else np.nan
        out[name] = apart / float(spread[name][0])
    for name in CURVES:
        difference = (_mean_curve(real, name) - _mean_curve(other, name)) / spread[name]
        out[name] = float(np.sqrt(np.mean(difference**2)))
    return out


def resampled_distances(
    real: CellMeasures, other: CellMeasures, rng: np.random.Generator, rounds: int
) -> pd.DataFrame:
    """Return the distances of cells drawn again with replacement; one row a round (bootstrap)."""
    rows = []
    for _ in range(rounds):
        a = real.take(rng.integers(0, len(real), len(real)))
        b = other.take(rng.integers(0, len(other), len(other)))
        rows.append(distances(a, b, real))
    return pd.DataFrame(rows, columns=list(MEASURES))


def split_distances(real: CellMeasures, rng: np.random.Generator, rounds: int) -> pd.DataFrame:
    """Return the distances between random halves of a set; one row a round (the floor)."""
    rows = []
    for _ in range(rounds):
        order = rng.permutation(len(real))
        half = len(real) // 2
        rows.append(distances(real.take(order[:half]), real.take(order[half:]), real))
    return pd.DataFrame(rows, columns=list(MEASURES))


def compare(
    real: CellMeasures,
    simulated: CellMeasures,
    untuned: CellMeasures | None = None,
    *,
    rng: np.random.Generator,
    rounds: int = 200,
) -> pd.DataFrame:
    """Return the table of distances with one row for each measure.

    ``distance`` has the 5 % and 95 % quantiles of the bootstrap, ``low`` and ``high``; resampling
    adds noise, so the interval tends to lie above the distance. ``floor`` is the median distance of
    two random halves of the real cells, with its quantiles; smaller distances cannot be measured.
    ``ceiling`` is the distance of the untuned pictures, NaN without them.

    Parameters
    ----------
    real : cells not used to tune the simulation.
    untuned : cells of a simulation that knows nothing of the real ones.
    rounds : of the bootstrap and of the halving.

    Raises
    ------
    BadInput : fewer than four real or simulated cells.
    """
    if min(len(real), len(simulated)) < 4:
        found = f"{len(real)} and {len(simulated)}"
        raise BadInput("cells", "4 or more real and simulated ones", found)
    quantiles = (0.05, 0.95)
    given: dict[str, Mapping[str, float]] = {}
    drawn = resampled_distances(real, simulated, rng, rounds)
    given["distance"] = distances(real, simulated)
    given["low"], given["high"] = (dict(drawn.quantile(q)) for q in quantiles)
    halves = split_distances(real, rng, rounds)
    given["floor"] = dict(halves.median())
    given["floor_low"], given["floor_high"] = (dict(halves.quantile(q)) for q in quantiles)
    if untuned is not None:
        drawn = resampled_distances(real, untuned, rng, rounds)
        given["ceiling"] = distances(real, untuned)
        given["ceiling_low"], given["ceiling_high"] = (dict(drawn.quantile(q)) for q in quantiles)
    names = ("distance", "low", "high", "floor", "floor_low", "floor_high")
    columns = [*names, "ceiling", "ceiling_low", "ceiling_high"]
    return pd.DataFrame(given, index=list(MEASURES)).reindex(columns=columns).rename_axis("measure")


def discriminate(
    real: CellMeasures, other: CellMeasures, rng: np.random.Generator, *, folds: int = 5
) -> float:
    """Return the AUC of a linear discriminant of all measures for single real and other cells.

    The AUC is 0.5 for a guess and 1 for certainty, by cross-validation over ``folds``. Measures are
    scaled to their spread over real cells, and the common covariance is shrunk by a third towards
    its diagonal, since there are hardly more cells than measures. The AUC is NaN if there are too
    few cells to leave some out.
    """
    rows = pd.DataFrame(np.concatenate([_features(real), _features(other)]))
    y = np.r_[np.zeros(len(real), bool), np.ones(len(other), bool)]
    # A measure that no cell has carries no information.
    filled = rows.fillna(rows.median()).fillna(0.0).to_numpy(float)
    spread = pd.DataFrame(_features(real)).std().to_numpy(float)
    x = filled / np.fmax(spread, _SPREAD_FLOOR)
    fold = np.empty(len(y), np.int64)
    for side in (False, True):
        own = np.flatnonzero(y == side)
        fold[rng.permutation(own)] = np.arange(len(own)) % folds
    wins = pairs = 0.0
    for k in range(folds):
        train = fold != k
        means = [x[train & (y == side)].mean(axis=0) for side in (False, True)]
        centred = x[train] - np.where(y[train, None], means[1], means[0])
        covariance = centred.T @ centred / max(train.sum() - 2, 1)
        shrunk = covariance * 2 / 3 + np.diag(np.diag(covariance)) / 3
        shrunk += 1e-3 * np.eye(len(shrunk))
        score = x[~train] @ np.linalg.solve(shrunk, means[1] - means[0])
        a, b = score[~y[~train]], score[y[~train]]
        wins += float((b[:, None] > a).sum() + (b[:, None] == a).sum() / 2)
        pairs += a.size * b.size
    return wins / pairs if pairs else float("nan")


def _features(of: CellMeasures) -> Floats:
    curves = [_curve(of, name) for name in CURVES]
    return np.concatenate([of.table[list(SCALARS)].to_numpy(float), *curves], axis=1)
