"""The classical finder: the openings of one tile from responses, peaks and shapes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from etchscope.foil import PitFlag
from etchscope.foil.types import Bools, Floats, FloatStack, Ints, RawStack
from etchscope.imaging.normalise import Normalisation
from etchscope.preselect.calibrate import BESIDE, Calibration
from etchscope.preselect.coverage import covered_fraction, local_coverage, reach_px
from etchscope.preselect.grid import Grid
from etchscope.preselect.lighting import Lighting, Views, combine_signs, make_views
from etchscope.preselect.peaks import Finds, are_near
from etchscope.preselect.regions import find_regions
from etchscope.preselect.remainders import are_remainders
from etchscope.preselect.settings import FindSettings
from etchscope.preselect.shapes import measure_discs, measure_fields

__all__ = ["detect_openings"]

_CANCELLED = 2.5
"""Factor by which the sign-free signal of a steep pair exceeds what its gradient lets expect."""
_SATURATED = 0.1
"""Fraction of an opening at the camera's limit from which it counts as saturated."""
_DECIDES = 2.0
"""Significance of a faint gradient from which its sign determines the surface of the pit."""
_FAINT = 1.6
"""Least joint significance of a faint pit in units of the threshold. It exceeds 1 because the
texture of the foil has wide tails."""


@dataclass(frozen=True)
class _Openings:
    """The openings of a tile, one per row.

    ``surface`` is top, bottom or unknown. ``mate`` is the row of the other opening of a steep pair,
    or −1. ``excess`` is the sign-free signal of a steep pair in units of the noise, and otherwise
    0; without lamps it is that of each find.
    """

    finds: Finds
    surface: "np.ndarray[tuple[int], np.dtype[np.str_]]"
    mate: Ints
    excess: Floats


def _take(finds: Finds, *rows: Ints) -> Finds:
    at = np.concatenate(rows)
    columns = (finds.x_px, finds.y_px, finds.radius_px, finds.amplitude, finds.snr)
    return Finds(*(c[at] for c in columns))


def _join(one: Finds, other: Finds) -> Finds:
    names = ("x_px", "y_px", "radius_px", "amplitude", "snr")
    return Finds(*(np.concatenate([getattr(one, n), getattr(other, n)]) for n in names))


@dataclass(frozen=True)
class _Gradient:
    """The signed response at sign-free finds.

    For each find, (n,), ``amplitude`` is the absolute amplitude, ``snr`` the significance with its
    sign, and ``limit`` the least amplitude that would have been found. ``least`` is the least joint
    significance of a faint pit.
    """

    amplitude: Floats
    snr: Floats
    limit: Floats
    least: float


def _gradient(left: FloatStack, calibration: Calibration, unsigned: Finds, grid: Grid) -> _Gradient:
    """Return the signed response that remains at sign-free finds once signed finds are removed."""
    y, x = grid.at(unsigned)
    peak = grid.field_peaks(unsigned)
    noise, least = calibration.field_noise, grid.settings.threshold
    scale = (peak / noise).argmax(axis=1)
    value, unit = left[scale, y, x].astype(np.float64), noise[scale]
    height = peak[np.arange(len(peak)), scale]
    limit = least * unit / height
    return _Gradient(np.abs(value) / height, value / unit, limit, _FAINT * least)


def _resolve(signed: Finds, unsigned: Finds, gradient: _Gradient, ratio: float) -> _Openings:
    """Return the openings that the signed and the sign-free finds show together.

    A sign-free find without a signed find is a steep pair if its gradient should have been seen and
    was not; otherwise it is a single faint pit. A sign-free find that is far stronger than usual
    for the signed finds of one sign near it hides an opening of the other surface. The signed finds
    explain all other sign-free finds.

    Parameters
    ----------
    signed : pits found by their gradient.
    unsigned : finds in the sign-free pictures, strongest first.
    gradient : the signed response that remains at each of ``unsigned``.
    ratio : sign-free amplitude over signed amplitude of an ordinary pit.
    """
    is_top = signed.amplitude > 0
    reach = 1.2 * np.maximum.outer(unsigned.radius_px, signed.radius_px)
    close = are_near(unsigned, signed, reach)
    top = np.asarray(close[:, is_top].any(axis=1))
    bottom = np.asarray(close[:, ~is_top].any(axis=1))
    strongest = np.where(close, np.abs(signed.amplitude), 0).max(axis=1, initial=0)
    free = ~(top | bottom)
    cancelled = unsigned.amplitude > _CANCELLED * ratio * np.maximum(
        gradient.amplitude, gradient.limit
    )
    # Stouffer's sum: neither response alone shows a faint pit, but both together can.
    together = (unsigned.snr + np.abs(gradient.snr)) / np.sqrt(2)
    lone = np.flatnonzero(free & ~cancelled & (together > gradient.least))
    pair = np.flatnonzero(free & cancelled)
    ordinary = np.multiply(
        ratio, strongest, out=np.full(len(strongest), np.inf), where=strongest > 0
    )
    joins = np.flatnonzero((top ^ bottom) & (unsigned.amplitude > _CANCELLED * ordinary))
    partner = np.where(close[joins], signed.snr, -1).argmax(axis=1) if len(joins) else joins
    partner, first = np.unique(partner, return_index=True)
    joins = joins[first]
    n, p, j = len(signed), len(pair), len(joins)
    finds = _join(signed, _take(unsigned, lone, pair, pair, joins))
    surface = np.concatenate(
        [
            np.where(is_top, "top", "bottom"),
            np.where(
                gradient.snr[lone] > _DECIDES,
                "top",
                np.where(gradient.snr[lone] < -_DECIDES, "bottom", "unknown"),
            ),
            np.repeat(["top", "bottom"], p),
            np.where(top[joins], "bottom", "top"),
        ]
    )
    mate = np.full(len(finds), -1)
    start = n + len(lone)
    mate[start : start + 2 * p] = start + np.r_[p : 2 * p, 0:p]
    mate[start + 2 * p :] = partner
    mate[partner] = start + 2 * p + np.arange(j)
    excess = np.where(mate >= 0, np.maximum(finds.snr, finds.snr[mate]), 0.0)
    return _Openings(finds, surface, mate, excess)


