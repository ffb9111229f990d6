"""The experts for any lights that come with the package, and how such are trained."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from etchscope.candidates import candidate_table
from etchscope.ensemble import (
    Calibration,
    Labelled,
    Model,
    WorkingPoint,
    abundance_of,
    fit_calibration,
    measured_working_point,
    measures_of,
    train_model,
)
from etchscope.evaluation import Ground, Requirement
from etchscope.evaluation import Search as Ranked
from etchscope.foil import BadInput, Device
from etchscope.foil.types import Floats
from etchscope.learn import (
    SCALES,
    Lights,
    Patches,
    Training,
    cut_planes,
    joined,
    plane_scale,
    set_threads,
)
from etchscope.learn.finder_samples import LightDraw, Sample, draw_lights, planes_of
from etchscope.learn.finder_targets import Openings
from etchscope.preselect.finder import Finder
from etchscope.run.finder import SHIPPED as SHIPPED_FINDER
from etchscope.run.finder import finder_of
from etchscope.run.judged import judged_finds
from etchscope.run.lessons import (
    LIGHTING,
    Finds,
    Lesson,
    Lessons,
    Search,
    classes_of,
    density_of,
    draw_lessons,
    search_with,
)
from etchscope.run.patches import PLANES_RECIPE
from etchscope.simulation.populations import REFERENCE_TILE_MM2
from etchscope.store import write_model

__all__ = ["SHIPPED", "ExpertsPlan", "decided_on", "labelled_finds", "trained_experts"]

log = logging.getLogger(__name__)

SHIPPED = Path(str(files("etchscope"))) / "weights" / "experts"
"""The folder of the experts that come with the package."""
CLASSES = ("hip", "top", "bottom", "misc")
_SIZE = 28
_JITTER = 0.08
"""Spread of the logarithm of a lesson's scale: a scan's usual pit is known no better."""
_SPREAD = 2
"""Times the finds of a class that a picture must give are taken at most, for variety."""
_CONFIDENCE = 0.95
_SPREADS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
"""Tried in this order until so many random foils hold as much signal as their interval says."""
_JUDGED = 9000
"""Added to the seed of the foils on which the working point is chosen."""

_TRAINING = Training(lights="any", batch=64, epochs=16, patience=8, learnt=0.55, restarts=1)
"""On foils of every kind no expert is as sure as on one kind, and is no failure for that."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much was just done, and how much there is."""


def _silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class ExpertsPlan:
    """How experts are trained on random foils.

    ``pictures``: foils to learn from; ``judged``: others, on which the calibration is fitted and
    the working point chosen, at ``false_per_tile`` where there are no more than ``judged_densest``
    openings a tile; ``most``: finds a class; ``folds``; ``prior``: what probabilities assume.
    """

    pictures: int = 2560
    judged: int = 768
    most: int = 7000
    folds: int = 3
    training: Training = _TRAINING
    false_per_tile: float = 1.0
    judged_densest: float = 1000.0
    prior: Mapping[str, float] = field(
        default_factory=lambda: {"hip": 0.05, "top": 0.4, "bottom": 0.4, "misc": 0.15}
    )


