"""Training patches of experts for any lights: finds on random foils."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from etchscope.ensemble import Labelled
from etchscope.foil.types import Ints
from etchscope.imaging import Planes
from etchscope.learn import (
    SCALES,
    LightDraw,
    Lights,
    Openings,
    Patches,
    Sample,
    cut_planes,
    draw_lights,
    join_patches,
    make_planes,
    plane_scale,
)
from etchscope.run.finder_classifiers import Progress, silent
from etchscope.run.lessons import LIGHTING, Finds, Lesson, Lessons, Search, classes_of, density_of
from etchscope.run.patches import PLANES_RECIPE

__all__ = ["CLASSES", "labelled_finds"]

CLASSES = ("hip", "top", "bottom", "misc")
_SIZE = 28
_JITTER = 0.08
"""Spread of the logarithm of a lesson's scale, as the usual pit of a scan is known."""
_SPREAD = 2
"""Largest number of finds of a class from one picture, relative to the mean, for variety."""


def _planes_at(lesson: Lesson, drawn: LightDraw, seed: int) -> Callable[[float], Planes]:
    """Return a function that makes the planes of a lesson at a scale."""
    none = np.empty(0)
    unused = Openings(none, none, none, none, none, none, none.astype(np.int64))
    sample = Sample(lesson.raw, LIGHTING, unused)
    return lambda scale: make_planes(sample, drawn, seed, scale)


def _patches_of(
    lesson: Lesson,
    finds: Finds,
    at_scale: Callable[[float], Planes],
    scale: float,
    which: Ints,
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
    progress: Progress = silent,
) -> Labelled:
    """Return the finds of lessons, each lesson under lights of its own.

    Parameters
    ----------
    search : makes the finds.
    most : largest number of finds of a class.
    progress : called with "Searching random foils", 1, and the number of lessons.
    """
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
        kinds = classes_of(lesson, finds)
        order = rng.permutation(len(kinds))
        which = np.sort(
            np.concatenate([order[kinds[order] == c][:each] for c in CLASSES]).astype(np.int64)
        )
        scale = plane_scale(finds.radius_px) * float(np.exp(rng.normal(0, _JITTER)))
        if len(which):
            scale = float(np.clip(scale, *SCALES))
            parts.append(_patches_of(lesson, finds, at_scale, scale, which, place))
            said += kinds[which].tolist()
            density += [density_of(lesson, finds)] * len(which)
            sizes += [lesson.pixel_size_um] * len(which)
        progress("Searching random foils", 1, len(lessons))
    names = np.array(said, str)
    chosen = np.sort(
        np.concatenate([rng.permutation(np.flatnonzero(names == c))[:most] for c in CLASSES])
    )
    patches = join_patches(parts)
    source = pd.DataFrame({"scan": "random foils", "tile": patches.region, "id": patches.row})
    whole = Labelled(patches, names, np.array(density), PLANES_RECIPE, np.array(sizes), source)
    return whole.take(chosen)