def _without_remainders(finds: Finds, share: Floats, grid: Grid, *, signed: bool) -> Finds:
    """Return the finds that are no remainders of stronger ones; see ``are_remainders``."""
    near_them = local_coverage(
        share, finds.x_px, finds.y_px, grid.image_size, reach_px(grid.settings)
    )
    largest = grid.settings.largest_radius_px
    return _take(finds, np.flatnonzero(~are_remainders(finds, near_them, largest, signed=signed)))


def _responses(
    finds: Finds, signed: int, left: FloatStack, calibration: Calibration, grid: Grid
) -> tuple[Floats, Floats]:
    """Return the entry and the exit response of each opening without those of its neighbours.

    It is the response that remains at its place and, for the first ``signed`` finds, the response
    that was subtracted for the find itself.
    """
    y, x = grid.at(finds)
    own = np.where(np.arange(len(finds)) < signed, finds.amplitude, 0.0)
    snr = (left[:, y, x].T + own[:, None] * grid.field_peaks(finds)) / calibration.field_noise
    return snr.max(axis=1).clip(0), (-snr.min(axis=1)).clip(0)


def detect_openings(
    raw: RawStack,
    normalisation: Normalisation,
    calibration: Calibration,
    lighting: Lighting,
    settings: FindSettings,
) -> dict[str, NDArray[Any]]:
    """Return the openings of one tile.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.
    normalisation, calibration, lighting : of the tile's scan.
    settings : of the search.

    Returns
    -------
    Columns of (n,) values: ``surface, x_px, y_px, radius_px, ellipticity, angle_deg, contrast,
    entry, exit, hip, flags`` as in the pit table; ``mate``, the row of the other opening of a steep
    pair, or −1; and ``covered``, the fraction of the picture around the opening that pits cover.

    Raises
    ------
    BadInput : the stack does not fit the normalisation, or the calibration belongs to another
        recipe.
    """
    normalisation.require(calibration.recipe)
    normalisation.require_fit(raw)
    view = make_views(raw, normalisation, lighting, settings.thin_px)
    grid = Grid(view.limit.shape, settings)
    share = covered_fraction(view, grid, calibration.weights, calibration.limits)
    openings, entry, exit_, scratches = _find(view, grid, share, calibration)
    shapes = _shapes(openings, view, calibration)
    for name, size in zip(("y_px", "x_px"), view.limit.shape, strict=True):
        # The fitted centre of an opening that the edge cuts may lie beyond the edge.
        shapes[name] = shapes[name].clip(-0.5, size - 0.5)
    is_on_scratch = scratches[grid.at(openings.finds)]
    flags = _flags(openings, shapes, view.limit.shape, is_on_scratch)
    del shapes["saturated"]
    pits: dict[str, NDArray[Any]] = {
        "surface": openings.surface,
        **shapes,
        "entry": entry,
        "exit": exit_,
        "hip": openings.excess,
        "flags": flags,
        "mate": openings.mate,
    }
    if np.isfinite(calibration.level):
        # Rings are thin, so here thin features are kept.
        whole = make_views(raw, normalisation, lighting)
        regions = _regions(whole, openings.finds, calibration, settings)
        pits = {name: np.concatenate([pits[name], regions[name]]) for name in pits}
    reach = reach_px(settings)
    pits["covered"] = local_coverage(share, pits["x_px"], pits["y_px"], grid.image_size, reach)
    return pits


