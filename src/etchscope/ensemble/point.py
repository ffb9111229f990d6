"""The working point: thresholds on the score of candidates, by local density of pits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from etchscope.evaluation import (
    Figure,
    Measured,
    Requirement,
    Search,
    choose_thresholds,
    density_edges,
    efficiency_at_rate,
    measure_by_halves,
    measure_on_other,
)
from etchscope.foil.types import Floats

__all__ = ["UNKNOWN", "DensityClass", "WorkingPoint", "measure_working_point"]

UNKNOWN: Figure = (np.nan, np.nan, np.nan)
"""A figure that was not measured."""


@dataclass(frozen=True)
class DensityClass:
    """A range of local densities of pits, with its threshold and the figures measured in it.

    Attributes
    ----------
    from_per_mm2 : least density in 1/mm², 0 in the first class; the next class bounds it.
    threshold : least score of a candidate that is selected.
    efficiency, false_per_tile, false_per_cm2 : see ``WorkingPoint``.
    """

    from_per_mm2: float
    threshold: float
    efficiency: Figure = UNKNOWN
    false_per_tile: Figure = UNKNOWN
    false_per_cm2: Figure = UNKNOWN


@dataclass(frozen=True)
class WorkingPoint:
    """Thresholds: a candidate is selected if its score reaches that of its local density.

    Figures are (value, low, high) with a 95 % interval; NaN where they are unknown.

    Attributes
    ----------
    classes : by rising density, from 0 on; a single class means the same threshold everywhere.
    chosen_by, measured_on : the requirement, and the data of the figures, in words.
    efficiency : share of the signal particles with a selected candidate.
    false_per_tile, false_per_cm2 : false selected candidates per tile, and per cm².
    purity : share of the selected candidates that are true.
    efficiency_at_rate : efficiency at exactly the required number of false candidates per tile.
    """

    classes: tuple[DensityClass, ...]
    chosen_by: str
    measured_on: str
    efficiency: Figure = UNKNOWN
    false_per_tile: Figure = UNKNOWN
    false_per_cm2: Figure = UNKNOWN
    purity: Figure = UNKNOWN
    efficiency_at_rate: Figure = UNKNOWN

    @classmethod
    def of_one(
        cls,
        threshold: float,
        chosen_by: str,
        measured_on: str,
        efficiency: Figure = UNKNOWN,
        false_per_tile: Figure = UNKNOWN,
        false_per_cm2: Figure = UNKNOWN,
    ) -> "WorkingPoint":
        """Return the working point of one threshold for all densities.

        Parameters
        ----------
        threshold : least score of a candidate that is selected.
        chosen_by, measured_on, efficiency, false_per_tile, false_per_cm2 : see ``WorkingPoint``.
        """
        figures = efficiency, false_per_tile, false_per_cm2
        only = DensityClass(0.0, threshold, *figures)
        return cls((only,), chosen_by, measured_on, *figures)

    def threshold_at(self, density_per_mm2: Floats) -> Floats:
        """Return the threshold at local densities of pits, (n,) float64.

        Parameters
        ----------
        density_per_mm2 : (n,) in 1/mm²; NaN, an unknown density, has the highest threshold.
        """
        density = np.asarray(density_per_mm2, np.float64)
        edges = [c.from_per_mm2 for c in self.classes[1:]]
        thresholds = np.array([c.threshold for c in self.classes])
        by_density = thresholds[np.searchsorted(edges, density, side="right")]
        return np.where(np.isnan(density), thresholds.max(), by_density)

    @property
    def in_words(self) -> str:
        """The thresholds, as in "score 1.54" or "scores 1.20 to 3.40 by density"."""
        thresholds = [c.threshold for c in self.classes]
        if len(thresholds) == 1:
            return f"score {thresholds[0]:.2f}"
        return f"scores {min(thresholds):.2f} to {max(thresholds):.2f} by density"

    def to_record(self) -> dict[str, Any]:
        """Return the working point for JSON, with null instead of NaN."""
        whole = asdict(self)
        classes = [_finite(c) for c in whole.pop("classes")]
        return {"classes": classes, **_finite(whole)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "WorkingPoint":
        """Return the working point of a card; cards of earlier versions have one ``threshold``.

        Raises
        ------
        LookupError, TypeError, ValueError : the record is not that of a working point.
        """
        words = str(record["chosen_by"]), str(record["measured_on"])
        if "threshold" in record:
            return cls.of_one(float(record["threshold"]), *words, *_figures(record, _OF_CLASS))
        classes = tuple(
            DensityClass(float(c["from_per_mm2"]), float(c["threshold"]), *_figures(c, _OF_CLASS))
            for c in record["classes"]
        )
        edges = [c.from_per_mm2 for c in classes]
        if not edges or edges[0] != 0 or sorted(set(edges)) != edges:
            raise ValueError(f"density classes that begin at {edges} per mm²")
        return cls(classes, *words, *_figures(record, (*_OF_CLASS, *_OF_ALL)))


_OF_CLASS = ("efficiency", "false_per_tile", "false_per_cm2")
_OF_ALL = ("purity", "efficiency_at_rate")


def _figures(record: Mapping[str, Any], names: Sequence[str]) -> list[Figure]:
    out = []
    for name in names:
        value, low, high = (np.nan if v is None else float(v) for v in record[name])
        out.append((value, low, high))
    return out


def _finite(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        k: [None if np.isnan(n) else n for n in v] if isinstance(v, tuple) else v
        for k, v in record.items()
    }


def measure_working_point(
    search: Search,
    required: Requirement,
    *,
    chosen_by: str,
    measured_on: str,
    other: Search | None = None,
) -> WorkingPoint:
    """Return the working point of a search that meets a requirement, with its measured figures.

    A required rate of false candidates holds in each class of local density, see
    ``evaluation.density_edges``; a required efficiency holds for all densities together, with one
    threshold. The thresholds are chosen on all tiles. The figures are those of thresholds chosen on
    one half of the tiles and measured on the other half, see ``evaluation.measure_by_halves``.

    Parameters
    ----------
    search : on which the thresholds are chosen.
    required : an efficiency, or a rate of false candidates.
    chosen_by, measured_on : see ``WorkingPoint``.
    other : search of another foil on which the figures are measured, instead of halves.

    Raises
    ------
    BadInput : an efficiency that is never reached.
    """
    rate = required.false_per_tile
    edges = () if rate is None else density_edges(search, rate)
    thresholds = choose_thresholds(search, required, edges)
    measured = search if other is None else other
    whole, parts = (
        measure_by_halves(search, required, edges)
        if other is None
        else measure_on_other(search, other, required, edges)
    )
    tiles_per_cm2 = measured.tiles / measured.area_cm2

    def figures(of: Measured) -> tuple[Figure, Figure, Figure]:
        value, low, high = of.false_per_tile
        per_cm2 = (value * tiles_per_cm2, low * tiles_per_cm2, high * tiles_per_cm2)
        return of.efficiency, of.false_per_tile, per_cm2

    classes = tuple(
        DensityClass(start, threshold, *figures(part))
        for start, threshold, part in zip((0.0, *edges), thresholds, parts, strict=True)
    )
    at_rate = UNKNOWN if rate is None else efficiency_at_rate(measured, rate, edges)
    return WorkingPoint(classes, chosen_by, measured_on, *figures(whole), whole.purity, at_rate)
