"""Where signal is injected: which tiles, how many particles on each, and at which places."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from etchscope.background.composing import Window, as_cones, compose, light_ratio
from etchscope.background.optics_fit import FittedOptics
from etchscope.background.signal import SignalPopulation, draw_particles, list_openings
from etchscope.foil import BadInput, Foil, Scan
from etchscope.foil.types import Bools, Floats, Ints, RawStack
from etchscope.geometry import edge_distance_px
from etchscope.imaging.noise import measure_noise
from etchscope.physics.materials import get_material
from etchscope.simulation import Sheet

__all__ = [
    "InjectionPlan",
    "TileSample",
    "allowed_places",
    "choose_places",
    "inject_tile",
    "particles_of_tiles",
    "sample_tiles",
]

_SHARE = 0.1
"""Greatest share of the pits of a tile that is added, two openings for each particle."""
_LEAST = 2
"""Particles on a tile, however few pits it has."""
_APART_RADII = 6.0
"""Least distance of two injected particles, in radii of the largest opening."""
_TRIES = 200


@dataclass(frozen=True)
class TileSample:
    """Tiles to inject into.

    Parameters
    ----------
    number, particles : (n,) numbers of the tiles, and of particles on each.
    weight : (n,) how many tiles of the scan each stands for.
    """

    number: Ints
    particles: Ints
    weight: Floats


def sample_tiles(
    number: Ints, pits: Ints, count: int, per_tile: int | None, rng: np.random.Generator
) -> TileSample:
    """Return a sample of tiles that is spread over the densities of the foil.

    The tiles are divided into eight classes, equally wide in the logarithm of their number of pits,
    and each gives as many tiles as it can. A tile gets at most a tenth of its pits in addition.

    Parameters
    ----------
    number, pits : (m,) numbers of the tiles, and of pits that were found on each.
    count : of tiles.
    per_tile : most particles on a tile; 10 unless given.

    Raises
    ------
    BadInput : there is no tile, or more particles are asked for than there are pits.
    """
    if not len(number):
        raise BadInput("injection", "at least one searched tile", "none")
    if count < 1 or (per_tile is not None and per_tile < 1):
        raise BadInput(
            "injection: tiles and particles", "at least 1", f"{min(count, per_tile or 1)}"
        )
    densest = int(pits.max(initial=0))
    if per_tile is not None and 2 * per_tile > max(densest, 2 * _LEAST):
        found = (
            f"{2 * per_tile} openings of {per_tile} particles; the densest tile has {densest} pits"
        )
        hint = "An injection that is denser than the foil measures another foil. Ask for fewer."
        raise BadInput("--particles-per-tile", "fewer openings than the foil has", found, hint)
    level = np.log(pits + 1.0)
    span = max(float(np.ptp(level)), 1e-9)
    of = np.minimum((8 * (level - level.min()) / span).astype(np.int64), 7)
    order = rng.permutation(len(number))
    taken = np.zeros(len(number), bool)
    for _ in range(min(count, len(number))):  # in turn, so that small classes are taken whole
        free = {int(k): order[(of[order] == k) & ~taken[order]] for k in np.unique(of)}
        counts = {k: int(taken[of == k].sum()) for k, left in free.items() if len(left)}
        taken[free[min(counts, key=lambda k: counts[k])][0]] = True
    chosen = np.flatnonzero(taken)
    weight = np.array([(of == of[i]).sum() / taken[of == of[i]].sum() for i in chosen])
    allowed = np.maximum((_SHARE / 2 * pits[chosen]).astype(np.int64), _LEAST)
    most = np.minimum(allowed, 10 if per_tile is None else per_tile)
    return TileSample(number[chosen], most, weight.astype(np.float64))


def choose_places(allowed: Bools, n: int, apart_px: float, rng: np.random.Generator) -> Floats:
    """Return at most n places on allowed pixels that lie apart, (k, 2) x and y.

    Parameters
    ----------
    allowed : (y, x) where a particle may be put: ground that is searched, and that no other tile
        shows better.
    apart_px : least distance of two places.
    """
    at = np.flatnonzero(allowed)
    out: list[Floats] = []
    for _ in range(_TRIES * n if len(at) else 0):
        if len(out) == n:
            break
        row, column = divmod(int(at[rng.integers(len(at))]), allowed.shape[1])
        place = np.array([column, row]) + rng.uniform(-0.5, 0.5, 2)
        if all(np.hypot(*(place - other)) >= apart_px for other in out):
            out.append(place)
    return np.array(out).reshape(-1, 2)


@dataclass(frozen=True)
class InjectionPlan:
    """What decides an injection, beside the pictures.

    Parameters
    ----------
    seed : of places, particles and noise; each tile has a stream of its own.
    population : that particles are drawn from.
    optics : fits, one of which each tile has.
    sheet, foil : the plastic.
    scan : the source.
    """

    seed: int
    population: SignalPopulation
    optics: tuple[FittedOptics, ...]
    sheet: Sheet
    foil: Foil
    scan: Scan

    @property
    def largest_px(self) -> float:
        """Radius of the largest opening of the population along the normal."""
        v = self.population.v_high
        return float(
            self.sheet.removed_um * np.sqrt((v - 1) / (v + 1)) / (self.scan.pixel_size_um or np.nan)
        )


def particles_of_tiles(
    plan: InjectionPlan, tile: int, weight: float, area_mm2: float, places: Floats
) -> pd.DataFrame:
    """Return the openings of the particles of one tile, two rows for each particle.

    Parameters
    ----------
    weight : number of tiles of the scan that the tile stands for.
    area_mm2 : in which the places were drawn.
    places : (n, 2) where the particles cross the surface that faces the camera, in the tile.

    Returns
    -------
    Columns of ``etch`` and of ``draw_particles``, with ``tile``, the place of each opening
    ``centre_x_px, centre_y_px`` and of the track ``x_px, y_px``, ``surface``, ``area_mm2``, the
    area of the foil that the particle stands for, and ``optics``, the number of the fit.
    """
    rng = np.random.default_rng([plan.seed, 1, tile])
    um = float(plan.scan.pixel_size_um or np.nan)
    particles = draw_particles(rng, plan.population, len(places), plan.foil.material)
    particles["optics"] = tile % len(plan.optics)
    particles["area_mm2"] = weight * area_mm2 / max(len(places), 1)
    x_mm, y_mm = places[:, 0] * um / 1000, -places[:, 1] * um / 1000
    pits = list_openings(rng, particles, x_mm, y_mm, plan.sheet, plan.population.v_spread)
    nominal = (
        particles.rename(columns={"v": "drawn_v"}).loc[pits["particle"]].reset_index(drop=True)
    )
    to_px = 1000 / um
    return pits.join(nominal).assign(
        tile=tile,
        surface=np.where(pits["front"], "top", "bottom"),
        centre_x_px=pits["x_mm"] * to_px,
        centre_y_px=-pits["y_mm"] * to_px,
        x_px=pits["entered_x_mm"] * to_px,
        y_px=-pits["entered_y_mm"] * to_px,
    )


def inject_tile(
    plan: InjectionPlan,
    tile: int,
    raw: RawStack,
    openings: pd.DataFrame,
    found: pd.DataFrame,
    limit: int,
) -> RawStack:
    """Return the pictures of a tile with the pits of particles, (channel, y, x); the input stays.

    Parameters
    ----------
    tile : its number.
    raw : its pictures.
    openings : of all particles that reach into it, see ``particles_of_tiles``, in its pixels.
    found : pits that were found on the tile.
    limit : grey level at which the camera saturates; 0 where it is unknown.
    """
    out = raw.astype(np.float32)
    rng = np.random.default_rng([plan.seed, 2, tile])
    noise = measure_noise(raw)
    um, index = (
        float(plan.scan.pixel_size_um or np.nan),
        get_material(plan.sheet.material).refractive_index,
    )
    old = as_cones(found, plan.sheet.removed_um, um)
    for _, own in openings.groupby("particle", sort=True):
        radius = own["major_um"].to_numpy(np.float64) / 2 / um
        window = Window.around(own["centre_x_px"].to_numpy(), own["centre_y_px"].to_numpy(), radius)
        fit = plan.optics[int(own["optics"].iloc[0])]
        optics = fit.optics(plan.scan, window.height, window.width)
        ratio = light_ratio(own, old, window, optics, plan.sheet, index) ** np.float32(fit.gamma)
        compose(out, window, ratio, noise, rng)
    most = np.iinfo(raw.dtype).max
    return np.clip(np.rint(out), 0, min(limit or most, most)).astype(raw.dtype)


def allowed_places(ground: Bools, image_size: tuple[int, int], rivals: Floats) -> Bools:
    """Return where particles may be put in a tile, (y, x): searched ground that it shows best.

    Parameters
    ----------
    ground : (y, x) searched ground.
    rivals : (k, 2) offsets of the other tiles of the scan that overlap it, in its pixels.
    """
    rows, columns = image_size
    y, x = np.mgrid[:rows, :columns]
    own = edge_distance_px(x, y, image_size)
    out = ground & (own > 0)
    for dx, dy in rivals:
        out &= edge_distance_px(x - dx, y - dy, image_size) <= own
    return np.asarray(out)
