"""The report of an injection: what a search finds of the injected signal, and what follows."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from etchscope.background.efficiency import Efficiency, bin_efficiency, efficiency_of, weights_of
from etchscope.background.signal import SignalPopulation
from etchscope.foil import BadInput
from etchscope.foil.types import Floats

__all__ = ["InjectionReport"]

_BINS = 5
"""Most bins of an axis."""
_PER_BIN = 40
"""Particles per bin; as weights differ, they count as about two thirds as many."""
_MISFIT = 1.0
"""Greatest χ² per figure of optics that describe the pits."""
_SIGMAS = 1.96
"""Standard deviations of half a 95 % interval."""
_NO_CONTROL = (
    "false candidates are not known; a background of 0 gives the weakest upper limit, and there is "
    "no lower one"
)
_AXES = ("density_per_mm2", "x_mm", "y_mm", "radius_px", "dip_deg", "drawn_v", "z_over_beta")


@dataclass(frozen=True)
class InjectionReport:
    """What a search finds of injected signal.

    Parameters
    ----------
    scan, injected : the source and the injected scan.
    run, source_run : the runs that were compared, with and without injection.
    population : that particles were drawn from.
    particles : one row per particle: places, what it is, and its weights.
    reached, chance : see ``background.efficiency``.
    area_cm2 : searched area of the source.
    false : candidates per cm² of the source by class of density, see ``expected_false``.
    misfit : χ² per figure of the best fit of the optics. Above 1 the rendered pits do not look like
        those of the scan, and no efficiency is valid.
    """

    scan: str
    injected: str
    run: str
    source_run: str
    population: SignalPopulation
    particles: pd.DataFrame
    reached: pd.DataFrame
    chance: pd.DataFrame
    area_cm2: float
    false: pd.DataFrame
    misfit: float = 0.0

    @cached_property
    def table(self) -> pd.DataFrame:
        """Efficiency of all particles and in bins, see ``background.efficiency``."""
        table = bin_efficiency(self.particles, self.reached, self.chance, self.edges)
        if self._doubt:
            table = table.assign(
                valid=False, why=table["why"].where(table["why"] != "", self._doubt)
            )
        return table

    @property
    def _doubt(self) -> str:
        """Why no efficiency is valid, or ""."""
        if self.misfit <= _MISFIT:
            return ""
        return (
            f"the learned optics do not describe the scan's pits, χ² {self.misfit:.1f} per figure"
        )

    def _trusted(self, one: Efficiency) -> Efficiency:
        """Return an efficiency that is not valid where the optics are not known."""
        if not self._doubt:
            return one
        return replace(one, valid=False, why=one.why or self._doubt)

    @property
    def edges(self) -> dict[str, list[float]]:
        """The edges of the bins of each axis: quantiles of the particles."""
        out = {}
        for axis in _AXES:
            known = self.particles[axis].dropna().to_numpy(np.float64)
            if len(known):
                bins = int(np.clip(len(known) // _PER_BIN, 1, _BINS))
                edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)))
                if len(edges) > 1:
                    out[axis] = edges.tolist()
        return out

    @property
    def stage(self) -> str:
        """The last stage: selected if a model was used, otherwise paired."""
        return str(self.reached.columns[-1])

    def efficiency(
        self, target: SignalPopulation | None = None, *, stage: str | None = None
    ) -> Efficiency:
        """Return the efficiency for a population without another injection.

        Parameters
        ----------
        target : within the population that was drawn from; that one unless given.
        stage : found, paired or selected; the last one unless given.

        Raises
        ------
        BadInput : no such stage, or particles that were not drawn.
        """
        name = stage or self.stage
        if name not in self.reached:
            raise BadInput("stage", " or ".join(self.reached.columns), repr(name))
        return self._trusted(
            efficiency_of(
                self.reached[name].to_numpy(bool),
                self.chance[name].to_numpy(np.float64),
                self._weights(target),
                self.particles["tile"].to_numpy(),
                self.particles["optics"].to_numpy(),
            )
        )

    def _weights(self, target: SignalPopulation | None) -> Floats:
        if target is None:
            return self.particles["area_mm2"].to_numpy(np.float64)
        return weights_of(self.particles, self.population, target)

    def effective_area(self, target: SignalPopulation | None = None) -> dict[str, Any]:
        """Return area × efficiency × ∫ cosθ dΩ for an isotropic flux, cm² sr, with its interval.

        It is the mean over the V of the population. ``valid`` is false, and the value None, where
        the efficiency or the area is not known.
        """
        population = target or self.population
        v = self.particles["drawn_v"].to_numpy(np.float64)
        solid = np.pi * (1 - population.least_cosine(v) ** 2)
        weight = self._weights(target)
        one = self._trusted(
            efficiency_of(
                self.reached[self.stage].to_numpy(bool),
                self.chance[self.stage].to_numpy(np.float64),
                weight * solid,
                self.particles["tile"].to_numpy(),
                self.particles["optics"].to_numpy(),
            )
        )
        unit = self.area_cm2 * float(np.average(solid, weights=weight)) if weight.sum() else np.nan
        known = bool(one.valid and np.isfinite(unit))
        why = one.why or ("" if known else "the area is not known")
        value, low, high = ((f * unit if known else None) for f in (one.value, one.low, one.high))
        return {
            "value": value,
            "low": low,
            "high": high,
            "unit": "cm2 sr",
            "valid": known,
            "why": why,
        }

    def expected_false(self) -> tuple[float, float, str]:
        """Return the expected number of false candidates of the scan, its error, and a remark.

        Without a control it is not known, and 0, which gives the weakest upper limit.
        """
        if not len(self.false) or not self.false["valid"].all():
            return 0.0, 0.0, _NO_CONTROL
        area = self.false["scan_area_cm2"].to_numpy(np.float64)
        half = (self.false["high"] - self.false["low"]).to_numpy(np.float64) / 2 / _SIGMAS
        value = float((self.false["per_cm2"].to_numpy(np.float64) * area).sum())
        return value, float(np.sqrt(((half * area) ** 2).sum())), ""

    def points(self) -> pd.DataFrame:
        """Return effective areas and the expected background in bins of V, for a limit.

        Returns
        -------
        One row per bin: the labels ``v`` and, where it is known, ``z_over_beta``, and the columns
        of ``background.limits.POINT_COLUMNS`` that are known here. A bin whose efficiency is not
        known has the effective area 0, and ``valid`` is false.
        """
        background, error, remark = self.expected_false()
        table = self.table[(self.table["axis"] == "drawn_v") & (self.table["stage"] == self.stage)]
        v = self.particles["drawn_v"].to_numpy(np.float64)
        rows = []
        for one in table.to_dict("records"):
            middle = float(np.sqrt((one["bin_low"] - 1) * (one["bin_high"] - 1))) + 1
            own = (v >= one["bin_low"]) & (v <= one["bin_high"])
            solid = np.pi * (1 - float(self.population.least_cosine(np.array([middle]))[0]) ** 2)
            unit = self.area_cm2 * solid
            known = bool(one["valid"] and np.isfinite(unit))
            half = (one["high"] - one["low"]) / 2 / _SIGMAS
            charge = self.particles["z_over_beta"].to_numpy(np.float64)[own].mean()
            rows.append(
                {
                    "v": middle,
                    **({"z_over_beta": float(charge)} if np.isfinite(charge) else {}),
                    "efficiency": min(max(one["value"], 0.0), 1.0) if known else 0.0,
                    "efficiency_error": half if known else 0.0,
                    "effective_area_cm2_sr": max(one["value"], 0.0) * unit if known else 0.0,
                    "effective_area_error_cm2_sr": half * unit if known else 0.0,
                    "background": background,
                    "background_error": error,
                    "background_is_known": not remark,
                    "valid": known,
                    "why": "; ".join(filter(None, (str(one["why"]), remark))),
                }
            )
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures for JSON."""
        table = self.table.astype(object).where(self.table.notna(), None)
        false = self.false.astype(object).where(self.false.notna(), None)
        return {
            "scan": self.scan,
            "injected_scan": self.injected,
            "run": self.run,
            "source_run": self.source_run,
            "population": self.population.to_dict(),
            "particles": len(self.particles),
            "tiles": int(self.particles["tile"].nunique()),
            "stage": self.stage,
            "misfit": self.misfit,
            "efficiency": self.efficiency().to_dict(),
            "area_cm2": self.area_cm2 if np.isfinite(self.area_cm2) else None,
            "effective_area_cm2_sr": self.effective_area(),
            "expected_false": false.to_dict("records"),
            "bins": table.to_dict("records"),
        }
