"""The constants of a scan that the classical finder needs: noise, weights and limits."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from etchscope.foil import Role
from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack, Ints, RawStack
from etchscope.imaging.ground import LARGEST_PX, find_foil_ground
from etchscope.imaging.harmonics import harmonic_weights
from etchscope.imaging.normalise import Normalisation
from etchscope.preselect.grid import Grid
from etchscope.preselect.lighting import Lighting, Views, combine_signs, make_views
from etchscope.preselect.noise import (
    STEEP,
    Ground,
    find_ground,
    grey_step,
    response_noise,
    rounding_noise,
    shade_limit,
)
from etchscope.preselect.peaks import Cuts, Finds, are_near
from etchscope.preselect.settings import FindSettings
from etchscope.preselect.shapes import measure_discs

__all__ = ["BESIDE", "Calibration", "calibrate_detector"]

BESIDE = Cuts(threshold=6.0, residual_same=0.5, rounds=2)
"""Cuts for sign-free finds where there are signed ones too. Only clear finds are used, because a
pit differs from the ideal disc."""
_ALONE = 6.0
"""Factor by which the tails of clutter are wider than those of noise, used where there is no
gradient to distinguish the two."""
_LEAST_NOISE = 1e-3
"""Noise that is assumed for pictures without noise, well above the rounding of 32-bit floats."""
_LEAST_CLEAR = 0.1
"""Least share of a tile below the camera's limit from which the noise can be measured."""
_ENOUGH = 10
"""Least number of pits from which the properties of an ordinary pit can be measured."""


