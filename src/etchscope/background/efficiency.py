"""Efficiency of a search for injected signal, without the matches that chance alone would make.

A particle counts as found with probability ε + (1 − ε) c, where c is the probability that something
else is found at its place. It is measured on the tiles without injection, at the place itself and
at places shifted by 10 and 20 tolerances.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from etchscope.background.signal import SignalPopulation
from etchscope.evaluation import local_shifts, match_one_to_one, proportion
from etchscope.evaluation.tiles import draw_tiles, expanded_interval
from etchscope.foil import BadInput, PitFlag, has_flag
from etchscope.foil.types import Bools, Floats
from etchscope.geometry import in_tile

__all__ = [
    "STAGES",
    "Efficiency",
    "bin_efficiency",
    "chance_stages",
    "efficiency_of",
    "reach_stages",
    "weights_of",
]

STAGES = ("found", "paired", "selected")
"""What becomes of a particle: its entry pit is found; entry and exit pit are found as a pair; a
candidate at its place passes the working point."""
_LEAST_EFFECTIVE = 20.0
"""Least effective number of particles from which an efficiency is stated."""
_LEAST_TILES = 3
_DRAWS = 2000
_SEED = 0


@dataclass(frozen=True)
class Efficiency:
    """An efficiency with its interval at ``confidence``.

    Parameters
    ----------
    value : less what chance contributes; it can be below 0 by statistics. NaN if it is not known.
    low, high : in [0, 1]; [0, 1] if it is not known.
    chance : share of particles that chance alone would match.
    particles, effective : number of particles, and (Σw)² / Σw².
    spread : part of the error that comes from the optics, one standard deviation.
    valid, why : whether the value may be used, and the reason if not.
    """

    value: float
    low: float
    high: float
    chance: float
    particles: int
    effective: float
    spread: float
    valid: bool
    why: str
    confidence: float = 0.95

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON: null instead of NaN."""
        out = asdict(self)
        return {
            k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in out.items()
        }


def _groups(tile: Any) -> "np.ndarray[Any, Any]":
    return np.asarray(tile, np.int64)


