"""The learned finder from its weights: the shipped one, others, and how one is trained."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression

from etchscope.evaluate import match_one_to_one
from etchscope.foil import BadInput
from etchscope.foil.openings import FINDER_VERSION, SURFACES
from etchscope.foil.types import Bools, Floats, FloatStack, Ints
from etchscope.imaging import Lighting
from etchscope.learn.finder import WIDTHS, FinderNetwork
from etchscope.learn.finder_loss import Parts
from etchscope.learn.finder_targets import Openings
from etchscope.learn.finder_train import (
    FinderTraining,
    LightDraw,
    Sample,
    Samples,
    planes_of,
    train_finder,
)
from etchscope.learn.threads import set_threads
from etchscope.preselect.gauge import ERROR_OF, GAUGED, Gauge
from etchscope.preselect.judge import Trees
from etchscope.preselect.learned import (
    JUDGED,
    Finder,
    Peaks,
    look,
    read_openings,
    surroundings,
)
from etchscope.preselect.settings import FindSettings
from etchscope.run.school import Mixed, draw_school
from etchscope.store import read_model, write_model
from etchscope.store.arrays import read_arrays, write_arrays

__all__ = [
    "SHIPPED",
    "FinderPlan",
    "finder_of",
    "fitted_gauge",
    "grown_trees",
    "judged_finder",
    "trained_finder",
]

SHIPPED = Path(str(files("etchscope"))) / "weights" / "finder"
"""The folder of the weights that come with the package."""
_KIND = "finder"
_TOLERANCE = (2.0, 0.5)
"""A find is an opening nearer than so many pixels, or than that share of its radius."""
_LEAST_P = 0.4
"""Probability from which a cell counts as marked."""
_LOWEST_MARK = -5.0
_EVERY = 7
"""One in so many cells is looked at when the threshold of marks is chosen."""
_TREES = {"n_estimators": 100, "max_depth": 4, "learning_rate": 0.08, "subsample": 0.3}
_SMALLEST_LEAF = 100
_MOST_OF_A_FOIL = 400
"""Finds of one foil that a judge learns from."""
_MEASURED = 4
"""One in so many of the judged foils teaches the judges nothing: on these they are measured."""
_KEPT = 5
"""One in so many tiles with a user's labels is kept for the judges."""
_ROUNDS = 2000
"""Of the bootstrap that gives the figures' intervals."""
_JUDGED_PX = 512
"""Of the pictures on which finds are judged; the judges look at whole tiles."""
_COVERED = 0.6827
_ENOUGH = 20
"""Fewest true finds from which judges are grown."""
_GAUGE_TREES = {**_TREES, "n_estimators": 120, "learning_rate": 0.1, "max_features": 0.5}
_GAUGED_OF_A_FOIL = 80
"""Finds of one foil that the gauge learns from."""
_FARTHEST = {"log_radius": 0.8, "ellipticity": 0.5, "log_depth": 2.0}
"""Larger errors teach the gauge no more than these."""


@lru_cache(maxsize=4)
def finder_of(folder: Path = SHIPPED) -> Finder:
    """Return the finder of a folder of weights; the shipped one unless given.

    Raises
    ------
    BadInput : no such weights, damaged ones, a model of another kind, or a finder of another
        version of planes and maps.
    """
    arrays, card = read_model(folder)
    where = folder / "card.json"
    if card.get("kind") != _KIND:
        hint = "A model of experts is given by --model."
        raise BadInput(where, "the card of a finder", "a card of another kind", hint)
    if card.get("finder_version") != FINDER_VERSION:
        found = f"version {card.get('finder_version')!r}"
        hint = "Train it anew with `etchscope train --finder`."
        raise BadInput(where, f"a finder of version {FINDER_VERSION}", found, hint)
    try:
        widths = [int(w) for w in card["widths"]]
        least_mark = float(card["least_mark"])
        judges = {k: Trees.from_arrays(_under(arrays, f"{k}.")) for k in JUDGED}
        gauge = Gauge.from_arrays(_under(arrays, "gauge."))
    except (KeyError, TypeError, ValueError) as error:
        expected = "widths, judges, least_mark and gauge of a finder"
        raise BadInput(where, expected, str(error)) from error
    network = FinderNetwork.from_arrays(_under(arrays, "maps."), widths, where=str(folder))
    digest = f"{card['weights_sha256']}-{least_mark}"
    return Finder(network.plain(), judges, least_mark, gauge, digest)


