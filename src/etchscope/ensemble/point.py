"""The working point: the score from which a candidate is selected, by local density of pits."""

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

__all__ = ["UNKNOWN", "DensityClass", "WorkingPoint", "measured_working_point"]

UNKNOWN: Figure = (np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class DensityClass:
    """From a local density of pits on, up to the next class, this score is the threshold.

    ``from_per_mm2``: pits a mm², 0 in the first class. The figures are those of ``WorkingPoint``,
    where pits are as dense.
    """

    from_per_mm2: float
    threshold: float
    efficiency: Figure = UNKNOWN
    false_per_tile: Figure = UNKNOWN
    false_per_cm2: Figure = UNKNOWN


@dataclass(frozen=True)
class WorkingPoint:
    """Scores at or above the threshold of their local density are selected.

    ``classes``: by rising density, the first from 0 on; one is the same threshold everywhere.
    ``chosen_by``, ``measured_on``: in words. ``efficiency``, ``false_per_tile``, ``false_per_cm2``,
    ``purity``: (value, low, high) at 95 % where the thresholds were measured, nan where that does
    not tell. ``efficiency_at_rate``: at exactly the false candidates a tile that were asked for.
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
        """Return the working point of one threshold for all densities."""
        figures = efficiency, false_per_tile, false_per_cm2
        only = DensityClass(0.0, threshold, *figures)
        return cls((only,), chosen_by, measured_on, *figures)

    def threshold_at(self, density_per_mm2: Floats) -> Floats:
        """Return the threshold at local densities of pits, (n,).

        Where the density is not known, nan, it is the strictest of all.
        """
        density = np.asarray(density_per_mm2, np.float64)
        edges = [c.from_per_mm2 for c in self.classes[1:]]
        thresholds = np.array([c.threshold for c in self.classes])
        told = thresholds[np.searchsorted(edges, density, side="right")]
        return np.where(np.isnan(density), thresholds.max(), told)

    @property
    def in_words(self) -> str:
        """The thresholds, as in "score 1.54" or "scores 1.20 to 3.40 by density"."""
        thresholds = [c.threshold for c in self.classes]
        if len(thresholds) == 1:
            return f"score {thresholds[0]:.2f}"
        return f"scores {min(thresholds):.2f} to {max(thresholds):.2f} by density"

    def to_record(self) -> dict[str, Any]:
        """Return the working point for JSON, which has no nan."""
        whole = asdict(self)
        classes = [_finite(c) for c in whole.pop("classes")]
        return {"classes": classes, **_finite(whole)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "WorkingPoint":
        """Return the working point of a card; earlier cards have one ``threshold``.

        Raises
        ------
        LookupError, TypeError, ValueError : no such record.
        """
        told = str(record["chosen_by"]), str(record["measured_on"])
        if "threshold" in record:
            return cls.of_one(float(record["threshold"]), *told, *_figures(record, _OF_CLASS))
        classes = tuple(
            DensityClass(float(c["from_per_mm2"]), float(c["threshold"]), *_figures(c, _OF_CLASS))
            for c in record["classes"]
        )
        edges = [c.from_per_mm2 for c in classes]
        if not edges or edges[0] != 0 or sorted(set(edges)) != edges:
            raise ValueError(f"classes from {edges} pits a mm² on")
        return cls(classes, *told, *_figures(record, (*_OF_CLASS, *_OF_ALL)))


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


def measured_working_point(
    search: Search,
    asked: Requirement,
    *,
    chosen_by: str,
    measured_on: str,
    other: Search | None = None,
) -> WorkingPoint:
    """Return the working point of a search that does what is asked, and how it does elsewhere.

    A rate of false candidates is that of each class of local density, see
    ``evaluation.density_edges``; an efficiency is reached in all, with one threshold. The
    thresholds are those of all tiles; the figures are those of thresholds chosen on one half of the
    tiles and measured on the other, see ``evaluation.measure_by_halves``.

    Parameters
    ----------
    other : of another foil, to measure on instead of exchanging halves.

    Raises
    ------
    BadInput : an efficiency that is never reached.
    """
    rate = asked.false_per_tile
    edges = () if rate is None else density_edges(search, rate)
    thresholds = choose_thresholds(search, asked, edges)
    judged = search if other is None else other
    whole, parts = (
        measure_by_halves(search, asked, edges)
        if other is None
        else measure_on_other(search, other, asked, edges)
    )
    tiles_per_cm2 = judged.tiles / judged.area_cm2

    def figures(told: Measured) -> tuple[Figure, Figure, Figure]:
        value, low, high = told.false_per_tile
        per_cm2 = (value * tiles_per_cm2, low * tiles_per_cm2, high * tiles_per_cm2)
        return told.efficiency, told.false_per_tile, per_cm2

    classes = tuple(
        DensityClass(start, threshold, *figures(part))
        for start, threshold, part in zip((0.0, *edges), thresholds, parts, strict=True)
    )
    at_rate = UNKNOWN if rate is None else efficiency_at_rate(judged, rate, edges)
    return WorkingPoint(classes, chosen_by, measured_on, *figures(whole), whole.purity, at_rate)
