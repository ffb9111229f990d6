"""The learned finder from its weights: the shipped one, others, and how one is trained."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from etchscope.evaluate import match_one_to_one
from etchscope.foil import BadInput
from etchscope.foil.openings import FINDER_VERSION
from etchscope.foil.types import Bools, Floats, FloatStack, Ints
from etchscope.imaging import Lighting
from etchscope.learn.finder import FinderNetwork
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
from etchscope.preselect.learned import Finder, Least, read_openings
from etchscope.run.school import Mixed, draw_school
from etchscope.store import read_model, write_model
from etchscope.store.arrays import read_arrays, write_arrays

__all__ = ["SHIPPED", "FinderPlan", "finder_of", "trained_finder"]

SHIPPED = Path(str(files("etchscope"))) / "weights" / "finder"
"""The folder of the weights that come with the package."""
_KIND = "finder"
_TOLERANCE = (2.0, 0.5)
"""A find is an opening nearer than so many pixels, or than that share of its radius."""
_LEAST_P = 0.4
"""Probability from which a find counts: recall and precision together are best at half of what
they then are (Lipton, Elkan & Naryanaswamy 2014, ECML, theorem 1), here 0.8."""
_LOWEST_MARK = -5.0
_EVERY = 7
"""One in so many cells is looked at when the threshold of marks is chosen."""
_LOWEST = -2.0
"""Log odds below which no find is looked at when thresholds are chosen."""
_COVERED = 0.6827
_ENOUGH = 20
"""Fewest true finds from which errors are set."""
_ERRORS = ("place", "radius", "ellipse", "depth")


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
        least = Least(**{k: float(v) for k, v in card["least"].items()})
        sigma = {k: float(card["sigma"][k]) for k in _ERRORS}
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(where, "widths, least and sigma of a finder", str(error)) from error
    network = FinderNetwork.from_arrays(arrays, widths, where=str(folder))
    digest = f"{card['weights_sha256']}-{sorted(asdict(least).items())}-{sorted(sigma.items())}"
    return Finder(network.plain(), least, sigma, digest)


TUNING = FinderTraining(epochs=2, rate=5e-4)
"""How a finder goes on with a user's labels."""


@dataclass(frozen=True)
class FinderPlan:
    """How a finder is trained from nothing, or from another's weights.

    ``pictures``: random foils to learn from; ``judged``: others, on which thresholds and errors are
    set; ``training``; ``widths`` of the network.
    """

    pictures: int = 5824
    judged: int = 512
    training: FinderTraining = field(default_factory=FinderTraining)
    widths: tuple[int, ...] = (5, 10, 14, 14)


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
    labelled: Sequence[Sample] = (),
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
    labelled : pictures with a user's labels; half of what is learnt from are then these, the other
        half random foils, lest what was known be forgotten.

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
        workers=workers,
        progress=lambda n: progress("Drawing foils to judge it on", n, plan.judged),
    )
    network = _begun(plan, start)
    samples: Samples = Mixed(labelled, foils) if len(labelled) else foils
    state = folder / f"state-{_identity(plan, start, labelled)}.safetensors"
    history = learnt_state(network, samples, plan.training, state, progress)
    finder, figures = judged_finder(network.plain(), judged, progress)
    card = {
        "kind": _KIND,
        "finder_version": FINDER_VERSION,
        "widths": list(plan.widths),
        "least": asdict(finder.least),
        "sigma": dict(finder.sigma),
        "information": {
            "etchscope": version("etchscope"),
            "plan": {**asdict(plan), "widths": list(plan.widths)},
            "history": history,
            "figures": figures,
        },
    }
    return write_model(output, network.to_arrays(), card)


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
        return FinderNetwork.from_arrays(arrays, card["widths"], where=str(start))
    return FinderNetwork.seeded(plan.widths, plan.training.seed)


