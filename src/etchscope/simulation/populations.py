"""Parameters of the foil: its sheet, the particles that cross it, and the marks on it."""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.bounds import require_bounds, require_numbers, require_one_of, require_within
from etchscope.foil.types import Floats
from etchscope.physics.materials import (
    Material,
    etch_ratio,
    get_material,
    restricted_energy_loss,
)

__all__ = [
    "REFERENCE_TILE_MM2",
    "Density",
    "Fragments",
    "Hips",
    "HotSpot",
    "Marks",
    "Population",
    "Sheet",
    "Stars",
]

REFERENCE_TILE_MM2 = 640 * 480 * 0.0064516**2
"""12.79 mm²: numbers ``per_tile`` are per this area at every magnification."""
_MOST = 20000.0


@dataclass(frozen=True)
class Sheet:
    """One plastic foil: its material, thickness before etching, and bulk removed on each side.

    The material is a name of ``MATERIALS``, or a ``Material`` with the response of another etchant.
    ``removed_spread`` is the relative rms of the removed bulk from pit to pit, ``depth_mm`` the
    distance behind the first foil of the stack at which the sheet was exposed.
    """

    material: str | Material = "makrofol"
    thickness_um: float = 500.0
    removed_um: float = 58.0
    removed_spread: float = 0.04
    depth_mm: float = 0.0

    def __post_init__(self) -> None:
        get_material(self.material)
        require_bounds(
            self, {"thickness_um": (50, 5000), "removed_spread": (0, 0.2), "depth_mm": (0, 1000)}
        )
        require_within("sheet.removed_um", self.removed_um, 1, 0.45 * self.thickness_um)


@dataclass(frozen=True)
class Hips:
    """Through-going highly ionising particles: the signal.

    A ``beam`` arrives around (``zenith_deg``, ``azimuth_deg``) with Gaussian projected angles of
    ``spread_deg``; an ``isotropic`` flux arrives from all directions up to ``max_zenith_deg``.
    ``azimuth_deg`` is that of the velocity, ccw from +x on the front. ``rel_mev_cm2_g`` replaces
    charge and velocity, and ``v`` (V_T / V_B) replaces the response of the material. ``v_spread``
    is the relative spread of V − 1 from one pit to another.
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
    v: float | None = None
    v_spread: float = 0.08

    def __post_init__(self) -> None:
        require_bounds(
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
        require_one_of("hips.direction", self.direction, ("beam", "isotropic"))
        if self.rel_mev_cm2_g is not None:
            require_within("hips.rel_mev_cm2_g", self.rel_mev_cm2_g, 0, 1e6)
        if self.v is not None:
            require_within("hips.v", self.v, 1, 100)

    def energy_loss(self, sheet: Sheet) -> float:
        """Return the restricted energy loss in a sheet's material, MeV cm²/g."""
        if self.rel_mev_cm2_g is not None:
            return self.rel_mev_cm2_g
        material = get_material(sheet.material)
        return float(restricted_energy_loss(self.charge, self.beta, material))

    def ratio(self, sheet: Sheet) -> float:
        """Return V in a sheet's material, before its spread."""
        if self.v is not None:
            return self.v
        return float(etch_ratio(self.energy_loss(sheet), get_material(sheet.material)))


