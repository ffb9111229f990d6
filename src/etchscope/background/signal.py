"""Signal to inject: particles of known weights, and the openings that they would leave.

Places and angles are those of the picture: x to the right and y up in mm, azimuths
counter-clockwise from +x. The front of the sheet is the surface that faces the camera.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from etchscope.foil import BadInput, Foil
from etchscope.foil.bounds import require_bounds
from etchscope.foil.types import Floats
from etchscope.physics.materials import (
    charge_over_beta,
    energy_loss_from_ratio,
    etch_ratio,
    recognise_material,
    restricted_energy_loss,
)
from etchscope.simulation import Sheet
from etchscope.simulation.particles import etch

__all__ = ["SignalPopulation", "draw_particles", "list_openings", "require_sheet"]

_ABOVE = 1.05
"""V · sin(dip) from which on a pit is counted; the opening vanishes at 1."""


@dataclass(frozen=True)
class SignalPopulation:
    """Through-going particles that are drawn for an injection.

    ln(V − 1) is uniform between those of ``v_low`` and ``v_high``, directions are those of an
    isotropic flux through the sheet up to ``max_zenith_deg``, as far as V · sin(dip) ≥ 1.05.
    ``v_spread`` is the relative spread of V − 1 from pit to pit.

    Raises
    ------
    BadInput : a value outside its range, or ``v_high`` not above ``v_low``.
    """

    v_low: float = 1.6
    v_high: float = 6.0
    max_zenith_deg: float = 35.0
    v_spread: float = 0.08

    def __post_init__(self) -> None:
        require_bounds(
            self,
            {
                "v_low": (1.1, 50),
                "v_high": (1.1, 50),
                "max_zenith_deg": (0, 80),
                "v_spread": (0, 0.5),
            },
        )
        if not self.v_low < self.v_high:
            raise BadInput("signal: v_high", f"more than v_low, {self.v_low:g}", f"{self.v_high:g}")

    @classmethod
    def of_charges(
        cls, low: float, high: float, material: str | None, **how: Any
    ) -> "SignalPopulation":
        """Return the population of particles with Z/β between two values.

        Parameters
        ----------
        low, high : Z/β of relativistic particles.
        material : of the foil; it must have a response curve.
        how : ``max_zenith_deg`` and ``v_spread``.

        Raises
        ------
        BadInput : the material is not recognised, or a Z/β etches no pit.
        """
        known = recognise_material(material)
        if known is None:
            raise BadInput(
                "foil: material", "one with a response curve, to use Z/β", repr(material)
            )
        v = [
            float(etch_ratio(restricted_energy_loss(min(max(z, 1.0), 300.0), 0.9999, known), known))
            for z in (low, high)
        ]
        if v[0] < 1.1:
            found = f"{low:g}, of V = {v[0]:.2f}"
            raise BadInput("signal: lowest Z/β", "one that etches a pit, V ≥ 1.1", found)
        return cls(v_low=v[0], v_high=v[1], **how)

    def to_dict(self) -> dict[str, float]:
        """Return the parameters for JSON."""
        return {name: float(value) for name, value in asdict(self).items()}

    def least_cosine(self, v: Floats) -> Floats:
        """Return the cosine of the greatest zenith angle at each V, (n,)."""
        greatest = np.cos(np.deg2rad(self.max_zenith_deg))
        return np.asarray(np.minimum(np.maximum(greatest, _ABOVE / v), 1.0))

    def density(self, v: Floats, cosine: Floats) -> Floats:
        """Return the density of draws per unit of V and steradian, (n,); 0 outside.

        Parameters
        ----------
        v, cosine : (n,) etch ratios and cosines of zenith angles.
        """
        least = self.least_cosine(v)
        inside = (v >= self.v_low) & (v <= self.v_high) & (cosine >= least) & (least < 1)
        width = np.log((self.v_high - 1) / (self.v_low - 1))
        room = np.where(least < 1, np.pi * (1 - least**2), 1.0)  # ∫ cosθ dΩ
        return np.where(inside, cosine / room / ((v - 1) * width), 0.0)


def require_sheet(foil: Foil) -> Sheet:
    """Return the sheet of a foil, for the geometry of its tracks.

    Raises
    ------
    BadInput : its thickness or the removed bulk is not known.
    """
    hint = "Give thickness_um, and etch with removed_um, in scan.json."
    where = f"foil {foil.name}"
    if foil.thickness_um is None:
        raise BadInput(
            f"{where}: thickness_um", "a number, to draw through-going tracks", "none", hint
        )
    if foil.removed_um is None:
        raise BadInput(f"{where}: removed_um", "a number, to draw etched pits", "none", hint)
    material = recognise_material(foil.material)
    return Sheet(
        material="makrofol" if material is None else material.name,
        thickness_um=foil.thickness_um,
        removed_um=foil.removed_um,
    )


def draw_particles(
    rng: np.random.Generator, population: SignalPopulation, n: int, material: str | None
) -> pd.DataFrame:
    """Return particles with the density at which each was drawn.

    Parameters
    ----------
    n : their number.
    material : of the foil; without a response curve Z/β stays unknown.

    Returns
    -------
    n rows: ``v`` (before its spread), ``z_over_beta`` (NaN where unknown), ``zenith_deg``,
    ``direction_deg`` (azimuth of the velocity), ``draw_density`` per unit of V and steradian.
    """
    low, high = population.v_low - 1, population.v_high - 1
    v = 1 + low * (high / low) ** rng.random(n)
    cosine = np.sqrt(rng.uniform(population.least_cosine(v) ** 2, 1))
    known = recognise_material(material)
    loss = None if known is None else energy_loss_from_ratio(v, known)
    return pd.DataFrame(
        {
            "v": v,
            "z_over_beta": np.full(n, np.nan)
            if known is None or loss is None
            else charge_over_beta(loss, known),
            "zenith_deg": np.rad2deg(np.arccos(np.clip(cosine, -1, 1))),
            "direction_deg": rng.uniform(0, 360, n),
            "draw_density": population.density(v, cosine),
        }
    )


def list_openings(
    rng: np.random.Generator,
    particles: pd.DataFrame,
    x_mm: Floats,
    y_mm: Floats,
    sheet: Sheet,
    v_spread: float,
) -> pd.DataFrame:
    """Return the openings of particles that cross a sheet, as ``particles.etch`` returns them.

    Parameters
    ----------
    rng : source of the spread of V and of the removed bulk.
    particles : see ``draw_particles``.
    x_mm, y_mm : (n,) where each crosses the surface that faces the camera.
    sheet : the foil.
    v_spread : relative spread of V − 1 from pit to pit.

    Returns
    -------
    Rows of ``etch`` with ``particle``, the row of ``particles``, of those that leave both pits.
    """
    n = len(particles)
    v = particles["v"].to_numpy(np.float64)
    zenith, azimuth = (
        np.deg2rad(particles[c].to_numpy(np.float64)) for c in ("zenith_deg", "direction_deg")
    )
    spread = np.clip(rng.normal(1, v_spread, (2, n)), 0.1, None)
    uneven = np.clip(rng.normal(1, sheet.removed_spread, (2, n)), 0.5, 1.5)
    across = sheet.thickness_um * np.tan(zenith)
    tracks = {
        "x_mm": np.asarray(x_mm, np.float64),
        "y_mm": np.asarray(y_mm, np.float64),
        "z_um": np.zeros(n),
        "dx_um": across * np.cos(azimuth),
        "dy_um": across * np.sin(azimuth),
        "dz_um": np.full(n, sheet.thickness_um),
        "v_front": 1 + (v - 1) * spread[0],
        "v_back": 1 + (v - 1) * spread[1],
        "kind": np.zeros(n),
        "particle": np.arange(n, dtype=np.float64),
        "uneven_front": uneven[0],
        "uneven_back": uneven[1],
    }
    pits = etch([tracks], sheet)
    both = pits.groupby("particle")["front"].transform("size") == 2
    return pits[both].reset_index(drop=True)