def reach_stages(
    particles: pd.DataFrame,
    pits: pd.DataFrame,
    tolerance_px: float,
    *,
    candidates: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return which stages each particle reaches, (n,) bool columns ``found, paired``, ``selected``.

    Parameters
    ----------
    particles : ``tile, entry_x_px, entry_y_px, exit_x_px, exit_y_px``.
    pits : pit table of a search of the same tiles.
    tolerance_px : largest distance of an opening from its place.
    candidates : those that passed the working point; None without a model, then nothing is
        ``selected`` and the column is absent.
    """
    tops = pits[(pits["surface"] != "bottom").to_numpy()].reset_index(drop=True)
    matched = _match(particles, tops, tolerance_px)
    hit = matched >= 0
    entry = tops.iloc[matched[hit]]
    by_pit = pits.set_index("pit")
    partner = entry["partner"].to_numpy(np.float64, na_value=np.nan)
    likely = ~np.isnan(partner) & ~has_flag(entry, PitFlag.UNLIKELY_PAIR).to_numpy()
    exits = by_pit.reindex(np.where(likely, partner, -1).astype(np.int64))
    truth = particles[hit]
    apart = np.hypot(
        exits["x_px"].to_numpy() - truth["exit_x_px"].to_numpy(),
        exits["y_px"].to_numpy() - truth["exit_y_px"].to_numpy(),
    )
    paired = np.zeros(len(particles), bool)
    paired[hit] = likely & (apart < tolerance_px)
    out = pd.DataFrame({"found": hit, "paired": paired})
    if candidates is not None:
        out["selected"] = _match(particles, candidates, tolerance_px) >= 0
    return out


def _match(particles: pd.DataFrame, rows: pd.DataFrame, tolerance_px: float) -> Any:
    """Return the row that matches the entry pit of each particle, or −1, (n,)."""
    matching = match_one_to_one(
        particles[["entry_x_px", "entry_y_px"]].to_numpy(np.float64),
        rows[["x_px", "y_px"]].to_numpy(np.float64),
        tolerance_px,
        truth_group=_groups(particles["tile"]),
        found_group=_groups(rows["tile"]),
    )
    out = np.full(len(particles), -1)
    out[matching.truth_index] = matching.found_index
    return out


def chance_stages(
    particles: pd.DataFrame,
    pits: pd.DataFrame,
    tolerance_px: float,
    image_size: tuple[int, int],
    *,
    candidates: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the probability that something else reaches each stage at a particle's place, (n,).

    Parameters
    ----------
    particles, tolerance_px, candidates : see ``reach_stages``.
    pits : pit table of the same tiles without injection.
    image_size : (height, width); a shift that leaves the tile does not count.
    """
    total: pd.DataFrame | None = None
    counted = np.zeros(len(particles))
    for dx, dy in [(0.0, 0.0), *local_shifts(tolerance_px).tolist()]:
        moved = particles.assign(**{c: particles[c] + (dx if "_x_" in c else dy) for c in _PLACES})
        inside = in_tile(moved["entry_x_px"], moved["entry_y_px"], image_size)
        hits = reach_stages(moved, pits, tolerance_px, candidates=candidates)
        hits = hits.mul(inside.astype(float), axis=0).astype(float)
        total = hits if total is None else total + hits
        counted += inside
    if total is None:
        raise BadInput("injection", "at least one shift", "none")
    return total.div(np.maximum(counted, 1), axis=0)


_PLACES = ("entry_x_px", "entry_y_px", "exit_x_px", "exit_y_px")


def efficiency_of(
    reached: Bools,
    chance: Floats,
    weight: Floats,
    tile: Any,
    optics: Any,
    *,
    confidence: float = 0.95,
    spread: float | None = None,
) -> Efficiency:
    """Return the efficiency of particles with an interval over tiles and over the fits of optics.

    The interval is that of a bootstrap over tiles, never narrower than the exact one of the
    effective number of particles, whose share found includes those that chance finds. The spread
    between the fits of optics beyond their statistical errors is added in quadrature.

    Parameters
    ----------
    reached : (n,) bool.
    chance : (n,) see ``chance_stages``.
    weight : (n,) weights, at least 0.
    tile, optics : (n,) number of the tile, and of the fit of the optics, of each particle.
    confidence : in (0, 1).
    spread : error from the optics that is known already; by default that of these particles.
    """
    weight = np.asarray(weight, np.float64)
    total, square = float(weight.sum()), float((weight**2).sum())
    effective = total**2 / square if square > 0 else 0.0
    tiles, of = np.unique(_groups(tile), return_inverse=True)
    why = ""
    if effective < _LEAST_EFFECTIVE:
        why = f"{effective:.0f} effective particles; {_LEAST_EFFECTIVE:.0f} are needed"
    elif len(tiles) < _LEAST_TILES:
        why = f"{len(tiles)} tiles; {_LEAST_TILES} are needed"
    mean_chance = float(np.average(chance, weights=weight)) if total > 0 else float("nan")
    if not why and not mean_chance < 1:
        why = "chance alone would match every particle"
    if why or not total:
        nan = float("nan")
        return Efficiency(nan, 0.0, 1.0, mean_chance, len(weight), effective, nan, False, why)
    gain, room = weight * (reached - chance), weight * (1 - chance)
    value = float(gain.sum() / room.sum())
    above, below = (np.bincount(of, v, len(tiles)) for v in (gain, room))
    times = draw_tiles(np.random.default_rng(_SEED), len(tiles), _DRAWS)
    drawn = (times @ above) / np.maximum(times @ below, 1e-12)
    low, high = (
        float(v[0]) for v in expanded_interval(drawn[:, None], len(tiles), confidence=confidence)
    )
    exact = _exact_interval(value, mean_chance, effective, confidence)
    if spread is None:
        spread = _optics_spread(gain, room, of, np.asarray(optics))
    wide = norm.ppf((1 + confidence) / 2) * spread
    low = value - np.hypot(value - min(low, exact[0]), wide)
    high = value + np.hypot(max(high, exact[1]) - value, wide)
    bounds = float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))
    return Efficiency(
        value, *bounds, mean_chance, len(weight), effective, spread, True, "", confidence
    )


def _exact_interval(
    value: float, chance: float, effective: float, confidence: float
) -> tuple[float, float]:
    """Return the exact interval of an efficiency, from that of the share that is found.

    The share found is p = c + ε (1 − c), so ε = (p − c) / (1 − c); its error does not shrink with
    that of ε where chance matches many.
    """
    found = min(max(chance + value * (1 - chance), 0.0), 1.0)
    exact = proportion(found * effective, effective, confidence=confidence)
    return (exact.low - chance) / (1 - chance), (exact.high - chance) / (1 - chance)


