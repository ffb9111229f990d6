"""The pits of one tile, and the constants of a scan that they are measured against."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.foil import PitFlag
from etchscope.foil.types import Bools, Floats, FloatStack, Ints, RawStack
from etchscope.imaging.harmonics import divergence
from etchscope.imaging.normalise import Normalisation
from etchscope.preselect.lighting import Lighting, Views, presence, views
from etchscope.preselect.peaks import Cuts, Finds, extract
from etchscope.preselect.responses import (
    Kernels,
    Radii,
    cascade,
    disc_kernels,
    field_kernels,
    laplacian,
)
from etchscope.preselect.settings import FindSettings
from etchscope.preselect.shapes import measure_discs, measure_fields

__all__ = ["Calibration", "calibrate", "detect"]

_CANCELLED = 2.5
"""A pit whose sign-free signal exceeds the usual one for its gradient by this factor is a pair."""
_DECIDES = 2.0
"""Significance from which a faint gradient's sign is taken for the pit's surface."""
_FAINT = 1.4
"""Joint significance a faint pit needs, in units of the threshold: the texture has wide tails."""
_ALONE = 1.9
"""How much wider the tails of clutter are than those of noise, where no gradient tells them."""
_TURNS = 6
"""Most turns of taking pits out and measuring the noise that remains."""
_ENOUGH = 10
"""Fewest pits from which an ordinary one is known."""
_UNSIGNED = Cuts(threshold=6.0, residual_same=0.5, rounds=2)
"""Sign-free finds beside the signed ones: only what stands out, since discs are not cones."""
_SMALLEST_BINNED_PX = 1.5
"""Sign-free pictures are binned so far that the smallest pit keeps this radius."""


@dataclass(frozen=True)
class Calibration:
    """What a scan's bulk looks like to the responses; found once a scan, on its own tiles.

    Attributes
    ----------
    field_noise, presence_noise : (scale,) standard deviation of the bulk in each response.
    weights : (k,) weight of each sign-free picture.
    ratio : sign-free over signed amplitude of an ordinary single pit; inf where unknown.
    """

    field_noise: Floats
    presence_noise: Floats
    weights: Floats
    ratio: float

    @cached_property
    def digest(self) -> str:
        """SHA-256 (16 hexadecimal digits) of the constants."""
        sha = hashlib.sha256(repr(self.ratio).encode())
        for array in (self.field_noise, self.presence_noise, self.weights):
            sha.update(array.tobytes())
        return sha.hexdigest()[:16]


@dataclass(frozen=True)
class _Presence:
    """Sign-free responses, on binned pictures where they only stand beside the signed ones."""

    image_size: tuple[int, int]
    settings: FindSettings
    has_field: bool

    @cached_property
    def factor(self) -> int:
        by_size = max(int(self.settings.smallest_radius_px / _SMALLEST_BINNED_PX), 1)
        return by_size if self.has_field else 1

    @cached_property
    def kernels(self) -> Kernels:
        return disc_kernels(self._radii)

    @cached_property
    def _radii(self) -> Radii:
        s = self.settings
        return Radii(s.smallest_radius_px / self.factor, s.largest_radius_px / self.factor)

    def maps(self, view: Views, weights: Floats) -> FloatStack:
        picture = presence(view.signs, weights)
        if self.factor > 1:
            height, width = self.image_size
            size = (-(-width // self.factor), -(-height // self.factor))
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        return cascade(laplacian(picture), self._radii)

    def extract(self, maps: FloatStack, noise: Floats, cuts: Cuts) -> Finds:
        """Return the finds in the tile's own pixels; the maps are left without them."""
        finds = extract(maps, noise, self.kernels, cuts, signed=False)
        fy, fx = (f / b for f, b in zip(self.image_size, maps.shape[1:], strict=True))
        return Finds(
            (finds.x_px + 0.5) * fx - 0.5,
            (finds.y_px + 0.5) * fy - 0.5,
            finds.radius_px * self.factor,
            finds.amplitude,
            finds.snr,
        )

    def amplitudes(self, maps: FloatStack, finds: Finds) -> Floats:
        """Return the amplitude of an ideal pit at each find, from all scales."""
        fy, fx = (f / b for f, b in zip(self.image_size, maps.shape[1:], strict=True))
        y = np.rint((finds.y_px + 0.5) / fy - 0.5).astype(np.int64).clip(0, maps.shape[1] - 1)
        x = np.rint((finds.x_px + 0.5) / fx - 0.5).astype(np.int64).clip(0, maps.shape[2] - 1)
        peak = self.kernels.peak_of(finds.radius_px / self.factor)
        return np.asarray((maps[:, y, x].T * peak).sum(axis=1) / (peak**2).sum(axis=1))


