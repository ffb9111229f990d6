"""Which particles cross a foil and what else lies on it, drawn cell by cell from a seed.

The sheet is an endless plane in millimetres, y up, seen from the front, cut into cells. Each cell
has random streams of its own, so any part of a foil can be drawn alone, by any worker, and is the
same at every magnification.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from etchscope.foil.types import Floats
from etchscope.simulate.bounds import check, within
from etchscope.simulate.etching import opening
from etchscope.simulate.materials import etch_ratio, material_named, restricted_energy_loss

__all__ = [
    "CELL_MM",
    "MARK_COLUMNS",
    "REFERENCE_TILE_MM2",
    "Density",
    "Fragments",
    "Hips",
    "HotSpot",
    "Marks",
    "Population",
    "Sheet",
    "Stars",
    "draw_marks",
    "draw_pits",
    "reach_mm",
]

CELL_MM = 4.0
REFERENCE_TILE_MM2 = 640 * 480 * 0.0064516**2
"""12.79 mm²: numbers "a tile" are per this area, whatever the magnification."""
_SUBCELLS = 8  # the density is constant over a cell's eighth
_MOST = 20000.0


@dataclass(frozen=True)
class Sheet:
    """One plastic foil: its material, thickness before etching, and bulk removed on each side.

    ``removed_spread`` is the relative rms by which it differs from pit to pit, ``depth_mm`` how far
    behind the stack's first foil the sheet was exposed.
    """

    material: str = "makrofol"
    thickness_um: float = 500.0
    removed_um: float = 58.0
    removed_spread: float = 0.04
    depth_mm: float = 0.0

    def __post_init__(self) -> None:
        material_named(self.material)
        check(self, {"thickness_um": (50, 5000), "removed_spread": (0, 0.2), "depth_mm": (0, 1000)})
        within("sheet.removed_um", self.removed_um, 1, 0.45 * self.thickness_um)


@dataclass(frozen=True)
class Hips:
    """Through-going highly ionising particles: the signal.

    ``beam`` arrives around (``zenith_deg``, ``azimuth_deg``) with Gaussian projected angles of
    ``spread_deg``; ``isotropic`` from everywhere up to ``max_zenith_deg``. ``rel_mev_cm2_g``
    takes the place of charge and velocity. ``v_spread`` is the relative spread of V − 1 from one
    pit to another, ``azimuth_deg`` where the particle flies to, ccw from +x on the front.
    """

    per_tile: float = 5.0
    direction: Literal["beam", "isotropic"] = "beam"
    zenith_deg: float = 0.0
    azimuth_deg: float = 0.0
    spread_deg: float = 6.0
    max_zenith_deg: float = 60.0
    charge: float = 82.0
    beta: float = 0.99998
    rel_mev_cm2_g: float | None = None
    v_spread: float = 0.08

    def __post_init__(self) -> None:
        check(
            self,
            {
                "per_tile": (0, _MOST),
                "zenith_deg": (0, 80),
                "azimuth_deg": (-360, 360),
                "spread_deg": (0, 20),
                "max_zenith_deg": (1, 80),
                "v_spread": (0, 0.5),
            },
        )
        if self.rel_mev_cm2_g is not None:
            within("hips.rel_mev_cm2_g", self.rel_mev_cm2_g, 0, 1e6)

    def ratio(self, sheet: Sheet) -> float:
        """Return V in a sheet's material, before its spread."""
        material = material_named(sheet.material)
        rel = self.rel_mev_cm2_g
        if rel is None:
            rel = float(restricted_energy_loss(self.charge, self.beta, material))
        return float(etch_ratio(rel, material))