def _find(
    view: Views, grid: Grid, share: Floats, calibration: Calibration
) -> tuple[_Openings, Floats, Floats, Bools]:
    """Return openings, their entry and exit responses, and where scratches are, binned (y, x)."""
    cuts = grid.settings.cuts
    field, maps = grid.field_maps(view), grid.presence_maps(view, calibration.weights)
    scratches = grid.scratches(maps, calibration.presence_noise)
    if field is None:
        finds = grid.extract_unsigned(maps, calibration.presence_noise, cuts)
        finds = _without_remainders(finds, share, grid, signed=False)
        none, unknown = np.full(len(finds), -1), np.full(len(finds), np.nan)
        openings = _Openings(finds, np.full(len(finds), "unknown"), none, finds.snr)
        return openings, unknown, unknown, scratches
    unsigned = grid.extract_unsigned(maps, calibration.presence_noise, BESIDE)
    signed = grid.extract_signed(field, calibration.field_noise, cuts)
    signed = _without_remainders(signed, share, grid, signed=True)
    gradient = _gradient(field, calibration, unsigned, grid)
    openings = _resolve(signed, unsigned, gradient, calibration.ratio)
    entry, exit_ = _responses(openings.finds, len(signed), field, calibration, grid)
    return openings, entry, exit_, scratches


def _regions(
    view: Views, finds: Finds, calibration: Calibration, settings: FindSettings
) -> dict[str, NDArray[Any]]:
    """Return the dark regions that are no finds yet, in the columns of ``detect_openings``."""
    picture = combine_signs(view.signs, calibration.weights / calibration.weights.sum())
    shapes = find_regions(picture, calibration.level, finds, settings.largest_radius_px)
    edge = _is_cut(shapes, view.limit.shape)
    none = np.full(len(edge), np.nan)
    return {
        "surface": np.full(len(edge), "unknown"),
        **shapes,
        "entry": none,
        "exit": none,
        "hip": none,
        "flags": int(PitFlag.REGION) | np.where(edge, int(PitFlag.EDGE), 0),
        "mate": np.full(len(edge), -1),
    }


def _is_cut(shapes: dict[str, Floats], image_size: tuple[int, int]) -> Bools:
    """Return which openings reach the edge of the picture, (n,)."""
    height, width = image_size
    x, y, r = shapes["x_px"], shapes["y_px"], shapes["radius_px"]
    return (x < r) | (y < r) | (x > width - 1 - r) | (y > height - 1 - r)


def _crowded(finds: Finds, reach: Floats) -> Bools:
    """Return which finds have another find nearer than their reach, (n,)."""
    if len(finds) < 2:
        return np.zeros(len(finds), bool)
    place = np.column_stack([finds.x_px, finds.y_px])
    distance, _ = cKDTree(place).query(place, k=2)
    return np.asarray(distance[:, 1] < reach)


def _shapes(openings: _Openings, view: Views, calibration: Calibration) -> dict[str, Floats]:
    """Return the shape of each opening, measured in the picture in which it is clearest.

    The sign-free pictures are sharper. Where a neighbour overlaps, the field shows the pit of one
    surface alone, unless entry and exit pit cancel in it. The contrast is the mean shading of the
    walls or, without lamps, the mean logarithm of the light of the bulk over that of the pit.
    """
    finds = openings.finds
    picture = combine_signs(view.signs, calibration.weights / calibration.weights.sum())
    if view.a is None or view.b is None:
        return measure_discs(picture, finds, view.limit)
    sign = np.where(openings.surface == "top", 1.0, -1.0)
    shapes = measure_fields(view.a, view.b, finds, sign, view.limit)
    apart = ~_crowded(finds, 2 * finds.radius_px)
    use_discs = (openings.mate >= 0) | (apart if len(view.signs) > 1 else False)
    sharper = np.flatnonzero(use_discs)
    discs = measure_discs(picture, _take(finds, sharper), view.limit)
    for name in ("x_px", "y_px", "radius_px", "ellipticity", "angle_deg"):
        shapes[name][sharper] = discs[name]
    return shapes


def _flags(
    openings: _Openings, shapes: dict[str, Floats], image_size: tuple[int, int], on_scratch: Bools
) -> Ints:
    """Return the flags that follow from the tile alone, (n,); see ``PitFlag``."""
    radius_px = shapes["radius_px"]
    close = np.zeros(len(radius_px), bool)
    for surface in np.unique(openings.surface):
        of_it = np.flatnonzero(openings.surface == surface)
        close[of_it] = _crowded(_take(openings.finds, of_it), radius_px[of_it])
    flags = np.zeros(len(radius_px), np.int64)
    for is_set, flag in (
        (_is_cut(shapes, image_size), PitFlag.EDGE),
        (shapes["saturated"] > _SATURATED, PitFlag.SATURATED),
        (close, PitFlag.TOO_CLOSE),
        (openings.mate >= 0, PitFlag.STEEP_PAIR),
        (on_scratch, PitFlag.SCRATCH),
    ):
        flags |= np.where(is_set, int(flag), 0)
    return flags
