"""Training pictures of experts for any lights: random foils, and the classes of their finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etchscope.evaluation import match_one_to_one
from etchscope.foil import parent_class
from etchscope.foil.types import Bools, Floats, Ints, RawStack
from etchscope.imaging import Lighting, Planes
from etchscope.preselect.finder import Finder
from etchscope.preselect.learned import apply_finder
from etchscope.run.school import SHARD, SIZE_PX, draw_shards, grey_levels, random_crop
from etchscope.simulation import SimulatedScan, with_parameters
from etchscope.simulation.populations import REFERENCE_TILE_MM2
from etchscope.store.arrays import read_rows, write_arrays

__all__ = ["Finds", "Lesson", "Lessons", "Search", "classes_of", "draw_lessons", "search_with"]

_CLASSES = ("hip", "top", "bottom", "maybe")
_HIPS = (5.0, 40.0)
"""Least and most signal per tile; rarer signal would need more pictures."""
_MOST_ZENITH_DEG = 60.0
"""Largest zenith angle of signal."""
_DENSEST = 3000
"""Openings per tile of 12.79 mm²; where there are more, they cannot be separated."""
_SIGNAL_PX = 6.0
"""Largest distance of a find of signal from an opening of signal."""
_PARTNER_PX = 20.0
"""Largest distance between two openings that look like a pair."""
_SINGLE = (2.0, 0.5)
"""Largest distance of a find from its single pit: in px, or as a share of the radius."""


@dataclass(frozen=True)
class Lesson:
    """A random foil with one small tile.

    Parameters
    ----------
    raw : (channel, y, x) uint8.
    x_px, y_px, radius_px, is_top, particle : (n,) of the openings on it.
    kind : (n,) hip, top, bottom or maybe.
    marked : (y, x) whether there is dust, a scratch or the like.
    pixel_size_um, thickness_um : of the picture and of the foil.
    """

    raw: RawStack
    x_px: Floats
    y_px: Floats
    radius_px: Floats
    is_top: Bools
    particle: Ints
    kind: NDArray[np.str_]
    marked: Bools
    pixel_size_um: float
    thickness_um: float

    @property
    def area_mm2(self) -> float:
        """Area of the picture."""
        return float(np.prod(self.raw.shape[1:]) * (self.pixel_size_um / 1000) ** 2)

    @cached_property
    def partner(self) -> Ints:
        """Row of the other opening of a signal particle if it is near, otherwise −1, (n,)."""
        out = np.full(len(self.kind), -1)
        signal = np.flatnonzero(self.kind == "hip")
        for i in signal.tolist():
            same = (self.particle[signal] == self.particle[i]) & (signal != i)
            for j in signal[same].tolist():
                if (
                    np.hypot(self.x_px[i] - self.x_px[j], self.y_px[i] - self.y_px[j])
                    <= _PARTNER_PX
                ):
                    out[i] = j
        return out

    @property
    def label(self) -> NDArray[np.str_]:
        """The class of each opening that experts are trained on, (n,).

        Without its partner nearby, an exit pit is a bottom pit, and an entry pit, which looks like
        a top pit, is undecidable ("maybe").
        """
        alone = (self.kind == "hip") & (self.partner < 0)
        return np.where(alone, np.where(self.is_top, "maybe", "bottom"), self.kind)


@dataclass(frozen=True)
class Finds:
    """The finds on a picture: places and radii in px, and surfaces, (n,) each."""

    x_px: Floats
    y_px: Floats
    radius_px: Floats
    surface: NDArray[np.str_]


Search = Callable[[Lesson, Planes], Finds]
"""A function that returns the finds on the planes of a foil."""


def search_with(finder: Finder) -> Search:
    """Return a search by a finder."""

    def search(_: Lesson, planes: Planes) -> Finds:
        said = apply_finder(planes, finder)[0]
        radius = np.exp(said["log_radius"].clip(-1, 5))
        return Finds(said["x"], said["y"], radius, said["surface"])

    return search


def classes_of(lesson: Lesson, finds: Finds) -> NDArray[np.str_]:
    """Return the class of each find, (n,): hip, top, bottom, misc, or "" where it is not used.

    Finds and openings match one to one, of the same surface where that is known. Another find is
    signal if it lies near an opening of signal or between the two of a particle, otherwise misc.
    Single pits under a mark, and openings that are undecidable, are not used.
    """
    at = np.column_stack([finds.x_px, finds.y_px])
    places = np.column_stack([lesson.x_px, lesson.y_px])
    label = lesson.label
    reach = np.maximum(_SINGLE[0], _SINGLE[1] * lesson.radius_px)
    reach[label == "hip"] = _SIGNAL_PX
    said = np.full(len(at), "misc", "<U6")
    free = np.ones(len(places), bool)
    for surface in ("top", "bottom", "unknown"):
        mine = np.flatnonzero(finds.surface == surface)
        wanted = free if surface == "unknown" else free & (lesson.is_top == (surface == "top"))
        these = np.flatnonzero(wanted)
        hit = match_one_to_one(places[these], at[mine], _SIGNAL_PX)
        i, j = mine[hit.found_index], these[hit.truth_index]
        near = np.hypot(*(at[i] - places[j]).T) < reach[j]
        said[i[near]] = label[j[near]]
        free[j[near]] = False
    stray = said == "misc"
    said[stray & _near_signal(lesson, at)] = "hip"
    cells = np.rint(at[:, ::-1]).astype(int).clip(0, np.array(lesson.marked.shape) - 1)
    said[lesson.marked[cells[:, 0], cells[:, 1]] & np.isin(said, ("top", "bottom"))] = ""
    said[said == "maybe"] = ""
    return said


def _near_signal(lesson: Lesson, at: Floats) -> Bools:
    """Return which places lie near an opening of signal or between the two of one, (n,)."""
    out = np.zeros(len(at), bool)
    for i in np.flatnonzero(lesson.label == "hip").tolist():
        j = int(lesson.partner[i]) if lesson.partner[i] >= 0 else i
        begin = np.array([lesson.x_px[i], lesson.y_px[i]])
        along = np.array([lesson.x_px[j], lesson.y_px[j]]) - begin
        share = ((at - begin) @ along / max(float(along @ along), 1e-9)).clip(0, 1)
        out |= np.hypot(*(at - begin - share[:, None] * along).T) < _SIGNAL_PX
    return out


def density_of(lesson: Lesson, finds: Finds) -> float:
    """Return the number of finds per mm²; both openings of a pair count."""
    return len(finds.x_px) / lesson.area_mm2


def _drawn(seed: int, size_px: int) -> tuple[RawStack, NDArray[np.float64], Bools, SimulatedScan]:
    """Return the pictures, the openings as (n, 6) and the marks of one foil, and the foil."""
    low, high = np.log(_HIPS)
    hips = float(np.exp(np.random.default_rng([seed, 6]).uniform(low, high)))
    signal = {"hips.per_tile": hips, "hips.max_zenith_deg": _MOST_ZENITH_DEG}
    scan = with_parameters(random_crop(seed, size_px), signal)
    truth = scan.truth()
    kind = np.array([_CLASSES.index(parent_class(c)) for c in truth["class"].tolist()], np.float64)
    names = ["x_px", "y_px", "radius_px", "particle"]
    is_top = (truth["surface"] == "top").to_numpy(np.float64)
    table = np.column_stack([truth[names].to_numpy(np.float64), is_top, kind])
    return grey_levels(scan), table, scan.marked(1) > 0, scan


def _draw_shard(path: Path, seeds: list[int], size_px: int) -> int:
    """Draw the foils of one file; return their number."""
    foils = [_drawn(seed, size_px) for seed in seeds]
    write_arrays(
        path,
        {
            "raw": np.stack([f[0] for f in foils]),
            "openings": np.concatenate([f[1] for f in foils]),
            "counts": np.array([len(f[1]) for f in foils]),
            "marked": np.stack([np.packbits(f[2]) for f in foils]),
            "pixel_size_um": np.array([f[3].optics.pixel_size_um for f in foils]),
            "thickness_um": np.array([f[3].sheet.thickness_um for f in foils]),
        },
    )
    return len(seeds)


def draw_lessons(
    folder: Path,
    count: int,
    seed: int,
    *,
    size_px: int = SIZE_PX,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> "Lessons":
    """Draw random foils with much signal into a folder; see ``draw_school``."""
    name, draw = f"lessons-{size_px}px-{seed}", partial(_draw_shard, size_px=size_px)
    paths = draw_shards(folder, name, count, seed, draw, workers=workers, progress=progress)
    return Lessons.of(paths)


@dataclass(frozen=True)
class Lessons:
    """Random foils in files, read as needed; ``places``: see ``School``."""

    paths: tuple[Path, ...]
    places: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, paths: Sequence[Path], densest: float = _DENSEST) -> "Lessons":
        """Return the foils of some files with at most ``densest`` openings per reference tile."""
        places = []
        for k, path in enumerate(paths):
            counts, sizes = (
                read_rows(path, name, 0, SHARD) for name in ("counts", "pixel_size_um")
            )
            side_px = read_rows(path, "raw", 0, 1).shape[-1]
            area = (side_px * sizes / 1000) ** 2 / REFERENCE_TILE_MM2
            places += [(k, int(i)) for i in np.flatnonzero(counts <= densest * area)]
        return cls(tuple(paths), tuple(places))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> Lesson:
        shard, index = self.places[place]
        path = self.paths[shard]
        counts = read_rows(path, "counts", 0, SHARD)
        first = int(counts[:index].sum())
        table = read_rows(path, "openings", first, first + int(counts[index]))
        names = ("raw", "marked", "pixel_size_um", "thickness_um")
        raw, marked, size, thickness = (read_rows(path, k, index, index + 1)[0] for k in names)
        x, y, radius, particle, top, kind = table.T
        return Lesson(
            raw,
            x,
            y,
            radius,
            top > 0.5,
            particle.astype(np.int64),
            np.array(_CLASSES)[kind.astype(np.int64)],
            np.unpackbits(marked).reshape(raw.shape[1:]) > 0,
            float(size),
            float(thickness),
        )


LIGHTING = Lighting.of_scan(SimulatedScan(0, columns=1, rows=1).scan)
"""The lights of every lesson."""