@dataclass(frozen=True)
class Fragments:
    """Single background pits: fragments that start or stop inside the sheet.

    REL / threshold − 1 is log-normal around ``rel_over`` with ``rel_sigma``; ranges inside the
    sheet are exponential with mean ``range_um``, so many pits are over-etched and rounded.
    Directions are those of an isotropic flux up to ``max_zenith_deg`` that leaves a pit.
    A fraction ``top_fraction`` opens on the front. ``doubtful_per_tile`` unrelated pits of both
    surfaces lie on top of each other, which a person cannot tell from signal (class maybe).
    """

    per_tile: float = 100.0
    top_fraction: float = 0.45
    rel_over: float = 0.9
    rel_sigma: float = 0.5
    range_um: float = 150.0
    max_zenith_deg: float = 50.0
    doubtful_per_tile: float = 0.0

    def __post_init__(self) -> None:
        check(
            self,
            {
                "per_tile": (0, _MOST),
                "top_fraction": (0, 1),
                "rel_over": (0.01, 1000),
                "rel_sigma": (0, 2),
                "range_um": (1, 5000),
                "max_zenith_deg": (1, 80),
                "doubtful_per_tile": (0, _MOST),
            },
        )


StarKind = Literal["isotropic", "forward", "back-to-back"]


@dataclass(frozen=True)
class Stars:
    """Spallation: 2 to ``max_prongs`` short prongs from one vertex inside the sheet.

    A kind is drawn for each star: ``isotropic``; ``forward``, prongs within 60° of the normal
    that fly on; ``back-to-back``, two prongs in opposite directions.
    """

    per_tile: float = 0.0
    kinds: tuple[StarKind, ...] = ("isotropic", "forward", "back-to-back")
    max_prongs: int = 5
    rel_over: float = 1.2
    rel_sigma: float = 0.4
    range_um: float = 120.0

    def __post_init__(self) -> None:
        check(
            self,
            {
                "per_tile": (0, _MOST),
                "max_prongs": (2, 5),
                "rel_over": (0.01, 1000),
                "rel_sigma": (0, 2),
                "range_um": (1, 2000),
            },
        )
        within("number of stars.kinds", len(self.kinds), 1, 3)


@dataclass(frozen=True)
class Marks:
    """What is no pit, a tile; ``holes_mm`` places drilled datum holes at (x, y) of the sheet."""

    dust_per_tile: float = 0.0
    scratches_per_tile: float = 0.0
    fibres_per_tile: float = 0.0
    bubbles_per_tile: float = 0.0
    holes_mm: tuple[tuple[float, float], ...] = ()
    hole_radius_mm: float = 0.25

    def __post_init__(self) -> None:
        names = ("dust_per_tile", "scratches_per_tile", "fibres_per_tile", "bubbles_per_tile")
        check(self, {**dict.fromkeys(names, (0.0, 1000.0)), "hole_radius_mm": (0.01, 5)})


@dataclass(frozen=True)
class HotSpot:
    """A region whose background is ``factor`` times denser at its centre, Gaussian in shape."""

    x_mm: float
    y_mm: float
    radius_mm: float
    factor: float

    def __post_init__(self) -> None:
        check(self, {"radius_mm": (0.1, 1000), "factor": (0, 1000)})


@dataclass(frozen=True)
class Density:
    """How the background's density varies over the sheet, relative to its nominal value.

    1 at the origin, growing by ``gradient_per_mm`` towards ``gradient_deg`` (never below 0),
    times one for each hot spot.
    """

    gradient_per_mm: float = 0.0
    gradient_deg: float = 0.0
    hot: tuple[HotSpot, ...] = ()

    def __post_init__(self) -> None:
        check(self, {"gradient_per_mm": (-10, 10), "gradient_deg": (-360, 360)})

    def at(self, x_mm: Floats, y_mm: Floats) -> Floats:
        """Return the relative density at places of the sheet."""
        a = np.deg2rad(self.gradient_deg)
        out = 1 + self.gradient_per_mm * (x_mm * np.cos(a) + y_mm * np.sin(a))
        for spot in self.hot:
            r2 = ((x_mm - spot.x_mm) ** 2 + (y_mm - spot.y_mm) ** 2) / spot.radius_mm**2
            out = out * (1 + (spot.factor - 1) * np.exp(-r2 / 2))
        return np.asarray(np.clip(out, 0, None))


@dataclass(frozen=True)
class Population:
    """Everything that is on and in a foil. Numbers are per reference tile (12.79 mm²)."""

    hips: Hips = field(default_factory=Hips)
    fragments: Fragments = field(default_factory=Fragments)
    stars: Stars = field(default_factory=Stars)
    marks: Marks = field(default_factory=Marks)
    density: Density = field(default_factory=Density)

    @classmethod
    def of(cls, background_per_tile: float, pairs_per_tile: float) -> "Population":
        """Return signal pairs on single background pits, all else as it is by default."""
        return cls(Hips(per_tile=pairs_per_tile), Fragments(per_tile=background_per_tile))