def _under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names begin with a prefix, without it."""
    return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}


TUNING = FinderTraining(epochs=2, rate=5e-4)
"""How a finder goes on with a user's labels."""


@dataclass(frozen=True)
class FinderPlan:
    """How a finder is trained from nothing, or from another's weights.

    ``pictures``: random foils to learn from; ``judged``: others, on which thresholds and errors are
    set; ``training``; ``widths`` of a network that begins with nothing.
    """

    pictures: int = 12_000
    judged: int = 256
    training: FinderTraining = field(default_factory=FinderTraining)
    widths: tuple[int, ...] = WIDTHS


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much was just done, and how much there is."""


def _silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


def trained_finder(
    folder: Path,
    output: Path,
    plan: FinderPlan,
    *,
    start: Path | None = None,
    labelled: Sequence[Sequence[Sample]] = (),
    workers: int = 2,
    progress: Progress = _silent,
) -> dict[str, Any]:
    """Draw random foils, train a finder on them and write its weights; return its card.

    What was drawn and learnt before in ``folder`` under the same plan is gone on from.

    Parameters
    ----------
    folder : for pictures and states, made if absent.
    output : new or empty folder for the weights.
    start : weights to begin with instead of random ones.
    labelled : pictures with a user's labels, tile by tile. Half of what is learnt from are then
        these, the other half random foils, lest what was known be forgotten. Every fifth tile
        teaches the network nothing, but what its heat means on such pictures.

    Raises
    ------
    BadInput : ``output`` holds something, or ``start`` is no finder.
    MachineFailed : the disk is full.
    """
    seed = plan.training.seed
    foils = draw_school(
        folder,
        plan.pictures,
        seed,
        workers=workers,
        progress=lambda n: progress("Drawing random foils", n, plan.pictures),
    )
    judged = draw_school(
        folder,
        plan.judged,
        seed + 500,
        size_px=_JUDGED_PX,
        workers=workers,
        progress=lambda n: progress("Drawing foils to judge it on", n, plan.judged),
    )
    network = _begun(plan, start)
    own = [s for k, tile in enumerate(labelled) if k % _KEPT != _KEPT - 1 for s in tile]
    kept = [s for tile in labelled[_KEPT - 1 :: _KEPT] for s in tile]
    samples: Samples = Mixed(own, foils) if own else foils
    state = folder / f"state-{_identity(plan, start, own)}.safetensors"
    history = learnt_state(network, samples, plan.training, state, workers, progress)
    finder, figures = judged_finder(network.plain(), judged, kept, progress)
    covered = figures.pop("within one standard deviation")
    card = {
        "kind": _KIND,
        "finder_version": FINDER_VERSION,
        "widths": list(network.widths),
        "least_mark": finder.least_mark,
        "information": {
            "etchscope": version("etchscope"),
            "plan": {**asdict(plan), "widths": list(plan.widths)},
            "history": history,
            "figures": figures,
            "within one standard deviation": covered,
        },
    }
    arrays = {f"maps.{k}": v for k, v in network.to_arrays().items()}
    for name, judge in finder.judges.items():
        arrays |= {f"{name}.{k}": v for k, v in judge.to_arrays().items()}
    arrays |= {f"gauge.{k}": v for k, v in finder.gauge.to_arrays().items()}
    return write_model(output, arrays, card)


def _identity(plan: FinderPlan, start: Path | None, labelled: Sequence[Sample]) -> str:
    """Return the name of a training: what decides its weights."""
    sha = hashlib.sha256(repr((plan.pictures, plan.training, plan.widths)).encode())
    if start is not None:
        sha.update(finder_of(start).digest.encode())
    for sample in labelled:
        sha.update(np.ascontiguousarray(sample.raw).tobytes())
        for values in vars(sample.openings).values():
            sha.update(np.ascontiguousarray(values).tobytes())
    return sha.hexdigest()[:12]


def _begun(plan: FinderPlan, start: Path | None) -> FinderNetwork:
    if start is not None:
        arrays, card = read_model(start)
        weights = _under(arrays, "maps.")
        return FinderNetwork.from_arrays(weights, card["widths"], where=str(start))
    return FinderNetwork.seeded(plan.widths, plan.training.seed)


def learnt_state(
    network: Any,
    samples: Samples,
    training: FinderTraining,
    state: Path,
    workers: int = 0,
    progress: Progress = _silent,
) -> list[dict[str, float]]:
    """Train a network in place, its state kept in a file after every epoch; return its history."""
    total = len(samples) * training.epochs
    before = read_arrays(state) if state.exists() else None
    if before is not None:
        progress("Training", len(samples) * int(before["epoch"][0]), total)

    def told(done: int, parts: Parts) -> None:
        progress("Training", done, total)

    return train_finder(
        network,
        samples,
        training,
        workers=workers,
        state=before,
        keep=lambda now: write_arrays(state, now),
        progress=told,
    )


def with_lights(lighting: Lighting, which: str) -> Lighting:
    """Return the lamps alone (``lamps``), the backlight alone (``backlit``), or all."""
    none = np.empty(0, np.int64)
    if which == "lamps":
        return replace(lighting, dark=none, bright=none)
    if which == "backlit":
        return replace(lighting, directional=none, azimuths_deg=np.empty(0), bright=none)
    return lighting


@dataclass(frozen=True)
class _Seen:
    """Finds on pictures whose openings are known, and how many openings there are.

    ``foil``: of each find; ``features, log_odds``: of each; ``is_known``: of which the surface is
    told. ``weight``: of each find, that of its foil, so
    that those with many finds do not decide alone; ``openings``: (foil,) so weighted. ``mark,
    is_marked``: a sample of the cells. ``random``: how many of the pictures, the first, are random
    foils; the others have a user's labels.
    """

    foil: Ints
    features: Floats
    log_odds: Floats
    is_known: Bools
    is_true: Bools
    weight: Floats
    openings: Floats
    mark: Floats
    is_marked: Bools
    random: int

    @property
    def is_measured(self) -> Bools:
        """Return which pictures teach the judges nothing, (foil,)."""
        place = np.arange(len(self.openings))
        return np.asarray((place % _MEASURED == 0) & (place < self.random))


def _look(
    finder: Finder,
    foils: Samples,
    labelled: Sequence[Sample],
    which: str,
    progress: Callable[[int], None],
) -> _Seen:
    """Return what a finder finds under some lights; nothing on pictures without these.

    Pictures with labels weigh as much as the random foils together.
    """
    random = len(foils)
    parts, cells, openings = [], [], []
    for place in range(random + len(labelled)):
        sample = foils[place] if place < random else labelled[place - random]
        lighting = with_lights(sample.lighting, which)
        if not len(lighting.dark if which == "backlit" else lighting.directional):
            openings.append(0.0)
            progress(1)
            continue
        drawn = LightDraw(lighting, False, 1.0, 0.0)
        maps = finder.maps(planes_of(sample, drawn, 0).stacked)
        said = read_openings(maps, finder, has_lamps=which != "backlit")
        true, size = sample.openings, sample.raw.shape[1]
        counts, i, _ = _matched(said, true, size)
        is_true = np.isin(np.arange(len(counts)), i)
        told = _told(sample, true.x_px, true.y_px)
        counts &= is_true | _told(sample, said["x"], said["y"])
        n = len(counts)
        share = 1.0 if place < random else random / len(labelled)
        weight = share / np.sqrt(counts.sum() + 8)
        columns = (
            np.full(n, place),
            said["features"],
            said["log_odds"],
            said["surface"] != "unknown",
            is_true,
            np.full(n, weight),
        )
        parts.append([column[counts] for column in columns])
        openings.append((true.is_target & _inside(true, size) & told).sum() * weight)
        if sample.marked is not None:
            heat = np.column_stack([maps[-1].ravel(), sample.marked[::2, ::2].ravel()])
            cells.append(heat[place % _EVERY :: _EVERY].astype(np.float64))
        progress(1)
    marks = np.concatenate([*cells, np.empty((0, 2))])
    foil, features, log_odds, is_known, is_true, weights = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    return _Seen(
        foil,
        features,
        log_odds,
        is_known,
        is_true,
        weights,
        np.array(openings),
        marks[:, 0],
        marks[:, 1] > 0,
        random,
    )


def _told(sample: Sample, x: Floats, y: Floats) -> Bools:
    """Return which places lie where everything is said that is there."""
    if sample.known is None:
        return np.ones(len(x), bool)
    height, width = sample.known.shape
    row, column = (v.round().astype(np.int64).clip(0, n - 1) for v, n in ((y, height), (x, width)))
    return np.asarray(sample.known[row, column])


def _may_be(true: Openings, surface: str) -> Bools:
    """Return which openings may lie on a surface; on ``unknown``, that of either, all."""
    of_it, unknown = SURFACES.index(surface), len(SURFACES) - 1
    if of_it == unknown:
        return np.ones(len(true.surface), bool)
    return np.isin(true.surface, (of_it, unknown))


def _inside(true: Openings, size: int) -> Bools:
    x, y = true.x_px, true.y_px
    return np.asarray((x >= 0) & (x <= size - 1) & (y >= 0) & (y <= size - 1))


def _matched(said: Peaks, true: Openings, size: int) -> tuple[Bools, Ints, Ints]:
    """Return which finds of one picture count, which of them are true, and the opening of each."""
    n = len(said["x"])
    counts, finds, those = np.ones(n, bool), [], []
    target = true.is_target & _inside(true, size)
    places, at = np.column_stack([true.x_px, true.y_px]), np.column_stack([said["x"], said["y"]])
    for name in SURFACES:
        mine = np.flatnonzero(said["surface"] == name)
        of_it = _may_be(true, name)
        wanted, other = np.flatnonzero(target & of_it), np.flatnonzero(~target & of_it)
        hit = match_one_to_one(places[wanted], at[mine], 6.0)
        i, j = mine[hit.found_index], wanted[hit.truth_index]
        apart = np.hypot(*(at[i] - places[j]).T)
        near = apart < np.maximum(_TOLERANCE[0], _TOLERANCE[1] * true.radius_px[j])
        finds.append(i[near])
        those.append(j[near])
        rest = np.setdiff1d(mine, i[near])
        spare = match_one_to_one(places[other], at[rest], 4.0)
        counts[rest[spare.found_index]] = False
    return counts, np.concatenate(finds), np.concatenate(those)


@dataclass(frozen=True)
class _Measured:
    """True finds and by how much the network errs of each.

    ``foil``: (n,); ``around``: (n, feature) of ``GAUGE_FEATURES``; ``error``: (n,) of each of
    ``ERROR_OF``, true less said, ``log_sigma`` what the network says of its size.
    """

    foil: Ints
    around: Floats
    error: Mapping[str, Floats]
    log_sigma: Mapping[str, Floats]


def _measure(
    finder: Finder, foils: Samples, which: str, progress: Callable[[int], None]
) -> _Measured:
    """Return the true finds of random foils under some lights, at most so many of each foil."""
    parts = []
    for place in range(len(foils)):
        sample = foils[place]
        drawn = LightDraw(with_lights(sample.lighting, which), False, 1.0, 0.0)
        seen = planes_of(sample, drawn, 0)
        said, _ = look(seen, finder)
        true = sample.openings
        _, i, j = _matched(said, true, sample.raw.shape[1])
        chosen = np.random.default_rng(place).permutation(len(i))[:_GAUGED_OF_A_FOIL]
        i, j = i[chosen], j[chosen]
        theta = 2 * np.deg2rad(true.angle_deg[j]) - np.arctan2(said["e_sin"][i], said["e_cos"][i])
        long = np.hypot(said["e_cos"][i], said["e_sin"][i])
        errors = (
            true.x_px[j] - said["x"][i],
            np.log(true.radius_px[j]) - said["log_radius"][i],
            true.ellipticity[j] * np.cos(theta) - long,
            np.log(np.maximum(true.depth_px[j], 0.05)) - said["log_depth"][i],
        )
        sigma = (said[name][i].clip(-5, 3) for name in ERROR_OF.values())
        parts.append((np.full(len(i), place), surroundings(seen, said)[i], *errors, *sigma))
        progress(1)
    foil, around, *rest = (np.concatenate(column) for column in zip(*parts, strict=True))
    count = len(ERROR_OF)
    return _Measured(
        foil,
        around,
        dict(zip(ERROR_OF, rest[:count], strict=True)),
        dict(zip(ERROR_OF, rest[count:], strict=True)),
    )


def fitted_gauge(
    finder: Finder, foils: Samples, progress: Callable[[int], None] = lambda _: None
) -> tuple[Gauge, dict[str, float]]:
    """Return the gauge of a finder, and how often an error is less than the one that it states.

    Half of the foils teach what to correct, a quarter how large the rest of the error is (the
    quantile that holds 68 %), and on a quarter that is measured.

    Parameters
    ----------
    finder : with a gauge that corrects nothing.
    foils : random ones that the network has not seen.
    """
    looks = [_measure(finder, foils, which, progress) for which in ("all", "lamps", "backlit")]
    foil, around = (np.concatenate([getattr(m, k) for m in looks]) for k in ("foil", "around"))
    weight = 1 / np.sqrt(np.bincount(foil, minlength=len(foils))[foil] + 8)
    taught, sized = np.isin(foil % _MEASURED, (1, 2)), foil % _MEASURED == 3
    if min(taught.sum(), sized.sum()) < 4 * _ENOUGH:  # a finder that learnt nothing
        return Gauge.plain(), {}
    leaf = {"min_samples_leaf": min(_SMALLEST_LEAF, int(sized.sum()) // 8), "random_state": 0}
    correction, log_error, covered = {}, {}, {}
    for name in ERROR_OF:
        error, log_sigma = (
            np.concatenate([getattr(m, kind)[name] for m in looks])
            for kind in ("error", "log_sigma")
        )
        known = np.isfinite(error)
        if name in GAUGED:
            far, rows = _FARTHEST[name], taught & known
            grown = GradientBoostingRegressor(init="zero", **_GAUGE_TREES, **leaf)
            grown.fit(around[rows], error[rows].clip(-far, far), weight[rows])
            correction[name] = grown_trees(grown)
            error = error - correction[name](around)
        size = np.log(np.maximum(np.abs(error), 1e-4)) - log_sigma
        rows = sized & known
        grown = GradientBoostingRegressor(
            init="zero", loss="quantile", alpha=_COVERED, **_GAUGE_TREES, **leaf
        )
        grown.fit(around[rows], size[rows], weight[rows])
        log_error[name] = grown_trees(grown)
        rows = known & (foil % _MEASURED == 0)
        inside = size[rows] < log_error[name](around[rows])
        covered[name] = round(float(np.average(inside, weights=weight[rows])), 4)
    return Gauge(correction, log_error), covered


def _fitted(seen: _Seen, which: Bools) -> Trees:
    """Return the judge of some finds, from those pictures on which nothing is measured."""
    which = which & ~seen.is_measured[seen.foil]
    is_true = seen.is_true[which]
    if len(is_true) < _ENOUGH or is_true.all() or not is_true.any():
        return Trees.constant(np.log((is_true.sum() + 0.5) / ((~is_true).sum() + 0.5)))
    rows = pd.DataFrame({"foil": seen.foil[which], "row": np.flatnonzero(which)})
    some = rows.sample(frac=1, random_state=0).groupby("foil").head(_MOST_OF_A_FOIL)
    share = rows.groupby("foil").size() / some.groupby("foil").size()
    row = some["row"].to_numpy()
    weight = seen.weight[row] * share.loc[some["foil"]].to_numpy()
    leaf = min(_SMALLEST_LEAF, len(row) // 4)
    grown = GradientBoostingClassifier(
        init="zero", min_samples_leaf=leaf, random_state=0, **_TREES
    ).fit(seen.features[row], seen.is_true[row], weight)
    return grown_trees(grown)


def grown_trees(grown: GradientBoostingClassifier | GradientBoostingRegressor) -> Trees:
    """Return boosted trees, begun at zero, as tables."""
    trees = [one.tree_ for one in grown.estimators_[:, 0]]
    nodes = max(t.node_count for t in trees)

    def table(name: str, empty: float, dtype: type) -> NDArray[Any]:
        out = np.full((len(trees), nodes), empty, dtype)
        for row, tree in zip(out, trees, strict=True):
            row[: tree.node_count] = getattr(tree, name).reshape(tree.node_count)
        return out

    return Trees(
        feature=table("feature", -1, np.int32),
        threshold=table("threshold", 0, np.float64),
        left=table("children_left", -1, np.int32),
        right=table("children_right", -1, np.int32),
        value=table("value", 0, np.float32) * np.float32(grown.learning_rate),
    )


def _likely_mark(seen: _Seen) -> float:
    """Return the heat at which a cell is marked with a probability of ``_LEAST_P``.

    A logistic regression; 0 where there is nothing to tell it from.
    """
    which = seen.mark > _LOWEST_MARK
    heat, is_marked = seen.mark[which], seen.is_marked[which]
    if len(heat) < _ENOUGH or is_marked.all() or not is_marked.any():
        return 0.0
    fit = LogisticRegression(C=1e6).fit(heat[:, None], is_marked)
    slope, offset = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    if slope <= 0:
        return 0.0
    return float(np.clip((logit(_LEAST_P) - offset) / slope, heat.min(), heat.max()))


def _figures(seen: _Seen, which: Bools) -> dict[str, list[float]]:
    """Return recall and precision of some finds on the foils that taught the judges nothing.

    Each as value, low, high: 95 % over foils, by drawing these again with replacement.
    """
    foils, measured = len(seen.openings), seen.is_measured
    good, found = (
        np.bincount(seen.foil[w], seen.weight[w], foils)[measured]
        for w in (which & seen.is_true, which)
    )
    openings = seen.openings[measured]
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(openings), (_ROUNDS, len(openings)))
    out = {}
    for name, of in (("recall", openings), ("precision", found)):
        again = good[drawn].sum(1) / of[drawn].sum(1).clip(1e-9)
        low, high = np.quantile(again, [0.025, 0.975])
        out[name] = [float(good.sum() / max(of.sum(), 1e-9)), float(low), float(high)]
    return out


def judged_finder(
    network: Callable[[FloatStack], FloatStack],
    foils: Samples,
    labelled: Sequence[Sample] = (),
    progress: Progress = _silent,
) -> tuple[Finder, dict[str, Any]]:
    """Return a finder with judges and errors set on pictures it has not seen, and its figures.

    Parameters
    ----------
    foils : random ones; errors are set and figures measured on these alone.
    labelled : pictures with a user's labels; what they say counts for the judges as much as what
        the foils say.
    """
    before = set_threads(2)
    try:
        return _judged(network, foils, labelled, progress)
    finally:
        set_threads(before)


def _judged(
    network: Callable[[FloatStack], FloatStack],
    foils: Samples,
    labelled: Sequence[Sample],
    progress: Progress,
) -> tuple[Finder, dict[str, Any]]:
    total = 6 * len(foils) + 3 * len(labelled)

    def told(count: int) -> None:
        progress("Judging", count, total)

    def finds_of(judges: Mapping[str, Trees], which: str) -> _Seen:
        finder = Finder(network, judges, np.inf, Gauge.plain(), "")
        return _look(finder, foils, labelled, which, told)

    every = dict.fromkeys(JUDGED, Trees.constant(np.inf))
    peaks, dark = finds_of(every, "all"), finds_of(every, "backlit")
    lamps = _fitted(peaks, peaks.is_known)
    seen = finds_of({**every, "lamps": lamps}, "all")
    beside, alone = _fitted(seen, ~seen.is_known), _fitted(dark, ~dark.is_known)
    least = FindSettings().least_log_odds
    is_likely = seen.is_known | (beside(seen.features) >= least)
    figures: dict[str, Any] = {
        "all lights": _figures(seen, is_likely),
        "known surface": _figures(seen, seen.is_known),
        "backlit": _figures(dark, alone(dark.features) >= least),
    }
    judges = {"lamps": lamps, "beside": beside, "alone": alone}
    finder = Finder(network, judges, round(_likely_mark(peaks), 3), Gauge.plain(), "")
    gauge, figures["within one standard deviation"] = fitted_gauge(finder, foils, told)
    return replace(finder, gauge=gauge), figures