def trained_experts(
    folder: Path,
    output: Path,
    plan: ExpertsPlan,
    *,
    finder_weights: Path = SHIPPED_FINDER,
    seed: int = 0,
    workers: int = 2,
    device: Device = "auto",
    progress: Progress = _silent,
) -> dict[str, Any]:
    """Draw random foils, search them, train experts on the finds and write these; return the card.

    Foils that were drawn before into ``folder`` under the same seed are taken from there.

    Parameters
    ----------
    folder : for pictures, made if absent.
    output : new or empty folder for the model.
    finder_weights : of the finder whose finds are learnt from.
    device : where the finder computes and experts are trained; auto means the processor.

    Raises
    ------
    BadInput : ``output`` holds something, no such finder or device, or too few finds of a class.
    MachineFailed : the disk is full.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadInput(output, "a new or empty folder for the model", "something else there")
    finder = finder_of(finder_weights, device)
    lessons, judged = (
        draw_lessons(
            folder,
            count,
            seed + more,
            workers=workers,
            progress=lambda n, count=count: progress("Drawing random foils", n, count),  # type: ignore[misc]
        )
        for count, more in ((plan.pictures, _JUDGED // 10), (plan.judged, _JUDGED))
    )
    before = set_threads(workers)
    try:
        search = search_with(finder)
        model = taught(
            lessons, search, plan, others=judged, seed=seed, device=device, progress=progress
        )
        model = decided_on(model, judged, finder, plan, progress)
    finally:
        set_threads(before)
    told = {**model.information, "finder": finder.digest[:64]}
    return write_model(output, *replace(model, information=told).to_record())


def taught(
    lessons: Lessons,
    search: Search,
    plan: ExpertsPlan,
    *,
    others: Lessons,
    seed: int = 0,
    device: Device = "auto",
    progress: Progress = _silent,
) -> Model:
    """Return a model that was taught on the finds of lessons.

    Parameters
    ----------
    others : lessons not learnt from, which say how unusual an unseen foil's finds are.
    device : where the experts are trained; auto means the processor.

    Raises
    ------
    BadInput : too few finds of a class.
    """
    labelled = labelled_finds(lessons, search, plan.most, seed=seed, progress=progress)
    unseen = labelled_finds(others, search, plan.most, seed=seed + 1, progress=progress)
    trainings = plan.folds * 4  # one expert for each two kinds of pits, and one against misc
    done = train_model(
        labelled,
        plan.training,
        classes=CLASSES,
        signal="hip",
        prior=plan.prior,
        count=plan.folds,
        seed=seed,
        context=unseen.patches,
        device=device,
        progress=lambda n: progress("Training", n, trainings),
    )
    figures = {
        name: round(float(one.balanced_accuracy.mean()), 5) for name, one in done.validation.items()
    }
    information = {
        "etchscope": version("etchscope"),
        "labels": {c: int((labelled.said == c).sum()) for c in CLASSES},
        "scans": ["random foils"],
        "plan": {**asdict(plan), "prior": dict(plan.prior)},
        "seed": seed,
        "experts": {name: {"balanced_accuracy": v, "failed": 0} for name, v in figures.items()},
    }
    return replace(done.model, information=information)


def _planes_at(lesson: Lesson, drawn: LightDraw, seed: int) -> Callable[[float], Any]:
    """Return what gives the planes of a lesson at a scale."""
    none = np.empty(0)
    unused = Openings(none, none, none, none, none, none, none.astype(np.int64))
    sample = Sample(lesson.raw, LIGHTING, unused)
    return lambda scale: planes_of(sample, drawn, seed, scale)


def _patches_of(
    lesson: Lesson,
    finds: Finds,
    at_scale: Callable[[float], Any],
    scale: float,
    which: Any,
    place: int,
) -> Patches:
    """Return the patches of some finds; the region is the lesson's place."""
    size = (lesson.raw.shape[1], lesson.raw.shape[2])
    x, y = finds.x_px[which].clip(0, size[1] - 1), finds.y_px[which].clip(0, size[0] - 1)
    pixels = cut_planes(at_scale(scale), size, x, y, _SIZE)
    row = np.asarray(which, np.int64)
    return Patches(pixels, Lights.of_planes(), np.full(len(row), place), row)