def _places(
    rng: np.random.Generator, cell: tuple[int, int], per_tile: float, density: Density | None
) -> tuple[Floats, Floats]:
    """Return (x_mm, y_mm) of a Poisson process in one cell, its density constant per sub-cell."""
    side = CELL_MM / _SUBCELLS
    j, i = (k.ravel() for k in np.mgrid[:_SUBCELLS, :_SUBCELLS])
    left, low = cell[0] * CELL_MM + i * side, cell[1] * CELL_MM + j * side
    rate = np.full(len(i), per_tile * side**2 / REFERENCE_TILE_MM2)
    if density is not None:
        rate = rate * density.at(left + side / 2, low + side / 2)
    of = np.repeat(np.arange(len(i)), rng.poisson(rate))
    return left[of] + rng.uniform(0, side, len(of)), low[of] + rng.uniform(0, side, len(of))


def _isotropic(rng: np.random.Generator, least_cosine: Floats) -> tuple[Floats, Floats, Floats]:
    """Return directions (x, y, z) of an isotropic flux through a plane, cosine at least so."""
    cosine = np.sqrt(rng.uniform(least_cosine**2, 1))
    azimuth = rng.uniform(0, 2 * np.pi, len(cosine))
    sine = np.sqrt(1 - cosine**2)
    return sine * np.cos(azimuth), sine * np.sin(azimuth), cosine


def _ratios(rng: np.random.Generator, over: float, sigma: float, n: int, sheet: Sheet) -> Floats:
    material = material_named(sheet.material)
    return etch_ratio(material.threshold * (1 + over * rng.lognormal(0, sigma, n)), material)


def _draw_hips(
    rng: np.random.Generator,
    own: np.random.Generator,
    cell: tuple[int, int],
    hips: Hips,
    sheet: Sheet,
) -> pd.DataFrame:
    """Draw the ions of one cell where the stack's first foil is entered, moved on to this one.

    Places and directions come from ``rng``, the same for all foils; their etching from ``own``.
    """
    x, y = _places(rng, cell, hips.per_tile, None)
    n, mean = len(x), hips.ratio(sheet)
    if hips.direction == "isotropic":
        # Near the threshold the opening vanishes: 5 % above it is where pits are counted.
        limit = np.cos(np.deg2rad(hips.max_zenith_deg))
        dx, dy, dz = _isotropic(rng, np.full(n, max(limit, min(1.05 / mean, 1.0))))
    else:
        a = np.deg2rad(hips.azimuth_deg)
        along = np.deg2rad(hips.zenith_deg) + rng.normal(0, np.deg2rad(hips.spread_deg), n)
        across = rng.normal(0, np.deg2rad(hips.spread_deg), n)
        # Five spreads of 20° would be the horizon.
        u = np.tan(along.clip(-1.45, 1.45))
        w = np.tan(across.clip(-1.45, 1.45))
        norm = np.sqrt(1 + u**2 + w**2)
        dx, dy, dz = (
            (u * np.cos(a) - w * np.sin(a)) / norm,
            (u * np.sin(a) + w * np.cos(a)) / norm,
            1 / norm,
        )
    v = 1 + (mean - 1) * np.clip(own.normal(1, hips.v_spread, (2, n)), 0.1, None)
    path = sheet.thickness_um / dz
    return pd.DataFrame(
        {
            "x_mm": x + sheet.depth_mm * dx / dz,
            "y_mm": y + sheet.depth_mm * dy / dz,
            "z_um": 0.0,
            "dx_um": path * dx,
            "dy_um": path * dy,
            "dz_um": sheet.thickness_um,
            "v_front": v[0],
            "v_back": v[1],
            "kind": "hip",
        }
    )