@dataclass(frozen=True)
class Fragments:
    """Single background pits: fragments that start or stop inside the sheet.

    Half of them have V = V_T / V_B below ``v``; the excess of their energy loss over the material's
    threshold is log-normal with ``rel_sigma`` around the loss that gives that V. Ranges inside the
    sheet are exponential with mean ``range_um``, so many pits are over-etched and rounded.
    Directions are those of an isotropic flux up to ``max_zenith_deg`` that leaves a pit. A fraction
    ``top_fraction`` opens on the front. ``doubtful_per_tile`` pairs of unrelated pits lie on top of
    each other, one on each surface; a person cannot distinguish them from signal (class maybe).
    """

    per_tile: float = 100.0
    top_fraction: float = 0.45
    v: float = 2.15
    rel_sigma: float = 0.5
    range_um: float = 150.0
    max_zenith_deg: float = 50.0
    doubtful_per_tile: float = 0.0

    def __post_init__(self) -> None:
        require_bounds(
            self,
            {
                "per_tile": (0, _MOST),
                "top_fraction": (0, 1),
                "v": (1.001, 100),
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

    A kind is drawn for each star: ``isotropic``; ``forward``, with prongs within 60° of the
    direction into the sheet; ``back-to-back``, with two prongs in opposite directions. ``v``,
    ``rel_sigma`` and ``range_um`` are as for fragments.
    """

    per_tile: float = 0.0
    kinds: tuple[StarKind, ...] = ("isotropic", "forward", "back-to-back")
    max_prongs: int = 5
    v: float = 2.8
    rel_sigma: float = 0.4
    range_um: float = 120.0

    def __post_init__(self) -> None:
        require_bounds(
            self,
            {
                "per_tile": (0, _MOST),
                "max_prongs": (2, 20),
                "v": (1.001, 100),
                "rel_sigma": (0, 2),
                "range_um": (1, 2000),
            },
        )
        require_within("number of stars.kinds", len(self.kinds), 1, 3)
        for kind in self.kinds:
            require_one_of("stars.kinds", kind, get_args(StarKind))


@dataclass(frozen=True)
class Marks:
    """Numbers of marks per tile; ``holes_mm`` are places (x, y) of drilled holes on the sheet.

    A drop is the remainder of a dried drop of water or etchant: a spot with a rim, 20 to 80 µm in
    radius. ``variety`` is an additional spread of scratches and fibres in width, depth, bend and
    darkness, as the rms of the natural logarithm.
    """

    dust_per_tile: float = 0.0
    scratches_per_tile: float = 0.0
    fibres_per_tile: float = 0.0
    bubbles_per_tile: float = 0.0
    drops_per_tile: float = 0.0
    variety: float = 0.0
    holes_mm: tuple[tuple[float, float], ...] = ()
    hole_radius_mm: float = 0.25

    def __post_init__(self) -> None:
        kinds = ("dust", "scratches", "fibres", "bubbles", "drops")
        rates = {f"{kind}_per_tile": (0.0, 1000.0) for kind in kinds}
        require_bounds(self, {**rates, "variety": (0, 2), "hole_radius_mm": (0.01, 5)})
        for hole in self.holes_mm:
            if not isinstance(hole, tuple):
                raise BadInput("simulation: marks.holes_mm", "pairs of x and y", repr(hole))
            require_numbers("marks.holes_mm", hole, -1e4, 1e4, count=2)


@dataclass(frozen=True)
class HotSpot:
    """A region whose background is ``factor`` times denser at its centre, Gaussian in shape."""

    x_mm: float
    y_mm: float
    radius_mm: float
    factor: float

    def __post_init__(self) -> None:
        require_bounds(self, {"radius_mm": (0.1, 1000), "factor": (0, 1000)})


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
        require_bounds(self, {"gradient_per_mm": (-10, 10), "gradient_deg": (-360, 360)})

    def at(self, x_mm: Floats, y_mm: Floats) -> Floats:
        """Return the relative density, (n,) of at least 0, at places of the sheet."""
        a = np.deg2rad(self.gradient_deg)
        out = 1 + self.gradient_per_mm * (x_mm * np.cos(a) + y_mm * np.sin(a))
        for spot in self.hot:
            r2 = ((x_mm - spot.x_mm) ** 2 + (y_mm - spot.y_mm) ** 2) / spot.radius_mm**2
            out = out * (1 + (spot.factor - 1) * np.exp(-r2 / 2))
        return np.asarray(np.clip(out, 0, None))


@dataclass(frozen=True)
class Population:
    """All particles and marks of a foil. Numbers are per reference tile (12.79 mm²)."""

    hips: Hips = field(default_factory=Hips)
    fragments: Fragments = field(default_factory=Fragments)
    stars: Stars = field(default_factory=Stars)
    marks: Marks = field(default_factory=Marks)
    density: Density = field(default_factory=Density)

    @classmethod
    def of(cls, background_per_tile: float, pairs_per_tile: float) -> "Population":
        """Return a population with these two numbers per tile, all else at its default."""
        return cls(Hips(per_tile=pairs_per_tile), Fragments(per_tile=background_per_tile))