def _thin_px(settings: FindSettings) -> int:
    return int(settings.smallest_radius_px)


def _radii(settings: FindSettings) -> Radii:
    return Radii(settings.smallest_radius_px, settings.largest_radius_px)


def _cuts(settings: FindSettings) -> Cuts:
    return Cuts(threshold=settings.threshold, residual=settings.residual)


def _field_maps(view: Views, settings: FindSettings) -> FloatStack | None:
    if view.a is None or view.b is None:
        return None
    return cascade(-divergence(view.a, view.b), _radii(settings))


def _pixels(finds: Finds, shape: tuple[int, int]) -> tuple[Ints, Ints]:
    """Return the (y, x) pixels of finds, those outside the picture moved to its border."""
    y, x = np.rint(finds.y_px).astype(np.int64), np.rint(finds.x_px).astype(np.int64)
    return y.clip(0, shape[0] - 1), x.clip(0, shape[1] - 1)


def _spread(maps: FloatStack) -> Floats:
    """Return a robust standard deviation a map: the lower quartile of its absolute values.

    For a normal distribution that quartile is 0.31864 standard deviations.
    """
    values = np.quantile(np.abs(maps).reshape(len(maps), -1), 0.25, axis=1)
    return np.maximum(values.astype(np.float64) / 0.31864, 1e-9)


def calibrate(
    stacks: Iterable[RawStack],
    normalisation: Normalisation,
    lighting: Lighting,
    settings: FindSettings,
) -> Calibration:
    """Return the constants of a scan, from some of its tiles.

    The noise is what remains once the pits are taken out, so it does not grow with their density;
    the median over the tiles keeps one odd tile from mattering.

    Parameters
    ----------
    stacks : (channel, y, x) raw pictures, at least one tile.
    """
    seen = [views(raw, normalisation, lighting, _thin_px(settings)) for raw in stacks]
    radii, cuts = _radii(settings), _cuts(settings)
    fields = [f for v in seen if (f := _field_maps(v, settings)) is not None]
    grid = _Presence(seen[0].limit.shape, settings, len(fields) > 0)
    signed: list[Finds] = []
    field_noise = np.zeros(len(radii.scales))
    if fields:
        kernels = field_kernels(radii)

        def find_signed(maps: FloatStack, noise: Floats) -> Finds:
            return extract(maps, noise, kernels, cuts, signed=True)

        field_noise, signed = _noise_and_finds(fields, find_signed)
    weights = _weights(seen, grid, signed, 2 * settings.threshold)

    def find_unsigned(maps: FloatStack, noise: Floats) -> Finds:
        return grid.extract(maps, noise, _UNSIGNED if fields else cuts)

    noise, unsigned = _noise_and_finds([grid.maps(v, weights) for v in seen], find_unsigned)
    if not fields:
        # Without a gradient, clutter is all that a pit competes with. It is small: its spread
        # falls with the scale as that of white noise does, and where it does not, pits are in it.
        noise = _ALONE * noise[0] * radii.sigmas[0] / radii.sigmas
    ratios = [_ratios(s, u) for s, u in zip(signed, unsigned, strict=False)]
    known = np.concatenate(ratios) if ratios else np.empty(0)
    ratio = float(np.median(known)) if len(known) >= _ENOUGH else np.inf
    return Calibration(field_noise, noise, weights, ratio)


def _noise_and_finds(
    tiles: list[FloatStack], find: Callable[[FloatStack, Floats], Finds]
) -> tuple[Floats, list[Finds]]:
    """Return the bulk's noise in response maps, and the finds of each tile at that noise.

    In a crowd the pits themselves widen the first guess, which hides the fainter of them; each
    turn takes more of them out, until nothing changes.
    """
    noise = np.median([_spread(m) for m in tiles], axis=0)
    for _ in range(_TURNS):
        left = [m.copy() for m in tiles]
        finds = [find(m, noise) for m in left]
        before, noise = noise, np.median([_spread(m) for m in left], axis=0)
        if np.allclose(noise, before, rtol=0.02):
            break
    return noise, finds