@dataclass(frozen=True)
class Calibration:
    """The constants of the classical finder for one scan, measured on some of its tiles.

    Attributes
    ----------
    field_noise, presence_noise : (scale,) float64 standard deviation of the bulk in each signed and
        in each sign-free response; ``field_noise`` is 0 without lamps.
    weights : (k,) float64 weight of each sign-free picture.
    limits : (2,) float64 slope and weighted sign-free signal above which a pixel belongs to a pit;
        the slope is inf without lamps.
    ratio : sign-free amplitude over signed amplitude of an ordinary single pit; inf where it is
        unknown.
    level : half the signal of an ordinary pit in the weighted mean of the sign-free pictures. A
        region above it is an opening. It is inf where there are lamps, which show more.
    recipe : digest of the recipe of the normalisation for which the constants are valid.
    """

    field_noise: Floats
    presence_noise: Floats
    weights: Floats
    limits: Floats
    ratio: float
    level: float
    recipe: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 (16 hexadecimal digits) of the constants."""
        sha = hashlib.sha256(f"{self.recipe} {self.ratio!r} {self.level!r}".encode())
        for array in (self.field_noise, self.presence_noise, self.weights, self.limits):
            sha.update(array.tobytes())
        return sha.hexdigest()[:16]


def calibrate_detector(
    stacks: Iterable[RawStack],
    normalisation: Normalisation,
    lighting: Lighting,
    settings: FindSettings,
) -> Calibration:
    """Return the constants of a scan, measured on some of its tiles.

    The noise is measured on the ground between the pits without using any finds, so it does not
    depend on the number of pits. It is never less than the noise from rounding to grey levels.

    Parameters
    ----------
    stacks : (channel, y, x) grey levels of each tile; at least one tile.
    normalisation, lighting : of the scan.
    settings : of the search.

    Raises
    ------
    BadInput : a stack does not fit the normalisation.
    """
    seen: list[Views] = []
    foil: list[Bools] = []
    steps = np.zeros(len(normalisation.gain))
    for raw in stacks:
        steps = np.fmax(steps, [grey_step(grey) for grey in raw]) if not seen else steps
        seen.append(make_views(raw, normalisation, lighting, settings.thin_px))
        foil.append(_lit_foil(raw, normalisation, lighting, settings))
    grid = Grid(seen[0].limit.shape, settings)
    unit = steps / normalisation.gain
    clear = [_clear(v, lit, grid) for v, lit in zip(seen, foil, strict=True)]
    slopes = [s for v in seen if (s := grid.slopes(v)) is not None]
    signs = [np.stack([grid.binned(sign) for sign in v.signs]) for v in seen]
    ground = find_ground(slopes, signs, clear)
    signed: list[Finds] = []
    field_noise = np.zeros(len(grid.radii.scales))
    if slopes:
        fields = [f for v in seen if (f := grid.field_maps(v)) is not None]
        field_noise = _field_noise(slopes, fields, ground, grid, unit, lighting)
        signed = [grid.extract_signed(f, field_noise, settings.cuts) for f in fields]
    weights = _weights(seen, signs, ground, grid, signed, 2 * settings.threshold)
    maps = [grid.presence_maps(v, weights) for v in seen]
    noise = _presence_noise(signs, maps, ground, grid, unit, lighting, weights)
    cuts = BESIDE if slopes else settings.cuts
    unsigned = [grid.extract_unsigned(m, noise, cuts) for m in maps]
    ratios = [_ratios(s, u) for s, u in zip(signed, unsigned, strict=False)]
    known = np.concatenate(ratios) if ratios else np.empty(0)
    ratio = float(np.median(known)) if len(known) >= _ENOUGH else np.inf
    level = np.inf if slopes else _half_depth(seen, weights, unsigned)
    limits = _limits(signs, ground, weights)
    recipe = normalisation.recipe.digest
    return Calibration(field_noise, noise, weights, limits, ratio, level, recipe)


def _limits(signs: list[FloatStack], ground: Ground, weights: Floats) -> Floats:
    """Return the ``limits`` of a calibration, which are multiples of the spread of the ground."""
    ends = [
        shade_limit(combine_signs(s, weights), m) for s, m in zip(signs, ground.bare, strict=True)
    ]
    slope = STEEP * ground.slope if np.isfinite(ground.slope) else np.inf
    return np.array([slope, np.median(ends)])


def _lit_foil(
    raw: RawStack, normalisation: Normalisation, lighting: Lighting, settings: FindSettings
) -> Bools:
    """Return where the lights that are used show foil, (y, x) bool.

    Beside the foil there is no light and so no noise of the ground: taken for ground it would make
    everything on the foil a pit.
    """
    used: list[tuple[Ints, Role]] = [
        (lighting.directional, "directional"),
        (lighting.dark, "backlit"),
        (lighting.bright, "halo"),
    ]
    roles = {int(c): role for channels, role in used for c in channels}
    chosen = sorted(roles)
    return find_foil_ground(
        raw[chosen],
        [roles[c] for c in chosen],
        largest_radius_px=max(LARGEST_PX, settings.largest_radius_px),
        margin_px=settings.largest_radius_px,
        levels=normalisation.gain[chosen],
    )


def _clear(view: Views, foil: Bools, grid: Grid) -> Bools:
    """Return where there is foil and no picture is at the camera's limit, (y, x) bool.

    The limit does not count if that is too little of the tile, and then neither does the foil.
    """
    lit = ~grid.touched(~foil)
    for clear in (lit & ~grid.touched(view.limit), lit):
        if clear.mean() > _LEAST_CLEAR:
            return np.asarray(clear)
    return np.ones_like(lit)


def _known(noise: Floats, fall: Floats, maps: list[FloatStack]) -> Floats:
    """Return the noise of every response, extrapolated where the ground is too narrow for one.

    ``fall`` is the noise of each response if the pictures have white noise, (scale,); the ratio of
    two of them extrapolates from a finer response. Without any ground the noise of the finest
    response follows from the lower quartile of its absolute values, which is 0.31864 standard
    deviations of a normal distribution.
    """
    out = noise.copy()
    if np.isnan(out[0]):
        sizes = np.sort(np.concatenate([np.abs(m[0]).ravel() for m in maps]))
        out[0] = sizes[len(sizes) // 4] / 0.31864
    for s in range(1, len(out)):
        if np.isnan(out[s]):
            out[s] = out[s - 1] * fall[s] / fall[s - 1]
    return out


def _field_noise(
    slopes: list[tuple[FloatImage, FloatImage]],
    maps: list[FloatStack],
    ground: Ground,
    grid: Grid,
    unit: Floats,
    lighting: Lighting,
) -> Floats:
    """Return the noise of the ground in the signed responses, (scale,).

    ``unit`` is the step between grey levels in each channel, normalised.
    """
    pictures: list[tuple[FloatImage, ...]] = list(slopes)
    measured = response_noise(pictures, ground, grid.radii, signed=True)
    weights = harmonic_weights(lighting.azimuths_deg)[1:]
    step = float(np.sqrt(np.mean((weights * unit[lighting.directional]) ** 2, axis=0).sum()))
    least = np.maximum(step * rounding_noise(grid.radii, signed=True), _LEAST_NOISE)
    return np.maximum(_known(measured, np.ones(len(measured)), maps), least)


def _sign_units(unit: Floats, lighting: Lighting) -> Floats:
    """Return the step between grey levels in each sign-free picture, (k,).

    The sign-free picture of the lamps is their mean, so its step is smaller than that of a lamp.
    """
    lamps = unit[lighting.directional]
    mean = [float(np.sqrt(np.mean(lamps**2) / len(lamps)))] if len(lamps) else []
    return np.array([*unit[lighting.dark], *unit[lighting.bright], *mean])


def _presence_noise(
    signs: list[FloatStack],
    maps: list[FloatStack],
    ground: Ground,
    grid: Grid,
    unit: Floats,
    lighting: Lighting,
    weights: Floats,
) -> Floats:
    """Return the noise of the ground in the weighted sign-free responses, (scale,)."""
    pictures: list[tuple[FloatImage, ...]] = [(combine_signs(s, weights),) for s in signs]
    fall = 1 / grid.radii.sigmas
    noise = _known(response_noise(pictures, ground, grid.radii, signed=False), fall, maps)
    if not len(lighting.directional):
        # Without a gradient, clutter can be taken for a pit. Clutter is small, so its spread falls
        # with the scale as that of white noise does.
        noise = np.maximum(noise, _ALONE * noise[0] * fall / fall[0])
    step = float(np.sqrt(np.sum((weights * _sign_units(unit, lighting)) ** 2)))
    least = np.maximum(step * rounding_noise(grid.radii, signed=False), _LEAST_NOISE)
    return np.maximum(noise, least)


def _weights(
    seen: list[Views],
    signs: list[FloatStack],
    ground: Ground,
    grid: Grid,
    signed: list[Finds],
    least: float,
) -> Floats:
    """Return the weights of the sign-free pictures that show an ordinary pit most clearly, (k,).

    A weight is the signal over the squared noise, which is the matched combination of independent
    pictures. The signal is measured at the signed finds of at least ``least`` standard deviations.
    Without enough of these a weight is one over the noise.
    """
    noise, signals = [], []
    fall, middle = 1 / grid.radii.sigmas, len(grid.radii.sigmas) // 2
    for k, w in enumerate(np.eye(len(signs[0]))):
        maps = [grid.presence_maps(v, w) for v in seen]
        pictures: list[tuple[FloatImage, ...]] = [(s[k],) for s in signs]
        own = _known(response_noise(pictures, ground, grid.radii, signed=False), fall, maps)
        noise.append(max(float(own[middle]), _LEAST_NOISE))
        read = [grid.amplitudes(m, f)[f.snr > least] for m, f in zip(maps, signed, strict=False)]
        values = np.concatenate(read) if read else np.empty(0)
        signals.append(float(np.median(values)) if len(values) >= _ENOUGH else np.nan)
    sigma, signal = np.array(noise), np.array(signals)
    weights = signal / sigma**2 if np.isfinite(signal).all() else 1 / sigma
    return np.asarray(weights / np.sqrt(np.sum((weights * sigma) ** 2)))


def _half_depth(seen: list[Views], weights: Floats, finds: list[Finds]) -> float:
    """Return the sign-free signal where the light is half way from the bulk to a clear pit.

    The clear pits are the stronger half of the finds. Without enough of them the result is inf.
    """
    depth = [np.empty(0)]
    for view, some in zip(seen, finds, strict=True):
        picture = combine_signs(view.signs, weights / weights.sum())
        clear = some.snr >= np.median(some.snr) if len(some) else np.empty(0, bool)
        depth.append(measure_discs(picture, some, view.limit)["contrast"][clear])
    known = np.concatenate(depth)
    if len(known) < _ENOUGH or np.median(known) <= 0:
        return np.inf
    return float(-np.log((1 + np.exp(-np.median(known))) / 2))


def _ratios(signed: Finds, unsigned: Finds) -> Floats:
    """Return sign-free over signed amplitude, (n,), of pits with exactly one find of each kind."""
    close = are_near(signed, unsigned, 0.5 * signed.radius_px[:, None])
    i, j = np.nonzero(close & (close.sum(1) == 1)[:, None] & (close.sum(0) == 1)[None, :])
    return np.asarray(unsigned.amplitude[j] / np.abs(signed.amplitude[i]))