def labelled_finds(
    lessons: Lessons,
    search: Search,
    most: int,
    *,
    seed: int = 0,
    progress: Progress = _silent,
) -> Labelled:
    """Return the finds of lessons under ever other lights, at most so many of each class."""
    rng = np.random.default_rng([seed, 7])
    each = max(_SPREAD * most // max(len(lessons), 1), 2)
    parts: list[Patches] = []
    said: list[str] = []
    density: list[float] = []
    sizes: list[float] = []
    for place in range(len(lessons)):
        lesson, noise = lessons[place], int(rng.integers(2**62))
        at_scale = _planes_at(lesson, draw_lights(rng, LIGHTING), noise)
        finds = search(lesson, at_scale(1.0))
        told = classes_of(lesson, finds)
        order = rng.permutation(len(told))
        which = np.sort(
            np.concatenate([order[told[order] == c][:each] for c in CLASSES]).astype(np.int64)
        )
        scale = plane_scale(finds.radius_px) * float(np.exp(rng.normal(0, _JITTER)))
        if len(which):
            scale = float(np.clip(scale, *SCALES))
            parts.append(_patches_of(lesson, finds, at_scale, scale, which, place))
            said += told[which].tolist()
            density += [density_of(lesson, finds)] * len(which)
            sizes += [lesson.pixel_size_um] * len(which)
        progress("Searching random foils", 1, len(lessons))
    names = np.array(said, str)
    chosen = np.sort(
        np.concatenate([rng.permutation(np.flatnonzero(names == c))[:most] for c in CLASSES])
    )
    patches = joined(parts)
    source = pd.DataFrame({"scan": "random foils", "tile": patches.region, "id": patches.row})
    whole = Labelled(patches, names, np.array(density), PLANES_RECIPE, np.array(sizes), source)
    return whole.take(chosen)


def decided_on(
    model: Model,
    lessons: Lessons,
    finder: Finder,
    plan: ExpertsPlan,
    progress: Progress = _silent,
) -> Model:
    """Return the model calibrated on random foils not learnt from, and with a working point there.

    A candidate is the best of the finds within 7 px of each other, or the pair of one; a false one
    is no signal. The efficiency is that of the particles whose entry is in the picture, found or
    not. A picture is a tile, as dense all over as its finds are on average.
    """
    each = [lessons[place] for place in range(len(lessons))]
    finds = []
    for lesson in each:
        finds.append(judged_finds(lesson, finder, model))
        progress("Judging", 1, len(each))
    try:
        model = replace(model, calibration=_calibrated_on(finds))
    except BadInput as error:  # so few foils are for a trial
        log.warning("the model stays as it was taught: %s", error)
    tiles = np.array([lesson.area_mm2 / REFERENCE_TILE_MM2 for lesson in each])
    is_sparse = [len(o.x_px) <= plan.judged_densest * n for o, n in zip(each, tiles, strict=True)]
    sparse = np.flatnonzero(is_sparse).tolist()
    scored = [
        finds[k].assign(
            score=model.calibration.score(measures_of(finds[k], finds[k]["experts"].to_numpy()))
        )
        for k in sparse
    ]
    return model.at(
        _point_on([each[k] for k in sparse], scored, tiles[sparse], plan.false_per_tile)
    )


def _calibrated_on(finds: Sequence[pd.DataFrame]) -> Calibration:
    """Return the calibration that the finds of random foils ask for.

    What size and contrast say of signal holds for one kind of foil only, and is left out; that a
    crowd changes what a vote is worth does not show across all kinds. Foils differ so much that the
    signal expected of one has an interval of its own for that.
    """
    measures, is_signal = [], []
    for found in finds:
        numbered = found.assign(row=np.arange(len(found)))
        candidates = candidate_table(numbered, pixel_size_um=None)
        particle = candidates["particle"]
        candidates = candidates[(particle < 0) | ~particle.duplicated()]  # the best of each
        told = measures_of(found, found["experts"].to_numpy(np.float64))
        measures.append(told.iloc[candidates["row"]])
        is_signal.append((candidates["particle"] >= 0).to_numpy())
    every = np.concatenate(is_signal)
    fitted = fit_calibration(
        pd.concat(measures, ignore_index=True),
        every,
        fitted_on=f"{len(every)} candidates, {every.sum()} of them signal, of {len(measures)} "
        "random foils not learnt from",
        of=("experts", "experts_apart", "pair", "log_density"),
        by_density=False,
    )
    for spread in _SPREADS:
        inside = []
        for own, true in zip(measures, is_signal, strict=True):
            of_foil = abundance_of(fitted.score(own), fitted.log_abundance(own), spread)
            _, low, high = of_foil.expected
            inside.append(low - 0.5 <= true.sum() <= high + 0.5)
        if np.mean(inside) >= _CONFIDENCE:
            break
    return replace(fitted, spread=spread)


def _point_on(
    lessons: Sequence[Lesson], finds: Sequence[pd.DataFrame], tiles: Floats, false_per_tile: float
) -> WorkingPoint:
    """Return the working point at so many false candidates a tile, by density.

    Parameters
    ----------
    finds : scored, of each foil. tiles : (n,) area of each foil in tiles.
    """
    false, best, density = [], [], []
    for lesson, found in zip(lessons, finds, strict=True):
        entries = (lesson.kind == "hip") & lesson.is_top & (lesson.partner >= 0)
        candidates = candidate_table(found, pixel_size_um=None)
        is_false = candidates["particle"] < 0
        false.append(candidates.loc[is_false, "score"].to_numpy(np.float64))
        of_particles = candidates[~is_false].groupby("particle")["score"].max()
        sought = of_particles.reindex(np.unique(lesson.particle[entries])).fillna(-np.inf)
        best.append(sought.to_numpy(np.float64))
        density.append(float(found["density_per_mm2"].median()) if len(found) else 0.0)
    ranked = _ranked(false, best, np.array(density), tiles)
    asked = Requirement(false_per_tile=false_per_tile)
    return measured_working_point(
        ranked,
        asked,
        chosen_by=f"{asked} of random foils",
        measured_on=f"{len(lessons)} random foils not learnt from, {tiles.sum():.1f} tiles of "
        f"{REFERENCE_TILE_MM2:.2f} mm² with {ranked.particles} pairs, chosen on one half of them "
        "and measured on the other",
    )


def _ranked(
    false: Sequence[Floats], best: Sequence[Floats], density: Floats, tiles: Floats
) -> Ranked:
    """Return the search of all pictures: of each the false scores and the best of each particle.

    Parameters
    ----------
    density : (t,) in 1/mm². tiles : (t,) area of each picture in tiles.
    """
    numbers = np.arange(len(tiles))
    particle_tile = np.repeat(numbers, [len(b) for b in best])
    true = np.concatenate([*best, np.empty(0)])
    found = np.isfinite(true)
    score = np.concatenate([*false, true[found]])
    tile = np.r_[np.repeat(numbers, [len(f) for f in false]), particle_tile[found]]
    order = np.argsort(-score, kind="stable")
    is_true = np.arange(len(score)) >= len(score) - int(found.sum())
    row = np.column_stack([numbers, np.zeros(len(numbers))]).astype(np.float64)
    return Ranked(
        score[order],
        is_true[order],
        np.zeros(len(score)),
        len(true),
        float(tiles.sum()),
        float(tiles.sum()) * REFERENCE_TILE_MM2 / 100,
        tile[order],
        particle_tile,
        tiles,
        Ground(row, density[:, None], density[tile[order]], density[particle_tile]),
    )