def _weights(seen: list[Views], grid: _Presence, signed: list[Finds], least: float) -> Floats:
    """Return the weights of the sign-free pictures that show an ordinary pit most clearly.

    Signal over noise squared (the matched combination of independent pictures), the signal read
    where the gradient found pits of at least ``least`` sigma; without those, one over the noise.
    """
    noise, signals = [], []
    for w in np.eye(len(seen[0].signs)):
        maps = [grid.maps(v, w) for v in seen]
        noise.append(float(np.median([_spread(m)[len(m) // 2] for m in maps])))
        read = [grid.amplitudes(m, f)[f.snr > least] for m, f in zip(maps, signed, strict=False)]
        values = np.concatenate(read) if read else np.empty(0)
        signals.append(float(np.median(values)) if len(values) >= _ENOUGH else np.nan)
    sigma, signal = np.array(noise), np.array(signals)
    weights = signal / sigma**2 if np.isfinite(signal).all() else 1 / sigma
    return np.asarray(weights / np.sqrt(np.sum((weights * sigma) ** 2)))


def _near(one: Finds, other: Finds, reach: Floats) -> Bools:
    """Return, per find of one list and of another, whether they are nearer than reach, (n, m)."""
    dx = one.x_px[:, None] - other.x_px[None, :]
    dy = one.y_px[:, None] - other.y_px[None, :]
    return np.asarray(dx**2 + dy**2 < reach**2)


def _ratios(signed: Finds, unsigned: Finds) -> Floats:
    """Return the sign-free over the signed amplitude of pits with one counterpart each."""
    near = _near(signed, unsigned, 0.5 * signed.radius_px[:, None])
    i, j = np.nonzero(near & (near.sum(1) == 1)[:, None] & (near.sum(0) == 1)[None, :])
    return np.asarray(unsigned.amplitude[j] / np.abs(signed.amplitude[i]))


@dataclass(frozen=True)
class _Openings:
    """One row an opening; ``mate`` is the row of the other opening of a steep pair, or −1.

    ``excess`` is the sign-free signal beyond the ordinary, in units of its noise.
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

    Its amplitude (positive) and signed significance, the least amplitude that would have been
    found, and the least joint significance of a faint pit.
    """

    amplitude: Floats
    snr: Floats
    limit: Floats
    least: float


def _gradient(
    left: FloatStack, calibration: Calibration, unsigned: Finds, kernels: Kernels, least: float
) -> _Gradient:
    """Return what signed response is left at sign-free finds; ``least`` in units of its noise."""
    y, x = _pixels(unsigned, left.shape[1:])
    peak = kernels.peak_of(unsigned.radius_px)
    noise = calibration.field_noise
    scale = (peak / noise).argmax(axis=1)
    value, unit = left[scale, y, x].astype(np.float64), noise[scale]
    height = peak[np.arange(len(peak)), scale]
    limit = least * unit / height
    return _Gradient(np.abs(value) / height, value / unit, limit, _FAINT * least)


def _resolve(signed: Finds, unsigned: Finds, gradient: _Gradient, ratio: float) -> _Openings:
    """Return one row an opening: what each sign-free find means beside the signed ones.

    A find without a pit of any sign is a steep pair if its gradient should have been seen and was
    not, else a single faint pit. A find with pits of one sign that is far stronger than theirs
    usually are hides the other opening. All others are explained.

    Parameters
    ----------
    signed : pits found by their gradient.
    unsigned : finds in the sign-free pictures, strongest first.
    gradient : what is left of the signed response at each of ``unsigned``.
    ratio : sign-free over signed amplitude of an ordinary pit.
    """
    is_top = signed.amplitude > 0
    reach = 1.2 * np.maximum.outer(unsigned.radius_px, signed.radius_px)
    near = _near(unsigned, signed, reach)
    top = np.asarray(near[:, is_top].any(axis=1))
    bottom = np.asarray(near[:, ~is_top].any(axis=1))
    strongest = np.where(near, np.abs(signed.amplitude), 0).max(axis=1, initial=0)
    free = ~(top | bottom)
    cancelled = unsigned.amplitude > _CANCELLED * ratio * np.maximum(
        gradient.amplitude, gradient.limit
    )
    # Stouffer's sum: neither sign is enough of a faint pit, but both together can be.
    together = (unsigned.snr + np.abs(gradient.snr)) / np.sqrt(2)
    lone = np.flatnonzero(free & ~cancelled & (together > gradient.least))
    pair = np.flatnonzero(free & cancelled)
    joins = np.flatnonzero((top ^ bottom) & (unsigned.amplitude > _CANCELLED * ratio * strongest))
    partner = np.where(near[joins], signed.snr, -1).argmax(axis=1) if len(joins) else joins
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


def _responses(
    finds: Finds, signed: int, left: FloatStack, calibration: Calibration, kernels: Kernels
) -> tuple[Floats, Floats]:
    """Return the entry and the exit response of each opening, its neighbours taken out.

    That is what is left of the response in its place and, for the first ``signed`` finds, what was
    taken out for itself.
    """
    y, x = _pixels(finds, left.shape[1:])
    own = np.where(np.arange(len(finds)) < signed, finds.amplitude, 0.0)
    response = left[:, y, x].T + own[:, None] * kernels.peak_of(finds.radius_px)
    snr = response / calibration.field_noise
    return snr.max(axis=1).clip(0), (-snr.min(axis=1)).clip(0)


def detect(
    raw: RawStack,
    normalisation: Normalisation,
    calibration: Calibration,
    lighting: Lighting,
    settings: FindSettings,
) -> pd.DataFrame:
    """Return the pits of one tile.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.
    normalisation, calibration : of the tile's scan.

    Returns
    -------
    DataFrame ``surface, x_px, y_px, radius_px, ellipticity, angle_deg, contrast, entry, exit,
    hip, flags`` and ``mate``, the row of the other opening of a steep pair, or −1.

    Raises
    ------
    BadInput : the stack does not fit the normalisation.
    """
    view = views(raw, normalisation, lighting, _thin_px(settings))
    field = _field_maps(view, settings)
    grid = _Presence(view.limit.shape, settings, field is not None)
    maps, noise = grid.maps(view, calibration.weights), calibration.presence_noise
    if field is None:
        finds = grid.extract(maps, noise, _cuts(settings))
        none = np.full(len(finds), -1)
        openings = _Openings(finds, np.full(len(finds), "unknown"), none, finds.snr)
        entry = exit_ = np.full(len(finds), np.nan)
    else:
        unsigned = grid.extract(maps, noise, _UNSIGNED)
        kernels = field_kernels(_radii(settings))
        signed = extract(field, calibration.field_noise, kernels, _cuts(settings), signed=True)
        gradient = _gradient(field, calibration, unsigned, kernels, settings.threshold)
        openings = _resolve(signed, unsigned, gradient, calibration.ratio)
        entry, exit_ = _responses(openings.finds, len(signed), field, calibration, kernels)
    columns = _shapes(openings, view, calibration)
    columns |= {"entry": entry, "exit": exit_, "hip": openings.excess}
    return pd.DataFrame({"surface": openings.surface, **columns, "mate": openings.mate})


def _shapes(openings: _Openings, view: Views, calibration: Calibration) -> dict[str, NDArray[Any]]:
    """Return shape and flags of each opening, from the picture in which it is clearest.

    The sign-free pictures are the sharper ones; where a neighbour overlaps, the field shows the
    pit of one surface alone, unless entry and exit cancel in it.
    """
    finds, steep = openings.finds, openings.mate >= 0
    picture = presence(view.signs, calibration.weights)
    if view.a is None or view.b is None:
        shapes = measure_discs(picture, finds, view.limit)
    else:
        sign = np.where(openings.surface == "top", 1.0, -1.0)
        shapes = measure_fields(view.a, view.b, finds, sign, view.limit)
        apart = _near(finds, finds, 2 * finds.radius_px[:, None]).sum(axis=1) == 1
        sharper = np.flatnonzero(steep | (apart if len(view.signs) > 1 else False))
        discs = measure_discs(picture, _take(finds, sharper), view.limit)
        for name in ("x_px", "y_px", "radius_px", "ellipticity", "angle_deg"):
            shapes[name][sharper] = discs[name]
    saturated = shapes.pop("saturated") > 0.1
    height, width = view.limit.shape
    x, y, r = shapes["x_px"], shapes["y_px"], shapes["radius_px"]
    edge = (x < r) | (y < r) | (x > width - 1 - r) | (y > height - 1 - r)
    same = openings.surface[:, None] == openings.surface[None, :]
    close = (_near(finds, finds, r[:, None]) & same).sum(axis=1) > 1
    flags = np.zeros(len(finds), np.int64)
    for mask, flag in (
        (edge, PitFlag.EDGE),
        (saturated, PitFlag.SATURATED),
        (close, PitFlag.TOO_CLOSE),
        (steep, PitFlag.STEEP_PAIR),
    ):
        flags |= np.where(mask, int(flag), 0)
    return {**shapes, "flags": flags}