def _optics_spread(gain: Floats, room: Floats, of: Any, optics: Any) -> float:
    """Return the standard deviation between fits of optics beyond that of their tiles."""
    values, variances = [], []
    for number in np.unique(optics):
        own = optics == number
        tiles, at = np.unique(of[own], return_inverse=True)
        if len(tiles) < 2:
            continue
        above, below = (np.bincount(at, v[own], len(tiles)) for v in (gain, room))
        value = above.sum() / max(below.sum(), 1e-12)
        rest = above - value * below
        values.append(value)
        variances.append(
            (rest**2).sum() / max(below.sum(), 1e-12) ** 2 * len(tiles) / (len(tiles) - 1)
        )
    if len(values) < 2:
        return 0.0
    return float(np.sqrt(max(np.var(values, ddof=1) - np.mean(variances), 0.0)))


def bin_efficiency(
    particles: pd.DataFrame,
    reached: pd.DataFrame,
    chance: pd.DataFrame,
    axes: Mapping[str, Sequence[float]],
    *,
    weight: Floats | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return the efficiency of all particles and in bins of some of their columns.

    Parameters
    ----------
    particles : n rows with ``tile, optics, area_mm2`` and the columns of ``axes``.
    reached, chance : see ``reach_stages`` and ``chance_stages``.
    axes : column → rising edges of its bins; particles where it is NaN are in none.
    weight : (n,) weights; the area that each particle stands for unless given.

    Returns
    -------
    One row per stage and bin: ``stage, axis, bin_low, bin_high`` and the fields of ``Efficiency``;
    ``axis`` is "all" for all particles.
    """
    own = particles["area_mm2"].to_numpy(np.float64) if weight is None else weight
    tile, optics = particles["tile"].to_numpy(), particles["optics"].to_numpy()
    rows: list[dict[str, Any]] = []
    for stage in reached.columns:
        hit, by_chance = reached[stage].to_numpy(bool), chance[stage].to_numpy(np.float64)
        whole = efficiency_of(hit, by_chance, own, tile, optics, confidence=confidence)
        edge = {"bin_low": np.nan, "bin_high": np.nan}
        rows.append({"stage": stage, "axis": "all", **edge, **asdict(whole)})
        spread = whole.spread if whole.valid else None
        for axis, edges in axes.items():
            values = particles[axis].to_numpy(np.float64)
            for k, (low, high) in enumerate(pairwise(edges)):
                last = k == len(edges) - 2
                here = (values >= low) & ((values <= high) if last else (values < high))
                one = efficiency_of(
                    hit[here],
                    by_chance[here],
                    own[here],
                    tile[here],
                    optics[here],
                    confidence=confidence,
                    spread=spread,
                )
                edge = {"bin_low": low, "bin_high": high}
                rows.append({"stage": stage, "axis": axis, **edge, **asdict(one)})
    return pd.DataFrame(rows)


def weights_of(
    particles: pd.DataFrame,
    drawn_from: SignalPopulation,
    target: SignalPopulation,
) -> Floats:
    """Return the weights that make injected particles those of another population, (n,).

    Parameters
    ----------
    particles : ``drawn_v, zenith_deg, draw_density, area_mm2``.
    drawn_from : the population that they were drawn from.
    target : the other population.

    Raises
    ------
    BadInput : the other population has particles that were not drawn, or another spread of V.
    """
    for what, low, high in (
        ("V", drawn_from.v_low, drawn_from.v_high),
        ("zenith angle", 0.0, drawn_from.max_zenith_deg),
    ):
        of = (target.v_low, target.v_high) if what == "V" else (0.0, target.max_zenith_deg)
        if of[0] < low - 1e-9 or of[1] > high + 1e-9:
            expected = f"a {what} from {low:g} to {high:g}, as it was injected"
            hint = "Inject again with a wider population."
            raise BadInput("signal", expected, f"{of[0]:g} to {of[1]:g}", hint)
    if target.v_spread != drawn_from.v_spread:
        expected = f"a spread of V of {drawn_from.v_spread:g}, as it was injected"
        hint = "Inject again with this spread."
        raise BadInput("signal", expected, f"{target.v_spread:g}", hint)
    density = target.density(
        particles["drawn_v"].to_numpy(np.float64),
        np.cos(np.deg2rad(particles["zenith_deg"].to_numpy(np.float64))),
    )
    drawn = particles["draw_density"].to_numpy(np.float64)
    return np.asarray(particles["area_mm2"].to_numpy(np.float64) * density / drawn)
