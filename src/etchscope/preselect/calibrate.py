"""The constants of a scan that its pits are measured against: what its bulk looks like."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack, RawStack
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
"""Sign-free finds beside the signed ones: only what stands out, since discs are not cones."""
_ALONE = 6.0
"""How much wider the tails of clutter are than those of noise, where no gradient tells them."""
_LEAST_NOISE = 1e-3
"""Noise of pictures that have none, well above the rounding of 32-bit floats."""
_LEAST_CLEAR = 0.1
"""Share of a tile below the camera's limit from which the noise is known from that share."""
_ENOUGH = 10
"""Fewest pits from which an ordinary one is known."""


@dataclass(frozen=True)
class Calibration:
    """What a scan's bulk looks like to the responses; found once a scan, on its own tiles.

    Attributes
    ----------
    field_noise, presence_noise : (scale,) standard deviation of the bulk in each response.
    weights : (k,) weight of each sign-free picture.
    limits : (2,) slope, and weighted sign-free signal, that the ground does not reach and a pit
        covers; the slope inf without lamps.
    ratio : sign-free over signed amplitude of an ordinary single pit; inf where unknown.
    level : half the depth of an ordinary pit in the sign-free pictures' weighted mean, from which
        a dark region is one; inf where lamps tell more.
    recipe : digest of the normalisation's recipe that the constants are valid for.
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
    """Return the constants of a scan, from some of its tiles.

    The noise is that of the ground between the pits, whatever finds there are, so it is the same
    in a crowd; it is never less than what rounding to grey levels makes.

    Parameters
    ----------
    stacks : (channel, y, x) raw pictures, at least one tile.
    """
    seen: list[Views] = []
    steps = np.zeros(len(normalisation.gain))
    for raw in stacks:
        steps = np.fmax(steps, [grey_step(grey) for grey in raw]) if not seen else steps
        seen.append(make_views(raw, normalisation, lighting, settings.thin_px))
    grid = Grid(seen[0].limit.shape, settings)
    unit = steps / normalisation.gain
    clear = [_clear(v, grid) for v in seen]
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
    """Return the ``limits`` of a calibration: so many widths of what the ground shows."""
    ends = [
        shade_limit(combine_signs(s, weights), m) for s, m in zip(signs, ground.bare, strict=True)
    ]
    slope = STEEP * ground.slope if np.isfinite(ground.slope) else np.inf
    return np.array([slope, np.median(ends)])


def _clear(view: Views, grid: Grid) -> Bools:
    """Return where no picture is at the camera's limit, (y, x); all if that is too little."""
    clear = ~grid.touched(view.limit)
    return clear if clear.mean() > _LEAST_CLEAR else np.ones_like(clear)


def _known(noise: Floats, fall: Floats, maps: list[FloatStack]) -> Floats:
    """Return the noise with what the ground is too narrow for, continued from finer responses.

    ``fall``: (scale,) how white noise falls with the scale. With no ground at all it is the lower
    quartile of what there is: for a normal distribution 0.31864 standard deviations.
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
    """Return the ground's noise in the signed responses, (scale,); ``unit``: a grey step."""
    pictures: list[tuple[FloatImage, ...]] = list(slopes)
    measured = response_noise(pictures, ground, grid.radii, signed=True)
    weights = harmonic_weights(lighting.azimuths_deg)[1:]
    step = float(np.sqrt(np.mean((weights * unit[lighting.directional]) ** 2, axis=0).sum()))
    least = np.maximum(step * rounding_noise(grid.radii, signed=True), _LEAST_NOISE)
    return np.maximum(_known(measured, np.ones(len(measured)), maps), least)


def _sign_units(unit: Floats, lighting: Lighting) -> Floats:
    """Return a grey step in each sign-free picture, (k,); the lamps' steps average out."""
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
    """Return the ground's noise in the weighted sign-free responses, (scale,)."""
    pictures: list[tuple[FloatImage, ...]] = [(combine_signs(s, weights),) for s in signs]
    fall = 1 / grid.radii.sigmas
    noise = _known(response_noise(pictures, ground, grid.radii, signed=False), fall, maps)
    if not len(lighting.directional):
        # Without a gradient, clutter is all that a pit competes with. It is small: its spread
        # falls with the scale as that of white noise does.
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
    """Return the weights of the sign-free pictures that show an ordinary pit most clearly.

    Signal over noise squared (the matched combination of independent pictures), the signal read
    where the gradient found pits of at least ``least`` sigma; without those, one over the noise.
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

    The stronger half of the finds are the clear ones; inf without enough of them.
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
    """Return the sign-free over the signed amplitude of pits with one counterpart each."""
    close = are_near(signed, unsigned, 0.5 * signed.radius_px[:, None])
    i, j = np.nonzero(close & (close.sum(1) == 1)[:, None] & (close.sum(0) == 1)[None, :])
    return np.asarray(unsigned.amplitude[j] / np.abs(signed.amplitude[i]))
