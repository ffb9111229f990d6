"""The domain of a model: on which pits and on which scans it may be used."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from etchscope.evaluation import proportion
from etchscope.foil.types import Bools, Floats
from etchscope.imaging import Lighting, given_lights

__all__ = ["Domain"]

FOREIGN = 0.05
"""A scan is foreign if more than this share of its pits lies beyond ``Domain.usual``; a share of
0.01 is normal."""
_SURE = 0.99
"""Confidence of the interval whose lower end must exceed ``FOREIGN``."""
LEAST_FINDS = 20
"""A scan with fewer finds is never foreign, because so few show nothing."""


@dataclass(frozen=True)
class Domain:
    """The domain in which a model may be used.

    Distances are those of ``Gaussians.nearest`` from the labels that the model was trained on.

    Attributes
    ----------
    recipe : digest of the recipe of normalisation.
    pixel_size_um : (low, high) of the pixel sizes in µm; None for a model trained without a scale.
    density_per_mm2 : greatest local density of pits in 1/mm²; None for no limit. There is no least
        density, because a pit looks the same with fewer neighbours.
    usual : distance that 1 % of all finds on the tiles of the labels exceed.
    limit : greatest distance of a valid pit. It lies as far beyond the distance that 0.1 % exceed
        as that distance lies beyond ``usual``.
    scale : for planes, (low, high) of the factors by which they are reduced; None for other lights.
        Recipe and pixel size do not matter for planes.
    limits : for planes, (``usual``, ``limit``) for each set of lights of the training. A set is a
        word of 0 and 1 in the order of ``GIVEN``.
    """

    recipe: str
    pixel_size_um: tuple[float, float] | None
    density_per_mm2: float | None
    usual: float
    limit: float
    scale: tuple[float, float] | None = None
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def under(self, lighting: Lighting) -> "Domain":
        """Return the domain for some lights.

        For planes of a set of lights that the training did not have, no pit lies inside.

        Parameters
        ----------
        lighting : the lights of a scan.
        """
        if self.scale is None:
            return self
        word = "".join(f"{int(v)}" for v in given_lights(lighting))
        usual, limit = self.limits.get(word, (-np.inf, -np.inf))
        return replace(self, usual=usual, limit=limit)

    def holds(self, distance: Floats, density: Floats) -> Bools:
        """Return which pits lie inside, (n,) bool.

        Parameters
        ----------
        distance : (n,) from the training; a pit whose distance is NaN is outside.
        density : (n,) local density in 1/mm²; NaN, an unknown density, excludes no pit.
        """
        inside = distance <= self.limit
        if self.density_per_mm2 is not None:
            inside = inside & ~(density > self.density_per_mm2)
        return np.asarray(inside, bool)

    def is_foreign(self, distance: Floats) -> bool:
        """Return whether a whole scan is of another kind than the training.

        It is if the share of its pits beyond ``usual`` is above ``FOREIGN`` with a confidence of
        99 % (Clopper–Pearson).

        Parameters
        ----------
        distance : (n,) of all pits of the scan.
        """
        if len(distance) < LEAST_FINDS:
            return False
        unusual = int((distance > self.usual).sum())
        return proportion(unusual, len(distance), confidence=_SURE).low > FOREIGN

    def knows_scale(self, pixel_size_um: float | None) -> bool:
        """Return whether a scan's pixel size in µm is one that the model was trained with.

        A scan without a scale goes with a model that was trained without one.

        Parameters
        ----------
        pixel_size_um : of the scan, in µm; None if it is unknown.
        """
        if self.scale is not None:
            return True
        if self.pixel_size_um is None or pixel_size_um is None:
            return self.pixel_size_um is None and pixel_size_um is None
        return self.pixel_size_um[0] <= pixel_size_um <= self.pixel_size_um[1]

    def to_record(self) -> dict[str, Any]:
        """Return the domain for JSON."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Domain":
        """Return the domain of a card; cards of earlier versions have no ``scale`` and ``limits``.

        Raises
        ------
        LookupError, TypeError, ValueError : the record is not that of a domain.
        """
        sizes, density, scale = record["pixel_size_um"], record["density_per_mm2"], None
        if record.get("scale") is not None:
            scale = (float(record["scale"][0]), float(record["scale"][1]))
        return cls(
            str(record["recipe"]),
            None if sizes is None else (float(sizes[0]), float(sizes[1])),
            None if density is None else float(density),
            float(record["usual"]),
            float(record["limit"]),
            scale,
            {str(k): (float(v[0]), float(v[1])) for k, v in record.get("limits", {}).items()},
        )
