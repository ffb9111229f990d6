"""How large, long and deep an opening is, and how well that is known: the network's word corrected.

The network sees an opening alone. What it says is drawn towards what is usual, by how much depends
on the opening's neighbours and on how the other openings of the tile look: the gauge knows these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from etchscope.foil.types import Floats
from etchscope.imaging.planes import GIVEN
from etchscope.preselect.classifier import FEATURES, Trees

__all__ = ["ERROR_OF", "GAUGED", "GAUGE_FEATURES", "Gauge", "measure_surroundings"]

GAUGED = ("log_radius", "ellipticity", "log_depth")
"""What is corrected."""
ERROR_OF = {
    "place": "s_place",
    "log_radius": "s_radius",
    "ellipticity": "s_ellipse",
    "log_depth": "s_depth",
}
"""What an error is told of → the network's logarithm of it."""
_SAID = ("log_radius", "log_depth", "s_place", "s_radius", "s_ellipse", "s_depth", "log_odds")
_USUAL = ("log_radius", "log_depth")
GAUGE_FEATURES = (
    "surface",
    *FEATURES,
    *_SAID,
    "ellipticity",
    "contrast",
    "usual_contrast",
    *(f"{whose}_{what}" for whose in ("usual", "other_usual") for what in _USUAL),
    *(f"{whose}_{what}" for whose in ("same", "other") for what in ("apart", "larger")),
    "crowd",
    "lamps",
    "backlit",
    "halo",
)
"""1 for top, −1 for bottom, 0 for unknown; what the judge knows; what the network says; contrast;
the tile's median of contrast on the same surface, and of log radius and log depth on the same and
on the other; the nearest opening of the same and of the other surface: its distance over the radius
and the logarithm of its radius over this one's; logarithm of the number of finds in the tile; and
1 where there are lamps, a backlit and a halo picture."""
_FAR = 20.0
"""Neighbours farther than so many radii are no neighbours."""


def measure_surroundings(
    said: Mapping[str, NDArray[Any]], contrast: Floats, given: NDArray[np.float32]
) -> Floats:
    """Return ``GAUGE_FEATURES`` of the finds of one tile, (n, feature); 0 for what there is not.

    Parameters
    ----------
    said : of ``read_openings``, in the network's pixels.
    contrast : (n,) of each find.
    given : (5,) of ``Planes``: which lights there are.
    """
    n, surface = len(said["x"]), said["surface"]
    column = dict.fromkeys(GAUGE_FEATURES, np.zeros(n))
    column |= {name: np.asarray(said[name], np.float64) for name in _SAID}
    column |= dict(zip(FEATURES, np.asarray(said["features"]).T, strict=True))
    column["surface"] = np.select([surface == "top", surface == "bottom"], [1.0, -1.0], 0.0)
    column["ellipticity"] = np.hypot(said["e_cos"], said["e_sin"])
    column["contrast"] = contrast
    column["crowd"] = np.full(n, np.log1p(n))
    for name in ("lamps", "backlit", "halo"):
        column[name] = np.full(n, float(given[GIVEN.index(name)]))
    place = np.column_stack([said["x"], said["y"]])
    around = [name for name in GAUGE_FEATURES if name.startswith(("usual", "other", "same"))]
    column |= {name: np.zeros(n) for name in around}
    for name in ("same_apart", "other_apart"):
        column[name] = np.full(n, _FAR)
    for one in np.unique(surface):
        mine = np.flatnonzero(surface == one)
        others = np.flatnonzero((surface != one) & (surface != "unknown"))
        column["usual_contrast"][mine] = np.median(contrast[mine])
        for name in _USUAL:
            column[f"usual_{name}"][mine] = np.median(said[name][mine])
            if len(others):
                column[f"other_usual_{name}"][mine] = np.median(said[name][others])
        for whose, those, rank in (("same", mine, 2), ("other", others, 1)):
            if len(those) < rank:
                continue
            apart, near = cKDTree(place[those]).query(place[mine], k=[rank])
            radius = np.exp(said["log_radius"][mine].clip(-1, 5))
            column[f"{whose}_apart"][mine] = np.minimum(apart[:, 0] / radius, _FAR)
            larger = said["log_radius"][those[near[:, 0]]] - said["log_radius"][mine]
            column[f"{whose}_larger"][mine] = larger
    return np.column_stack([column[name] for name in GAUGE_FEATURES])


@dataclass(frozen=True)
class Gauge:
    """Trees that correct shapes, and trees that say how well these are then known.

    Attributes
    ----------
    correction : of each of ``GAUGED``, to be added.
    log_error : of each of ``GAUGED`` and of ``place``, to be added to the logarithm of the
        network's own standard deviation.
    """

    correction: Mapping[str, Trees]
    log_error: Mapping[str, Trees]

    def correct(self, said: dict[str, NDArray[Any]], around: Floats) -> dict[str, NDArray[Any]]:
        """Return finds with their shapes corrected.

        Parameters
        ----------
        said : of ``read_openings``.
        around : (n, feature) of ``measure_surroundings``.

        Returns
        -------
        The same finds; ``s_place, s_radius, s_ellipse, s_depth`` are now logarithms of one standard
        deviation of a centre's x and y, of log_radius, of e_cos and e_sin, and of log_depth.
        """
        out = dict(said)
        for name in ("log_radius", "log_depth"):
            out[name] = said[name] + self.correction[name](around)
        before = np.hypot(said["e_cos"], said["e_sin"])
        after = (before + self.correction["ellipticity"](around)).clip(0, 0.95)
        for name in ("e_cos", "e_sin"):
            out[name] = said[name] * after / np.maximum(before, 1e-6)
        for name, column in ERROR_OF.items():
            out[column] = said[column].clip(-5, 3) + self.log_error[name](around)
        return out

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all tables by name."""
        return {
            f"{kind}.{name}.{key}": table
            for kind in ("correction", "log_error")
            for name, trees in getattr(self, kind).items()
            for key, table in trees.to_arrays().items()
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Gauge":
        """Return the gauge of stored tables.

        Raises
        ------
        KeyError, ValueError : tables that are no trees, or of which some are missing.
        """

        def read(kind: str, names: tuple[str, ...]) -> dict[str, Trees]:
            out = {}
            for name in names:
                start = f"{kind}.{name}."
                tables = {k[len(start) :]: v for k, v in arrays.items() if k.startswith(start)}
                out[name] = Trees.from_arrays(tables, features=len(GAUGE_FEATURES))
            return out

        return cls(read("correction", GAUGED), read("log_error", tuple(ERROR_OF)))

    @classmethod
    def plain(cls) -> "Gauge":
        """Return the gauge that takes the network at its word."""
        none = Trees.constant(0.0)
        return cls(dict.fromkeys(GAUGED, none), dict.fromkeys(ERROR_OF, none))