def _draw_fragments(
    rng: np.random.Generator, cell: tuple[int, int], population: Population, sheet: Sheet
) -> pd.DataFrame:
    f = population.fragments
    x, y = _places(rng, cell, f.per_tile, population.density)
    x2, y2 = _places(rng, cell, f.doubtful_per_tile, population.density)
    single, pairs = len(x), len(x2)
    shift = rng.normal(0, 0.02, (2, pairs))
    x, y = np.r_[x, x2, x2 + shift[0]], np.r_[y, y2, y2 + shift[1]]
    n = len(x)
    front = np.r_[rng.random(single) < f.top_fraction, np.ones(pairs, bool), np.zeros(pairs, bool)]
    v = _ratios(rng, f.rel_over, f.rel_sigma, n, sheet)
    least = np.maximum(np.cos(np.deg2rad(f.max_zenith_deg)), np.minimum(1.05 / v, 1.0))
    dx, dy, dz = _isotropic(rng, least)
    length = np.clip(rng.exponential(f.range_um, n), 10, 0.8 * sheet.thickness_um / dz)
    return pd.DataFrame(
        {
            "x_mm": x,
            "y_mm": y,
            "z_um": np.where(front, 0, sheet.thickness_um),
            "dx_um": length * dx,
            "dy_um": length * dy,
            "dz_um": np.where(front, 1, -1) * length * dz,
            "v_front": v,
            "v_back": v,
            "kind": np.r_[np.full(single, "fragment"), np.full(2 * pairs, "maybe")],
        }
    )


def _draw_stars(
    rng: np.random.Generator, cell: tuple[int, int], population: Population, sheet: Sheet
) -> pd.DataFrame:
    s = population.stars
    x, y = _places(rng, cell, s.per_tile, population.density)
    kind = np.asarray(s.kinds)[rng.integers(0, len(s.kinds), len(x))]
    prongs = np.where(kind == "back-to-back", 2, rng.integers(2, s.max_prongs + 1, len(x)))
    depth = rng.uniform(0, sheet.thickness_um, len(x))
    of = np.repeat(np.arange(len(x)), prongs)
    n = len(of)
    forward = kind[of] == "forward"
    z = np.where(forward, rng.uniform(0.5, 1, n), rng.uniform(-1, 1, n))
    azimuth = rng.uniform(0, 2 * np.pi, n)
    first = np.r_[True, of[1:] != of[:-1]] if n else np.zeros(0, bool)
    opposite = (kind[of] == "back-to-back") & ~first
    z = np.where(opposite, -np.roll(z, 1), z)
    azimuth = np.where(opposite, np.roll(azimuth, 1) + np.pi, azimuth)
    length = np.clip(rng.exponential(s.range_um, n), 5, 2000)
    # A prong ends where it leaves the sheet.
    room = np.where(z > 0, sheet.thickness_um - depth[of], depth[of]) / np.maximum(np.abs(z), 1e-9)
    length = np.minimum(length, room)
    sine = np.sqrt(1 - z**2)
    v = _ratios(rng, s.rel_over, s.rel_sigma, n, sheet)
    return pd.DataFrame(
        {
            "x_mm": x[of],
            "y_mm": y[of],
            "z_um": depth[of],
            "dx_um": length * sine * np.cos(azimuth),
            "dy_um": length * sine * np.sin(azimuth),
            "dz_um": length * z,
            "v_front": v,
            "v_back": v,
            "kind": "spallation",
        }
    )


