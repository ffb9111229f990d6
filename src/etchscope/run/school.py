"""Training pictures of the finder: random foils, drawn once into a folder and read as needed."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from etchscope.foil.machine import make_process_context
from etchscope.foil.types import Floats, RawStack
from etchscope.imaging import Lighting
from etchscope.learn import Openings, Sample, Samples
from etchscope.simulation import SimulatedScan, randomise_scan, with_parameters
from etchscope.store.arrays import read_rows, write_arrays

__all__ = [
    "SHARD",
    "SIZE_PX",
    "School",
    "draw_school",
    "draw_shards",
    "grey_levels",
    "openings_of",
    "random_crop",
]

SHARD = 32
"""Pictures per file."""
_TRUTH = ("x_px", "y_px", "radius_px", "ellipticity", "angle_deg", "depth_um", "surface")
_MOST = 0.061
"""Largest number of openings per pixel of a picture; 0.017 are 5,000 per tile."""
SIZE_PX = 256
"""Side of the pictures."""


def random_crop(seed: int, size_px: int = SIZE_PX) -> SimulatedScan:
    """Return a foil of random conditions with one tile of ``size_px`` a side."""
    scan = with_parameters(
        SimulatedScan(seed, columns=1, rows=1), {"optics.image_size": (size_px, size_px)}
    )
    return randomise_scan(scan)


def openings_of(truth: pd.DataFrame, pixel_size_um: float) -> Openings:
    """Return the openings of a simulated truth.

    Parameters
    ----------
    truth : ``SimulatedScan.truth`` of one tile.
    pixel_size_um : of the tile; depths become px.
    """
    column: dict[str, Floats] = {k: truth[k].to_numpy(np.float64) for k in _TRUTH[:6]}
    depth = column.pop("depth_um") / pixel_size_um
    surface = np.where(truth["surface"] == "top", 0, 1)
    return Openings(**column, depth_px=depth, surface=surface)


def grey_levels(scan: SimulatedScan) -> RawStack:
    """Return the pictures of the first tile, (channel, y, x) uint8."""
    raw = scan.read_tile(1)
    if raw.dtype != np.uint8:
        raw = (raw >> (scan.optics.bit_depth - 8)).astype(np.uint8)
    return raw


def _crop(seed: int, size_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the raw pictures, the openings as (n, 7) and the marks of one random foil.

    The last column is 1 for openings of the top surface, else 0.
    """
    scan = random_crop(seed, size_px)
    raw = grey_levels(scan)
    openings = openings_of(scan.openings(1), scan.optics.pixel_size_um)
    table = np.column_stack(list(vars(openings).values())).astype(np.float32)
    table[:, -1] = openings.surface == 0
    return raw, table, scan.marked(1) > 0


def _draw_shard(path: Path, seeds: list[int], size_px: int) -> int:
    """Draw the foils of one file; return their number."""
    crops = [_crop(seed, size_px) for seed in seeds]
    write_arrays(
        path,
        {
            "raw": np.stack([c[0] for c in crops]),
            "openings": np.concatenate([c[1] for c in crops]),
            "counts": np.array([len(c[1]) for c in crops]),
            "marked": np.stack([np.packbits(c[2]) for c in crops]),
        },
    )
    return len(seeds)


def draw_school(
    folder: Path,
    count: int,
    seed: int,
    *,
    size_px: int = SIZE_PX,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> "School":
    """Draw random foils into a folder, and return them; files that are there stay.

    Parameters
    ----------
    count : number of pictures, rounded up to whole files of 32.
    seed : of the foils; each seed and size has files of its own.
    size_px : side of each picture.
    workers : processes that draw.
    progress : called with the number of pictures just done.
    """
    name = f"foils-{size_px}px-{seed}"
    draw = partial(_draw_shard, size_px=size_px)
    paths = draw_shards(folder, name, count, seed, draw, workers=workers, progress=progress)
    return School.of(paths)


def draw_shards(
    folder: Path,
    name: str,
    count: int,
    seed: int,
    draw: Callable[[Path, list[int]], int],
    *,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Draw random foils into files of a folder, and return their paths; existing files stay.

    Parameters
    ----------
    name : beginning of the files' names.
    count, seed, workers, progress : see ``draw_school``.
    draw : writes the file of some seeds, and returns their number; it is pickled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}-{k:05d}.safetensors" for k in range(-(-count // SHARD))]
    advance = progress or (lambda _: None)
    todo = []
    for k, path in enumerate(paths):
        first = seed * 10_000_000 + k * SHARD
        if path.exists():
            advance(SHARD)
        else:
            todo.append((path, list(range(first, first + SHARD))))
    with ProcessPoolExecutor(workers, mp_context=make_process_context("etchscope.run")) as pool:
        for done in [pool.submit(draw, *one) for one in todo]:
            advance(done.result())
    return paths


@dataclass(frozen=True)
class School:
    """Random foils in files: training pictures, read as needed.

    Parameters
    ----------
    paths : the files.
    places : (index of the file, place in it) of each picture that is not too crowded.
    """

    paths: tuple[Path, ...]
    places: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "School":
        """Return the foils of some files."""
        places = []
        for k, path in enumerate(paths):
            counts = read_rows(path, "counts", 0, SHARD)
            size = int(np.prod(read_rows(path, "raw", 0, 1).shape[2:]))
            places += [(k, int(i)) for i in np.flatnonzero(counts <= _MOST * size)]
        return cls(tuple(paths), tuple(places))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> Sample:
        shard, index = self.places[place]
        path = self.paths[shard]
        counts = read_rows(path, "counts", 0, SHARD)
        first = int(counts[:index].sum())
        table = read_rows(path, "openings", first, first + int(counts[index])).astype(np.float64)
        raw, marked = (read_rows(path, k, index, index + 1)[0] for k in ("raw", "marked"))
        x, y, radius, ellipticity, angle, depth, top = table.T
        openings = Openings(x, y, radius, ellipticity, angle, depth, np.where(top > 0.5, 0, 1))
        return Sample(raw, _LIGHTING, openings, np.unpackbits(marked).reshape(raw.shape[1:]) > 0)


@dataclass(frozen=True)
class Mixed:
    """Two sets of pictures as one; the first is repeated until it is as long as the second."""

    first: Sequence[Sample]
    second: Samples

    def __len__(self) -> int:
        return 2 * len(self.second)

    def __getitem__(self, place: int) -> Sample:
        if place < len(self.second):
            return self.second[place]
        return self.first[place % len(self.first)]


_LIGHTING = Lighting.of_scan(SimulatedScan(0, columns=1, rows=1).scan)
