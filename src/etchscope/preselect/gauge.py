"""Corrections of the sizes, shapes and depths that the network states, and of their errors.

The network sees each opening alone, and its values are biased towards usual ones. The bias depends
on the neighbours of the opening and on the other openings of the tile, which the gauge uses.
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
"""The quantities that are corrected."""
ERROR_OF = {
    "place": "s_place",
    "log_radius": "s_radius",
    "ellipticity": "s_ellipse",
    "log_depth": "s_depth",
}
"""For each quantity with an error, the name of the network's logarithm of that error."""
_STATED = ("log_radius", "log_depth", "s_place", "s_radius", "s_ellipse", "s_depth", "log_odds")
_USUAL = ("log_radius", "log_depth")
GAUGE_FEATURES = (
    "surface",
    *FEATURES,
    *_STATED,
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
"""The features of a find.

Its surface (1 for top, −1 for bottom, 0 for unknown); ``FEATURES`` of the classifiers; the values
that the network states; its ellipticity and contrast; the tile's median of contrast on the same
surface, and of log radius and log depth on the same surface and on the other; for the nearest
opening of the same surface and of the other, its distance over the radius, and the logarithm of its
radius over that of the find; the logarithm of one more than the number of finds in the tile; and
whether there are lamps, a backlit and a halo picture (1 or 0)."""
_FAR = 20.0
"""Greatest distance of a neighbour in radii; it is also stated where there is no neighbour."""


def measure_surroundings(
    peaks: Mapping[str, NDArray[Any]], contrast: Floats, given: NDArray[np.float32]
) -> Floats:
    """Return ``GAUGE_FEATURES`` of the finds of one tile, (n, feature) float64.

    A feature that does not exist, such as the median on a surface without finds, is 0.

    Parameters
    ----------
    peaks : n finds of ``read_openings``, in pixels of the network.
    contrast : (n,) contrast of each find.
    given : (5,) float32 of 1 and 0, the lights that there are; see ``Planes``.
    """
    n, surface = len(peaks["x"]), peaks["surface"]
    column = dict.fromkeys(GAUGE_FEATURES, np.zeros(n))
    column |= {name: np.asarray(peaks[name], np.float64) for name in _STATED}
    column |= dict(zip(FEATURES, np.asarray(peaks["features"]).T, strict=True))
    column["surface"] = np.select([surface == "top", surface == "bottom"], [1.0, -1.0], 0.0)
    column["ellipticity"] = np.hypot(peaks["e_cos"], peaks["e_sin"])
    column["contrast"] = contrast
    column["crowd"] = np.full(n, np.log1p(n))
    for name in ("lamps", "backlit", "halo"):
        column[name] = np.full(n, float(given[GIVEN.index(name)]))
    place = np.column_stack([peaks["x"], peaks["y"]])
    around = [name for name in GAUGE_FEATURES if name.startswith(("usual", "other", "same"))]
    column |= {name: np.zeros(n) for name in around}
    for name in ("same_apart", "other_apart"):
        column[name] = np.full(n, _FAR)
    for one in np.unique(surface):
        mine = np.flatnonzero(surface == one)
        others = np.flatnonzero((surface != one) & (surface != "unknown"))
        column["usual_contrast"][mine] = np.median(contrast[mine])
        for name in _USUAL:
            column[f"usual_{name}"][mine] = np.median(peaks[name][mine])
            if len(others):
                column[f"other_usual_{name}"][mine] = np.median(peaks[name][others])
        for whose, those, rank in (("same", mine, 2), ("other", others, 1)):
            if len(those) < rank:
                continue
            apart, near = cKDTree(place[those]).query(place[mine], k=[rank])
            radius = np.exp(peaks["log_radius"][mine].clip(-1, 5))
            column[f"{whose}_apart"][mine] = np.minimum(apart[:, 0] / radius, _FAR)
            larger = peaks["log_radius"][those[near[:, 0]]] - peaks["log_radius"][mine]
            column[f"{whose}_larger"][mine] = larger
    return np.column_stack([column[name] for name in GAUGE_FEATURES])


@dataclass(frozen=True)
class Gauge:
    """Trees that correct the shapes of openings, and trees that correct the errors of the shapes.

    Attributes
    ----------
    correction : for each of ``GAUGED`` the trees that give the value to be added to it.
    log_error : for each of ``GAUGED`` and for ``place`` the trees that give the value to be added
        to the logarithm of the network's own standard deviation.
    """

    correction: Mapping[str, Trees]
    log_error: Mapping[str, Trees]

    def correct(self, peaks: dict[str, NDArray[Any]], around: Floats) -> dict[str, NDArray[Any]]:
        """Return the finds with their shapes and errors corrected.

        Parameters
        ----------
        peaks : n finds of ``read_openings``.
        around : (n, feature) features of ``measure_surroundings``.

        Returns
        -------
        A copy of the finds. Its ``s_place, s_radius, s_ellipse, s_depth`` are logarithms of one
        standard deviation of x and y, of log_radius, of e_cos and e_sin, and of log_depth.
        """
        out = dict(peaks)
        for name in ("log_radius", "log_depth"):
            out[name] = peaks[name] + self.correction[name](around)
        before = np.hypot(peaks["e_cos"], peaks["e_sin"])
        after = (before + self.correction["ellipticity"](around)).clip(0, 0.95)
        for name in ("e_cos", "e_sin"):
            out[name] = peaks[name] * after / np.maximum(before, 1e-6)
        for name, column in ERROR_OF.items():
            out[column] = peaks[column].clip(-5, 3) + self.log_error[name](around)
        return out

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the tables of all trees by name, each (tree, node); see ``from_arrays``."""
        return {
            f"{kind}.{name}.{key}": table
            for kind in ("correction", "log_error")
            for name, trees in getattr(self, kind).items()
            for key, table in trees.to_arrays().items()
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Gauge":
        """Return the gauge from the tables of ``to_arrays``.

        Parameters
        ----------
        arrays : the tables by name, each (tree, node).

        Raises
        ------
        KeyError : a table is missing.
        ValueError : tables that are no trees.
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
        """Return the gauge that corrects nothing."""
        none = Trees.constant(0.0)
        return cls(dict.fromkeys(GAUGED, none), dict.fromkeys(ERROR_OF, none))