def _etch(segments: pd.DataFrame, sheet: Sheet, rng: np.random.Generator) -> pd.DataFrame:
    """Return the pits of straight tracks, one row a surface that the etchant let one open on."""
    uneven = np.clip(rng.normal(1, sheet.removed_spread, (2, len(segments))), 0.5, 1.5)
    start = segments[["x_mm", "y_mm", "z_um"]].to_numpy(float)
    along = segments[["dx_um", "dy_um", "dz_um"]].to_numpy(float)
    length = np.sqrt((along**2).sum(1))
    end = start + along * [1e-3, 1e-3, 1]
    # On its way up a track is entered at its end.
    upwards = along[:, 2] < 0
    shallow = np.where(upwards[:, None], end, start)
    deep = np.where(upwards[:, None], start, end)
    inward = np.where(upwards[:, None], -along, along)
    dip = np.arcsin(np.clip(inward[:, 2] / np.maximum(length, 1e-9), 0, 1))
    depth_front, depth_back = shallow[:, 2], sheet.thickness_um - deep[:, 2]
    both = (depth_front < sheet.removed_um) & (depth_back < sheet.removed_um)
    parts = []
    for front in (True, False):
        depth = depth_front if front else depth_back
        point = shallow if front else deep
        sign = 1 if front else -1
        removed = np.clip(sheet.removed_um - depth, 0, None) * uneven[0 if front else 1]
        v = segments["v_front" if front else "v_back"].to_numpy(float)
        # Etched from both ends, a track is used up when the two meet.
        available = np.where(both, length / 2, length)
        azimuth = np.arctan2(sign * inward[:, 1], sign * inward[:, 0])
        shape = opening(v, dip, removed, available)
        shift = shape.shift_um / 1000
        part = pd.DataFrame(
            {
                "particle": segments["particle"].to_numpy(),
                "kind": segments["kind"].to_numpy(),
                "front": front,
                "x_mm": point[:, 0] + shift * np.cos(azimuth),
                "y_mm": point[:, 1] + shift * np.sin(azimuth),
                "entered_x_mm": point[:, 0],
                "entered_y_mm": point[:, 1],
                "v": v,
                "dip_rad": dip,
                "azimuth_rad": azimuth,
                "removed_um": removed,
                "length_um": available,
                "major_um": shape.major_um,
                "minor_um": shape.minor_um,
                "depth_um": shape.depth_um,
            }
        )
        parts.append(part[shape.exists])
    return pd.concat(parts, ignore_index=True)


def _stream(seed: int, what: int, cell: tuple[int, int]) -> np.random.Generator:
    """Return a cell's random stream for one kind of thing; indices of cells may be negative."""
    return np.random.default_rng([seed, what, cell[0] % 2**32, cell[1] % 2**32])


def _first_number(cell: tuple[int, int]) -> int:
    """Return where a cell's numbers start; those of no other cell come near (all below 2⁵³)."""
    return ((cell[0] % 2**15) * 2**15 + cell[1] % 2**15) * 2**20


def reach_mm(population: Population, sheet: Sheet) -> float:
    """Return how far from its cell a particle's pits can lie."""
    h = population.hips
    zenith = h.max_zenith_deg if h.direction == "isotropic" else h.zenith_deg + 5 * h.spread_deg
    slope = np.tan(np.deg2rad(min(zenith, 83.0)))
    ion = (sheet.thickness_um / 1000 + sheet.depth_mm) * slope
    # Prongs run at most 2 mm, pits are below 1 mm, and most ranges are far shorter.
    return float(max(ion, 2.0 if population.stars.per_tile else 0.0)) + 1.0


def draw_pits(
    seed: int, cell: tuple[int, int], population: Population, sheet: Sheet, *, exposure: int = 0
) -> pd.DataFrame:
    """Return the pits of all particles that belong to one cell.

    Parameters
    ----------
    seed : of the exposure; foils of one stack share it and their ions.
    cell : (i, j), the square from (i, j) times ``CELL_MM`` on.
    exposure : which foil of the stack; its background is its own.

    Returns
    -------
    DataFrame, one row an opening: ``particle``, ``kind`` (hip, fragment, maybe, spallation),
    ``front`` (bool: the surface), ``x_mm, y_mm`` of the opening's centre on the sheet,
    ``entered_x_mm, entered_y_mm`` where the etchant entered the track, ``v``, ``dip_rad``,
    ``azimuth_rad`` (of the track into the plastic), ``removed_um``, ``length_um``,
    ``major_um``, ``minor_um``, ``depth_um``.
    """
    own = 10 * (exposure + 1)
    ions = _stream(seed, 0, cell), _stream(seed, own, cell)
    parts = [
        _draw_hips(*ions, cell, population.hips, sheet),
        _draw_fragments(_stream(seed, own + 1, cell), cell, population, sheet),
        _draw_stars(_stream(seed, own + 2, cell), cell, population, sheet),
    ]
    segments = pd.concat(parts, ignore_index=True)
    segments["particle"] = _first_number(cell) + np.arange(len(segments))
    return _etch(segments, sheet, ions[1])


