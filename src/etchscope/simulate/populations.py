"""Which pits a simulated foil has: signal pairs and single background pits, with their truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats

__all__ = ["Population", "draw_openings"]


@dataclass(frozen=True)
class Population:
    """How many pits, and of what shape; lengths in pixels of the reference scan.

    Signal pairs are displaced by less than ``radius_px`` in half of the cases, by one to
    2.5 radii in the other half. Background radii are log-normal around ``background_radius_px``
    and overlap the signal's; a fraction ``top_fraction`` of them lies on the top surface.
    """

    background_per_tile: float = 100.0
    pairs_per_tile: float = 5.0
    radius_px: float = 7.0
    background_radius_px: float = 6.0
    top_fraction: float = 0.45

    def __post_init__(self) -> None:
        for name, least, most in (
            ("background_per_tile", 0, 20000),
            ("pairs_per_tile", 0, 20000),
            ("radius_px", 1, 100),
            ("background_radius_px", 1, 100),
            ("top_fraction", 0, 1),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise BadInput(f"simulation: {name}", f"{least} to {most}", repr(value))


def _shapes(rng: np.random.Generator, radius_px: Floats, *, steep: Bools) -> dict[str, Any]:
    """Draw wall slope, ellipticity, direction and roundness of pits of given radii."""
    n = len(radius_px)
    tilt = np.where(steep, rng.beta(1.2, 12, n), rng.beta(1.2, 4, n) * 0.6)
    return {
        "radius_px": radius_px,
        "ellipticity": tilt,
        "angle_deg": rng.uniform(0, 180, n),
        "slope": np.where(
            steep,
            rng.normal(0.5, 0.05, n).clip(0.3, 0.7),
            rng.lognormal(np.log(0.4), 0.35, n).clip(0.18, 0.9),
        ),
        "roundness": np.where(steep, rng.uniform(0, 0.4, n), rng.uniform(0, 1, n)),
    }


def draw_openings(
    rng: np.random.Generator,
    population: Population,
    *,
    width_px: float,
    height_px: float,
    tiles: float,
) -> pd.DataFrame:
    """Return the pit openings of one foil, in pixels of its front scan laid out as one picture.

    Parameters
    ----------
    rng : the only source of chance.
    width_px, height_px : size of the area; x right, y down, from its upper left corner.
    tiles : how many tiles that area is worth, which scales the numbers a tile.

    Returns
    -------
    DataFrame, one row an opening: ``x_px, y_px, surface`` (as seen from the front), ``hip``
    (bool), ``particle`` (pairs share it), ``radius_px, ellipticity, angle_deg, slope,
    roundness``.
    """
    pairs = rng.poisson(population.pairs_per_tile * tiles)
    singles = rng.poisson(population.background_per_tile * tiles)
    radius = population.radius_px * rng.normal(1, 0.06, pairs).clip(0.8, 1.2)
    far = rng.random(pairs) < 0.5
    shift = np.where(far, rng.uniform(1, 2.5, pairs), rng.uniform(0, 1, pairs)) * radius
    direction = rng.uniform(0, 2 * np.pi, pairs)
    x, y = rng.uniform(0, width_px, pairs), rng.uniform(0, height_px, pairs)
    shape = _shapes(rng, radius, steep=np.ones(pairs, bool))
    entry = pd.DataFrame({"x_px": x, "y_px": y, "surface": "top", **shape})
    shape["radius_px"] = radius * rng.normal(1, 0.04, pairs).clip(0.85, 1.15)
    exit_ = pd.DataFrame(
        {
            "x_px": x + shift * np.cos(direction),
            "y_px": y - shift * np.sin(direction),
            "surface": "bottom",
            **shape,
        }
    )
    size = rng.lognormal(np.log(population.background_radius_px), 0.28, singles).clip(3, 12)
    background = pd.DataFrame(
        {
            "x_px": rng.uniform(0, width_px, singles),
            "y_px": rng.uniform(0, height_px, singles),
            "surface": np.where(rng.random(singles) < population.top_fraction, "top", "bottom"),
            **_shapes(rng, size, steep=np.zeros(singles, bool)),
        }
    )
    out = pd.concat([entry, exit_, background], ignore_index=True)
    out["hip"] = np.arange(len(out)) < 2 * pairs
    out["particle"] = np.r_[np.arange(pairs), np.arange(pairs), pairs + np.arange(singles)]
    return out