def learnt_state(
    network: Any,
    samples: Samples,
    training: FinderTraining,
    state: Path,
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
class _Judged:
    """Finds on foils whose openings are known, and how many openings there are.

    ``group``: 0 of a known surface, 1 of either. ``pulls``: (n, 5) errors over σ where true.
    ``weight``: of each find, that of its picture, so that crowds do not decide alone;
    ``openings``: so weighted. ``mark``, ``is_marked``: a sample of the cells.
    """

    heat: Floats
    group: Ints
    is_true: Bools
    pulls: Floats
    weight: Floats
    openings: float
    mark: Floats
    is_marked: Bools


def _judge(
    finder: Finder, samples: Samples, which: str, progress: Callable[[int], None]
) -> _Judged:
    """Return what a finder finds on samples under some lights."""
    parts, cells, openings = [], [], 0.0
    for place in range(len(samples)):
        sample = samples[place]
        drawn = LightDraw(with_lights(sample.lighting, which), False, 1.0, 0.0)
        maps = finder.maps(planes_of(sample, drawn, 0).stacked)
        said, surface = read_openings(maps, finder, has_lamps=which != "backlit")
        true = sample.openings
        here = int((true.is_target & _inside(true, sample.raw.shape[1])).sum())
        weight = 1 / np.sqrt(here + 8)
        matched = _matched(said, surface, true, sample.raw.shape[1])
        parts.append((*matched, np.full(len(matched[0]), weight)))
        openings += here * weight
        if sample.marked is not None:
            told = np.column_stack([maps[-1].ravel(), sample.marked[::2, ::2].ravel()])
            cells.append(told[place % _EVERY :: _EVERY].astype(np.float64))
        progress(1)
    heat, group, is_true, pulls, weights = (np.concatenate([p[k] for p in parts]) for k in range(5))
    marks = np.concatenate([*cells, np.empty((0, 2))])
    return _Judged(heat, group, is_true > 0, pulls, weights, openings, marks[:, 0], marks[:, 1] > 0)


def _inside(true: Openings, size: int) -> Bools:
    x, y = true.x_px, true.y_px
    return np.asarray((x >= 0) & (x <= size - 1) & (y >= 0) & (y <= size - 1))


def _matched(
    said: dict[str, Floats], surface: Any, true: Openings, size: int
) -> tuple[Floats, Ints, Floats, Floats]:
    """Return heat, group, truth and pulls of the finds of one picture that count."""
    n = len(said["x"])
    is_true, counts = np.zeros(n), np.ones(n, bool)
    pulls = np.full((n, 5), np.nan)
    target = true.is_target & _inside(true, size)
    places = np.column_stack([true.x_px, true.y_px])
    for name in ("top", "bottom", "unknown"):
        mine = np.flatnonzero(surface == name)
        of_it = np.ones(len(target), bool) if name == "unknown" else true.is_top == (name == "top")
        wanted, other = np.flatnonzero(target & of_it), np.flatnonzero(~target & of_it)
        at = np.column_stack([said["x"], said["y"]])[mine]
        hit = match_one_to_one(places[wanted], at, 6.0)
        i, j = mine[hit.found_index], wanted[hit.truth_index]
        apart = np.hypot(said["x"][i] - true.x_px[j], said["y"][i] - true.y_px[j])
        near = apart < np.maximum(_TOLERANCE[0], _TOLERANCE[1] * true.radius_px[j])
        i, j = i[near], j[near]
        is_true[i] = 1
        pulls[i] = _pulls(said, true, i, j)
        rest = np.setdiff1d(mine, i)
        spare = match_one_to_one(places[other], np.column_stack([said["x"], said["y"]])[rest], 4.0)
        counts[rest[spare.found_index]] = False
    group = np.where(surface == "unknown", 1, 0)
    return said["heat"][counts], group[counts], is_true[counts], pulls[counts]


def _pulls(said: dict[str, Floats], true: Openings, i: Ints, j: Ints) -> Floats:
    """Return (n, 5) errors of x, y, log radius, ellipse and log depth over the network's σ."""
    theta = 2 * np.deg2rad(true.angle_deg[j])
    errors = {
        "place": (said["x"][i] - true.x_px[j], said["y"][i] - true.y_px[j]),
        "radius": (said["log_radius"][i] - np.log(true.radius_px[j]),),
        "ellipse": (said["e_cos"][i] - true.ellipticity[j] * np.cos(theta),),
        "depth": (said["log_depth"][i] - np.log(np.maximum(true.depth_px[j], 0.05)),),
    }
    columns = [
        error / np.exp(said[f"s_{name}"][i].clip(-5, 3))
        for name, several in errors.items()
        for error in several
    ]
    return np.column_stack(columns)


def _likely(heat: Floats, is_true: Bools, weight: Floats, which: Bools) -> float:
    """Return the heat at which one of some finds is true with a probability of ``_LEAST_P``.

    A logistic regression; 0 where there is nothing to tell it from.
    """
    heat, is_true = heat[which], is_true[which]
    if len(heat) < _ENOUGH or is_true.all() or not is_true.any():
        return 0.0
    fit = LogisticRegression(C=1e6).fit(heat[:, None], is_true, weight[which])
    slope, offset = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    if slope <= 0:
        return 0.0
    return float(np.clip((logit(_LEAST_P) - offset) / slope, heat.min(), heat.max()))


def _figures(judged: _Judged, which: Bools) -> dict[str, float]:
    good, found = (
        float(w.sum()) for w in (judged.weight[which & judged.is_true], judged.weight[which])
    )
    return {"recall": good / max(judged.openings, 1e-9), "precision": good / max(found, 1e-9)}


def judged_finder(
    network: Callable[[FloatStack], FloatStack],
    samples: Samples,
    progress: Progress = _silent,
) -> tuple[Finder, dict[str, Any]]:
    """Return a finder with thresholds and errors set on foils it has not seen, and its figures."""
    before = set_threads(2)
    low = Finder(network, Least(_LOWEST, _LOWEST, _LOWEST, np.inf), dict.fromkeys(_ERRORS, 1.0), "")

    def tell(done: int) -> None:
        progress("Judging", done, 2 * len(samples))

    try:
        lit = _judge(low, samples, "all", tell)
        dark = _judge(low, samples, "backlit", tell)
    finally:
        set_threads(before)
    known = lit.group == 0
    lamps = _likely(lit.heat, lit.is_true, lit.weight, known)
    beside = max(_likely(lit.heat, lit.is_true, lit.weight, ~known), lamps)
    alone = _likely(dark.heat, dark.is_true, dark.weight, np.ones(len(dark.heat), bool))
    over = known & (lit.heat >= lamps)
    pulls = np.abs(lit.pulls[over & lit.is_true])
    if len(pulls) < _ENOUGH:  # a finder that learnt nothing
        pulls = np.ones((1, 5))
    widths = np.quantile(pulls, _COVERED, axis=0)
    sigma = dict(zip(_ERRORS, [float(widths[:2].mean()), *widths[2:].tolist()], strict=True))
    figures = {
        "all lights": _figures(lit, over | (~known & (lit.heat >= beside))),
        "known surface": _figures(lit, over),
        "backlit": _figures(dark, dark.heat >= alone),
    }
    mark = _likely(lit.mark, lit.is_marked, np.ones(len(lit.mark)), lit.mark > _LOWEST_MARK)
    least = Least(round(lamps, 3), round(beside, 3), round(alone, 3), round(mark, 3))
    return Finder(network, least, sigma, ""), figures
