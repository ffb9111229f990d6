"""The constants of a scan that its pits are measured against: what its bulk looks like."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from etchscope.foil.types import Bools, Floats, FloatStack, RawStack
from etchscope.imaging.normalise import Normalisation
from etchscope.preselect.grid import Grid
from etchscope.preselect.lighting import Lighting, Views, presence, views
from etchscope.preselect.peaks import Cuts, Finds, near
from etchscope.preselect.settings import FindSettings
from etchscope.preselect.shapes import measure_discs

__all__ = ["BESIDE", "Calibration", "calibrate"]

BESIDE = Cuts(threshold=6.0, residual_same=0.5, rounds=2)
"""Sign-free finds beside the signed ones: only what stands out, since discs are not cones."""
_ALONE = 6.0
"""How much wider the tails of clutter are than those of noise, where no gradient tells them."""
_LEAST_NOISE = 1e-3
"""Noise of pictures that have none, well above the rounding of 32-bit floats."""
_LEAST_CLEAR = 0.1
"""Share of a tile below the camera's limit from which the noise is known from that share."""
_TURNS = 6
"""Most turns of taking pits out and measuring the noise that remains."""
_ENOUGH = 10
"""Fewest pits from which an ordinary one is known."""


@dataclass(frozen=True)
class Calibration:
    """What a scan's bulk looks like to the responses; found once a scan, on its own tiles.

    Attributes
    ----------
    field_noise, presence_noise : (scale,) standard deviation of the bulk in each response.
    weights : (k,) weight of each sign-free picture.
    ratio : sign-free over signed amplitude of an ordinary single pit; inf where unknown.
    level : half the depth of an ordinary pit in the sign-free pictures' weighted mean, from which
        a dark region is one; inf where lamps tell more.
    recipe : digest of the normalisation's recipe that the constants are valid for.
    """

    field_noise: Floats
    presence_noise: Floats
    weights: Floats
    ratio: float
    level: float
    recipe: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 (16 hexadecimal digits) of the constants."""
        sha = hashlib.sha256(f"{self.recipe} {self.ratio!r} {self.level!r}".encode())
        for array in (self.field_noise, self.presence_noise, self.weights):
            sha.update(array.tobytes())
        return sha.hexdigest()[:16]


def _spread(maps: FloatStack, clear: Bools) -> Floats:
    """Return a robust standard deviation a map: the lower quartile of its absolute values.

    For a normal distribution that quartile is 0.31864 standard deviations. Only where ``clear``,
    (y, x): a picture at the camera's limit has no noise there.
    """
    thin = np.abs(maps[:, clear])
    quarter = thin.shape[1] // 4
    values = np.partition(thin, quarter, axis=1)[:, quarter]
    return np.maximum(values.astype(np.float64) / 0.31864, _LEAST_NOISE)


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
    seen = [views(raw, normalisation, lighting, settings.thin_px) for raw in stacks]
    grid = Grid(seen[0].limit.shape, settings)
    fields = [f for v in seen if (f := grid.field_maps(v)) is not None]
    signed: list[Finds] = []
    field_noise = np.zeros(len(grid.radii.scales))
    clear = [_clear(v, grid) if fields else np.ones(grid.shape, bool) for v in seen]
    if fields:
        find_signed = partial(grid.extract_signed, cuts=settings.cuts)
        field_noise, signed = _noise_and_finds(fields, clear, find_signed)
    weights = _weights(seen, clear, grid, signed, 2 * settings.threshold)
    find_unsigned = partial(grid.extract_unsigned, cuts=BESIDE if fields else settings.cuts)
    maps = [grid.presence_maps(v, weights) for v in seen]
    noise, unsigned = _noise_and_finds(maps, clear, find_unsigned)
    if not fields:
        # Without a gradient, clutter is all that a pit competes with. It is small: its spread
        # falls with the scale as that of white noise does, and where it does not, pits are in it.
        noise = _ALONE * noise[0] * grid.radii.sigmas[0] / grid.radii.sigmas
    ratios = [_ratios(s, u) for s, u in zip(signed, unsigned, strict=False)]
    known = np.concatenate(ratios) if ratios else np.empty(0)
    ratio = float(np.median(known)) if len(known) >= _ENOUGH else np.inf
    level = np.inf if fields else _half_depth(seen, weights, unsigned)
    return Calibration(field_noise, noise, weights, ratio, level, normalisation.recipe.digest)


def _clear(view: Views, grid: Grid) -> Bools:
    """Return where no picture is at the camera's limit, (y, x); all if that is too little."""
    clear = ~grid.touched(view.limit)
    return clear if clear.mean() > _LEAST_CLEAR else np.ones_like(clear)


def _noise_and_finds(
    tiles: list[FloatStack], clear: list[Bools], find: Callable[[FloatStack, Floats], Finds]
) -> tuple[Floats, list[Finds]]:
    """Return the bulk's noise in response maps, and the finds of each tile at that noise.

    In a crowd the pits themselves widen the first guess, which hides the fainter of them; each
    turn takes more of them out, until nothing changes.
    """
    noise = np.median([_spread(m, c) for m, c in zip(tiles, clear, strict=True)], axis=0)
    for _ in range(_TURNS):
        left = [m.copy() for m in tiles]
        finds = [find(m, noise) for m in left]
        spreads = [_spread(m, c) for m, c in zip(left, clear, strict=True)]
        before, noise = noise, np.median(spreads, axis=0)
        if np.allclose(noise, before, rtol=0.02):
            break
    return noise, finds


def _weights(
    seen: list[Views], clear: list[Bools], grid: Grid, signed: list[Finds], least: float
) -> Floats:
    """Return the weights of the sign-free pictures that show an ordinary pit most clearly.

    Signal over noise squared (the matched combination of independent pictures), the signal read
    where the gradient found pits of at least ``least`` sigma; without those, one over the noise.
    """
    noise, signals = [], []
    for w in np.eye(len(seen[0].signs)):
        maps = [grid.presence_maps(v, w) for v in seen]
        spreads = [_spread(m, c)[len(m) // 2] for m, c in zip(maps, clear, strict=True)]
        noise.append(float(np.median(spreads)))
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
        picture = presence(view.signs, weights / weights.sum())
        clear = some.snr >= np.median(some.snr) if len(some) else np.empty(0, bool)
        depth.append(measure_discs(picture, some, view.limit)["contrast"][clear])
    known = np.concatenate(depth)
    if len(known) < _ENOUGH or np.median(known) <= 0:
        return np.inf
    return float(-np.log((1 + np.exp(-np.median(known))) / 2))


def _ratios(signed: Finds, unsigned: Finds) -> Floats:
    """Return the sign-free over the signed amplitude of pits with one counterpart each."""
    close = near(signed, unsigned, 0.5 * signed.radius_px[:, None])
    i, j = np.nonzero(close & (close.sum(1) == 1)[:, None] & (close.sum(0) == 1)[None, :])
    return np.asarray(unsigned.amplitude[j] / np.abs(signed.amplitude[i]))
