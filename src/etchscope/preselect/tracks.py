"""Tracks of pairs: direction, etch ratios, energy loss and charge over velocity of the particle."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import median_abs_deviation

from etchscope.foil import Foil, PitFlag, has_flag
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.physics.materials import (
    Material,
    charge_over_beta,
    energy_loss_from_ratio,
    recognise_material,
)
from etchscope.physics.track import FREE, Measured, Track, fit_tracks
from etchscope.preselect.openings import Shapes, estimate_removed_bulk

__all__ = ["add_tracks"]

_UNEVEN_BULK = 0.04
"""Relative spread of the removed bulk from pit to pit; the simulator has the same value."""
_UNKNOWN_BULK = 0.2
"""Relative error of ``estimate_removed_bulk``."""
_UNKNOWN_DEPTH = 0.35
"""Relative spread of the scale of the depths of a surface from foil to foil, without correction."""
_MODEL_ERROR = (0.03, 0.02)
"""Spread of log radius, and of e_cos and e_sin, from pit to pit beyond the stated errors."""
_SCALED = 20
"""Least number of pairs from whose radii the scale of the depths of a surface is determined."""
_RADIUS_SCALE = 0.06
"""Relative spread of the scale of measured radii from foil to foil. For a steep track the error of
ln(V − 1), and that of the scale of depths, is V + 1 times as large."""
_POOR = 1e-3
"""Probability of χ² below which a track is flagged as poor."""
_USUAL_UNEVEN = 0.1
"""Spread of ln(V − 1) between the pits of one particle, used where there are too few pairs."""
_DENSITY_SCALE = 0.1
"""One MeV/cm in keV/µm."""


@dataclass(frozen=True)
class _DepthScale:
    """The correction of the scale of the depths of a surface.

    ``factor`` multiplies the depths. ``share`` is the share of their relative error that remains.
    ``error`` is the relative error of the scale, common to all depths of the surface.
    """

    factor: float
    share: float
    error: float


def add_tracks(
    pits: pd.DataFrame, shapes: Shapes, entry: Ints, exit_: Ints, foil: Foil, um: float | None
) -> pd.DataFrame:
    """Return a pit table with wall slopes and with the tracks of its pairs.

    Where the removed bulk is known, the depths of each surface are scaled to agree with the radii
    of the openings of pairs. Columns are null where they cannot be determined, and flags state the
    reason.

    Parameters
    ----------
    pits : pit table with ``hip`` (log ratio of a pair) and ``flags``.
    shapes : the shapes of its rows.
    entry, exit_ : (n,) int64 rows of the pairs.
    foil : the foil with its thickness, removed bulk and material, as far as they are known.
    um : size of a pixel in micrometres, None where it is not known.
    """
    out = pits.copy()
    flags = out["flags"].to_numpy(np.int64, copy=True)
    ratio = out["hip"].to_numpy(np.float64)[entry]
    is_one = (ratio > 0) | has_flag(out, PitFlag.STEEP_PAIR).to_numpy(bool)[entry]
    _flag(flags, entry[~is_one], exit_[~is_one], PitFlag.UNLIKELY_PAIR)
    entry, exit_ = entry[is_one], exit_[is_one]
    if foil.thickness_um is None or um is None:
        _flag(flags, entry, exit_, PitFlag.NO_THICKNESS)
        return _with_slopes(out.assign(flags=flags), um)
    is_cut = has_flag(out, PitFlag.EDGE).to_numpy(bool)
    whole = ~(is_cut[entry] | is_cut[exit_])
    _flag(flags, entry[~whole], exit_[~whole], PitFlag.NO_TRACK)
    entry, exit_ = entry[whole], exit_[whole]
    known = foil.removed_um is not None and foil.removed_um < 0.45 * foil.thickness_um
    removed = foil.removed_um if known else None
    tracks, scales = _fitted(shapes, entry, exit_, foil.thickness_um, removed, um)
    good = tracks.is_found
    _flag(flags, entry[~good], exit_[~good], PitFlag.NO_TRACK)
    poor = good & (chi2_distribution.sf(tracks.chi2, np.maximum(tracks.degrees, 1)) < _POOR)
    _flag(flags, entry[poor], exit_[poor], PitFlag.POOR_TRACK)
    material = recognise_material(foil.material)
    if material is None:
        _flag(flags, entry, exit_, PitFlag.NO_RESPONSE)
    columns = _columns(tracks, material)
    rows = np.concatenate([entry[good], exit_[good]])
    for name, values in columns.items():
        column = np.full(len(out), np.nan)
        column[rows] = values[np.concatenate([good, good])]
        out[name] = column
    return _with_slopes(_scaled(out.assign(flags=flags), scales), um)


def _scaled(pits: pd.DataFrame, scales: dict[str, _DepthScale]) -> pd.DataFrame:
    """Return the table with the depths of each surface scaled."""
    out = pits.copy()
    for surface, scale in scales.items():
        rows = (out["surface"] == surface).to_numpy()
        depth = out.loc[rows, "depth_um"] * scale.factor
        error = out.loc[rows, "depth_um_err"] / out.loc[rows, "depth_um"]
        out.loc[rows, "depth_um"] = depth
        out.loc[rows, "depth_um_err"] = depth * np.hypot(error * scale.share, scale.error)
    return out


def _flag(flags: Ints, entry: Ints, exit_: Ints, flag: PitFlag) -> None:
    """Set a flag of both openings of pairs."""
    flags[entry] |= int(flag)
    flags[exit_] |= int(flag)


def _with_slopes(pits: pd.DataFrame, um: float | None) -> pd.DataFrame:
    """Return the table with ``wall_slope``, depth over radius, where depths are known."""
    if um is None or "depth_um" not in pits:
        return pits
    radius, depth = pits["radius_px"] * um, pits["depth_um"]
    share2 = (pits["radius_px_err"] / pits["radius_px"]) ** 2 + (pits["depth_um_err"] / depth) ** 2
    slope = depth / radius
    return pits.assign(wall_slope=slope, wall_slope_err=slope * np.sqrt(share2))


def _fitted(
    shapes: Shapes,
    entry: Ints,
    exit_: Ints,
    thickness_um: float,
    removed_um: float | None,
    um: float,
) -> tuple[Track, dict[str, _DepthScale]]:
    """Return the tracks of pairs, and the correction of the depths of each surface."""
    depths, errors = (
        np.stack([column[entry], column[exit_]], axis=1)
        for column in (shapes.log_depth + np.log(um), shapes.s_depth)
    )
    scales: dict[str, _DepthScale] = {}
    if removed_um is None:
        both = np.concatenate([entry, exit_])
        removed = min(estimate_removed_bulk(shapes, both) * um, 0.45 * thickness_um)
        spread, errors = _UNKNOWN_BULK, np.hypot(errors, _UNKNOWN_DEPTH)
    else:
        removed, spread = removed_um, _UNEVEN_BULK
        none = np.full_like(depths, np.nan)
        alone = fit_tracks(
            _measured(shapes, entry, exit_, none, errors, um),
            thickness_um=thickness_um,
            removed_um=removed,
            removed_spread=spread,
        )
        for k, surface in enumerate(("top", "bottom")):
            known = alone.is_found & np.isfinite(depths[:, k])
            if known.sum() < _SCALED:
                depths[:, k] = np.nan
                continue
            scale = _scale_of(alone, depths[:, k], errors[:, k], known, k)
            scales[surface] = scale
            depths[:, k] += np.log(scale.factor)
            errors[:, k] *= scale.share
    measured = _measured(shapes, entry, exit_, depths, errors, um)
    tracks = fit_tracks(
        measured, thickness_um=thickness_um, removed_um=removed, removed_spread=spread
    )
    if removed_um is not None:
        steep = 2 + np.exp(tracks.free[:, :2])
        common = np.zeros((len(steep), len(FREE)))
        common[:, :2] = _RADIUS_SCALE * steep
        covariance = tracks.covariance + common[:, :, None] * common[:, None, :]
        tracks = replace(tracks, covariance=covariance)
    return tracks, scales


def _scale_of(alone: Track, depth: Floats, error: Floats, known: Bools, side: int) -> _DepthScale:
    """Return the scale of the depths of a surface that agrees with the radii of its pairs.

    ``alone`` holds tracks fitted without depths. ``side`` is 0 for entry pits, 1 for exit pits.
    """
    differ = depth[known] - alone.expected[known, 8 + side]
    spread = float(median_abs_deviation(differ, scale="normal"))
    steep = 2 + float(np.exp(np.median(alone.free[known, side])))
    return _DepthScale(
        float(np.exp(-np.median(differ))),
        min(spread / float(np.median(error[known])), 1.0),
        float(np.hypot(_RADIUS_SCALE * steep, spread / np.sqrt(known.sum()))),
    )


def _measured(
    shapes: Shapes, entry: Ints, exit_: Ints, log_depth: Floats, depth_error: Floats, um: float
) -> Measured:
    """Return the measurements of pairs in micrometres, y up."""

    def both(values: Floats) -> Floats:
        return np.stack([values[entry], values[exit_]], axis=1)

    shift = np.column_stack([shapes.x[exit_] - shapes.x[entry], shapes.y[entry] - shapes.y[exit_]])
    place = np.hypot(*both(shapes.s_place).T)
    return Measured(
        shift * um,
        np.repeat(place[:, None], 2, axis=1) * um,
        both(shapes.log_radius) + np.log(um),
        np.hypot(both(shapes.s_radius), _MODEL_ERROR[0]),
        np.stack(
            [
                both(shapes.e_cos / shapes.measured_share),
                both(shapes.e_sin / shapes.measured_share),
            ],
            axis=2,
        ),
        np.hypot(both(shapes.s_ellipse / shapes.measured_share), _MODEL_ERROR[1]),
        log_depth,
        depth_error,
    )


def _columns(tracks: Track, material: Material | None) -> dict[str, Floats]:
    """Return the columns of both rows of each pair, entries first, each (2 n,)."""
    over, slope = tracks.free[:, :2], tracks.free[:, 2:4]
    error = np.sqrt(np.einsum("njj->nj", tracks.covariance))
    tangent = np.maximum(np.hypot(slope[:, 0], slope[:, 1]), 1e-6)
    along = slope / tangent[:, None]
    across = np.column_stack([-along[:, 1], along[:, 0]])
    block = tracks.covariance[:, 2:4, 2:4]
    s_along, s_across = (np.sqrt(np.einsum("ni,nij,nj->n", u, block, u)) for u in (along, across))
    shared = {
        "dip_deg": 90 - np.rad2deg(np.arctan(tangent)),
        "dip_deg_err": np.rad2deg(s_along / (1 + tangent**2)),
        "azimuth_deg": np.rad2deg(np.arctan2(slope[:, 1], slope[:, 0])) % 360,
        "azimuth_deg_err": np.minimum(np.rad2deg(s_across / tangent), 180 / np.sqrt(3)),
    }
    if material is not None:
        mean, s_mean = _of_particle(tracks)
        loss, charge = [], []
        for shift in (0.0, -0.5, 0.5):
            rel = energy_loss_from_ratio(1 + np.exp(mean + shift * s_mean), material)
            loss.append(rel * material.density_g_cm3 * _DENSITY_SCALE)
            charge.append(charge_over_beta(rel, material))
        shared |= {
            "rel_kev_per_um": loss[0],
            "rel_kev_per_um_err": loss[2] - loss[1],
            "z_over_beta": charge[0],
            "z_over_beta_err": charge[2] - charge[1],
        }
    of_each = {"v": 1 + np.exp(over), "v_err": np.exp(over) * error[:, :2]}
    columns = {name: np.tile(values, 2) for name, values in shared.items()}
    return columns | {name: values.T.ravel() for name, values in of_each.items()}


def _of_particle(tracks: Track) -> tuple[Floats, Floats]:
    """Return ln(V − 1) of each particle from both its pits, and its error, each (n,).

    The spread between the pits of one particle beyond their errors is estimated for the foil by the
    method of moments.
    """
    over = tracks.free[:, :2]
    variance = np.einsum("njj->nj", tracks.covariance)[:, :2]
    apart = over[:, 0] - over[:, 1]
    expected = variance.sum(1) - 2 * tracks.covariance[:, 0, 1]
    good = tracks.is_found & (expected < 1)
    uneven2 = _USUAL_UNEVEN**2
    if good.sum() >= _SCALED:
        weight = 1 / expected[good]
        excess = np.average(apart[good] ** 2 - expected[good], weights=weight) / 2
        uneven2 = float(np.clip(excess, 0, 1))
    full = tracks.covariance[:, :2, :2] + uneven2 * np.eye(2)
    inverse = np.linalg.inv(full)
    weight = inverse.sum(2)
    total = weight.sum(1)
    return (weight * over).sum(1) / total, 1 / np.sqrt(total)