MARK_COLUMNS = [
    "x0_mm",
    "y0_mm",
    "x1_mm",
    "y1_mm",
    "radius_mm",
    "height_um",
    "opacity",
    "profile",
    "kind",
    "mark",
]
"""A mark is drawn as strokes: capsules from (x0, y0) to (x1, y1) of a radius; ``height_um`` at the
middle, ``opacity`` 0 to 1, ``profile`` bump, groove, ring or hole; strokes share their ``mark``, a
number that no other mark of the foil has."""


def _path(
    rng: np.random.Generator, x: float, y: float, length: float, bend: float, steps: int
) -> Floats:
    """Return (steps + 1, 2) points of a smooth random curve through (x, y)."""
    turn = np.cumsum(rng.normal(0, bend / np.sqrt(steps), steps)) + rng.uniform(0, 2 * np.pi)
    points = np.cumsum(np.c_[np.cos(turn), np.sin(turn)] * length / steps, axis=0)
    points = np.vstack([[0, 0], points])
    return np.asarray(points - points[len(points) // 2] + [x, y])


def _dust(rng: np.random.Generator, x: float, y: float) -> list[tuple[object, ...]]:
    size = rng.lognormal(np.log(0.03), 0.5)
    out = []
    for _ in range(rng.integers(3, 8)):
        px, py = (x, y) + rng.normal(0, 0.6 * size, 2)
        qx, qy = (px, py) + rng.normal(0, 0.5 * size, 2)
        r = size * rng.uniform(0.3, 0.9)
        out.append((px, py, qx, qy, r, 600 * r, rng.uniform(0.6, 1), "bump"))
    return out


def _scratch(rng: np.random.Generator, x: float, y: float) -> list[tuple[object, ...]]:
    points = _path(rng, x, y, rng.lognormal(np.log(1.0), 0.5), 0.15, 8)
    r, depth = rng.uniform(0.004, 0.015), rng.uniform(3, 12)
    return [(*p, *q, r, -depth, 0.0, "groove") for p, q in zip(points, points[1:], strict=False)]


def _fibre(rng: np.random.Generator, x: float, y: float) -> list[tuple[object, ...]]:
    points = _path(rng, x, y, rng.lognormal(np.log(1.2), 0.4), 2.0, 24)
    r, opacity = rng.uniform(0.006, 0.014), rng.uniform(0.3, 0.8)
    return [
        (*p, *q, r, 1000 * r, opacity, "bump") for p, q in zip(points, points[1:], strict=False)
    ]


def _bubble(rng: np.random.Generator, x: float, y: float) -> list[tuple[object, ...]]:
    return [(x, y, x, y, rng.lognormal(np.log(0.04), 0.4), 0.0, rng.uniform(0.6, 0.95), "ring")]


def draw_marks(
    seed: int,
    cell: tuple[int, int],
    population: Population,
    *,
    exposure: int = 0,
    back: bool = False,
) -> pd.DataFrame:
    """Return the dust, scratches, fibres, bubbles and holes of one cell as ``MARK_COLUMNS``.

    Dust, scratches and fibres lie on one side of the sheet, the back one if ``back``.
    """
    own = 10 * (exposure + 1)
    inside, on = _stream(seed, own + 3, cell), _stream(seed, own + 4 + back, cell)
    m = population.marks
    drawn = (
        ("bubble", _bubble, inside, m.bubbles_per_tile),
        ("dust", _dust, on, m.dust_per_tile),
        ("scratch", _scratch, on, m.scratches_per_tile),
        ("fibre", _fibre, on, m.fibres_per_tile),
    )
    marks: list[list[tuple[object, ...]]] = []
    for kind, draw, rng, rate in drawn:
        places = zip(*_places(rng, cell, rate, None), strict=True)
        marks += [[(*stroke, kind) for stroke in draw(rng, x, y)] for x, y in places]
    for x, y in m.holes_mm:
        if (np.floor(x / CELL_MM), np.floor(y / CELL_MM)) == cell:
            marks.append([(x, y, x, y, m.hole_radius_mm, 0.0, 0.0, "hole", "hole")])
    # Apart from each other's numbers on the two sides, as from those of other cells.
    first = _first_number(cell) + 2**19 * back
    rows = [(*stroke, first + n) for n, strokes in enumerate(marks) for stroke in strokes]
    return pd.DataFrame(rows, columns=MARK_COLUMNS)
