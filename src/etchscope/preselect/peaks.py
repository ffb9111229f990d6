"""Pits from response maps; each pit is subtracted before the next weaker ones are searched.

The response to a pit has side lobes of the other sign, and neighbours overlap. As CLEAN does for
radio sources (Högbom 1974, A&AS 15, 417), each round takes the dominant peaks, subtracts the
response to an ideal pit of that place, radius and amplitude, and continues with the remainder.
"""

from dataclasses import dataclass

import numba
import numpy as np

from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack, Ints
from etchscope.preselect.responses import Kernels

__all__ = ["Cuts", "Finds", "are_near", "extract"]


@dataclass(frozen=True)
class Cuts:
    """The criteria for a peak.

    Attributes
    ----------
    threshold : least response in units of the noise of the bulk.
    residual : least response near a stronger pit that was subtracted, relative to that of the
        stronger pit.
    residual_same : the same where both lie on one surface. It is larger because the remainder of an
        elongated pit has the sign of the pit.
    rounds : largest number of rounds.
    """

    threshold: float = 6.0
    residual: float = 0.3
    residual_same: float = 0.4
    rounds: int = 8


@numba.njit(nogil=True, cache=True)
def _is_extremum(maps: FloatStack, s: int, y: int, x: int, sign: float) -> bool:
    """Return whether no neighbour in place or scale is larger, in the direction of ``sign``."""
    scales, rows, columns = maps.shape
    value = sign * maps[s, y, x]
    for t in (s, max(s - 1, 0), min(s + 1, scales - 1)):
        for v in range(max(y - 1, 0), min(y + 2, rows)):
            for u in range(max(x - 1, 0), min(x + 2, columns)):
                if sign * maps[t, v, u] > value:
                    return False
    return True


@numba.njit(nogil=True, cache=True)
def _remainder_limit(
    shadow: FloatStack, y: int, x: int, sign: float, residual: tuple[float, float]
) -> float:
    """Return the response up to which a peak may be the remainder of a subtracted pit."""
    same, other = (0, 1) if sign > 0 else (1, 0)
    limit: float = max(residual[0] * shadow[other, y, x], residual[1] * shadow[same, y, x])
    return limit


@numba.njit(nogil=True, cache=True)
def _is_reached(maps: FloatStack, s: int, y: int, first: int, end: int, limit: float) -> bool:
    """Return whether an absolute value in part of a row reaches a limit.

    The loop counts in 32 bits and has no branch, so that it vectorises.
    """
    row = maps[s, y]
    count = np.int32(0)
    for x in range(first, end):
        count += np.int32((row[x] >= limit) | (row[x] <= -limit))
    return bool(count > 0)


@numba.njit(nogil=True, cache=True)
def _candidates(
    maps: FloatStack,
    shadow: FloatStack,
    least: FloatImage,
    residual: tuple[float, float],
    signed: bool,
    boxes: Ints,
) -> FloatImage:
    """Return the extrema inside some boxes, unsorted, (n, 5) float32.

    The columns are response over its limit, scale, y, x, and sign. The columns of ``boxes`` are
    first y, end y, first x, and end x, (m, 4).
    """
    scales = len(maps)
    found = []
    for k in range(len(boxes)):
        for s in range(scales):
            limit = least[s]
            for y in range(boxes[k, 0], boxes[k, 1]):
                if not _is_reached(maps, s, y, boxes[k, 2], boxes[k, 3], limit):
                    continue
                for x in range(boxes[k, 2], boxes[k, 3]):
                    value = maps[s, y, x]
                    size = abs(value) if signed else value
                    if size < limit:
                        continue
                    sign = 1.0 if value > 0 else -1.0
                    if size < _remainder_limit(shadow, y, x, sign, residual):
                        continue
                    if _is_extremum(maps, s, y, x, sign):
                        found.append(
                            (
                                size / limit,
                                np.float32(s),
                                np.float32(y),
                                np.float32(x),
                                np.float32(sign),
                            )
                        )
    out = np.empty((len(found), 5), np.float32)
    for i in range(len(found)):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3], out[i, 4] = found[i]
    return out


def _boxes(taken: Floats, shape: tuple[int, int]) -> Ints:
    """Return the boxes in which subtracted pits changed the maps; they reach 3 radii each way."""
    x, y, reach = taken[:, 0], taken[:, 1], 3 * taken[:, 2]
    rows, columns = shape
    return np.column_stack(
        [
            np.clip(np.floor(y - reach), 0, rows),
            np.clip(np.ceil(y + reach) + 1, 0, rows),
            np.clip(np.floor(x - reach), 0, columns),
            np.clip(np.ceil(x + reach) + 1, 0, columns),
        ]
    ).astype(np.int64)


def _strips(shape: tuple[int, int]) -> Ints:
    """Return boxes that cover the picture; they are so narrow that most contain no peak."""
    rows, columns = shape
    left = np.arange(0, columns, 64)
    right = np.minimum(left + 64, columns)
    return np.column_stack([0 * left, 0 * left + rows, left, right])


@numba.njit(nogil=True, cache=True)
def _vertex(before: float, here: float, after: float) -> float:
    """Return the position of the peak of a parabola through three values, in [−½, ½] steps."""
    curvature = before - 2 * here + after
    if curvature == 0:
        return 0.0
    return min(max(0.5 * (before - after) / curvature, -0.5), 0.5)


@numba.njit(nogil=True, cache=True)
def _radius_index(profile: Floats, peak: Floats) -> int:
    """Return the index of the radius whose responses over the scales fit a profile best.

    The fit is best where the two are most nearly parallel as vectors.
    """
    best, choice = -np.inf, 0
    for r in range(peak.shape[0]):
        dot, norm = 0.0, 0.0
        for s in range(peak.shape[1]):
            dot += profile[s] * peak[r, s]
            norm += peak[r, s] ** 2
        value = dot / np.sqrt(norm)
        if value > best:
            best, choice = value, r
    return choice


@numba.njit(nogil=True, cache=True)
def _take_out(
    maps: FloatStack, kernel: FloatStack, reach: Ints, x: float, y: float, amplitude: float
) -> None:
    """Subtract amplitude · kernel, shifted to (x, y) by bilinear interpolation, from every map.

    ``reach`` is the distance in pixels beyond which the kernel is negligible, (scale,).
    """
    scales, rows, columns = maps.shape
    half = kernel.shape[1] // 2
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    fx, fy = np.float32(x - x0), np.float32(y - y0)
    amp = np.float32(amplitude)
    w00, w01 = amp * (1 - fy) * (1 - fx), amp * (1 - fy) * fx
    w10, w11 = amp * fy * (1 - fx), amp * fy * fx
    for s in range(scales):
        far = min(reach[s], half - 1)
        for v in range(max(y0 - far, 0), min(y0 + far + 2, rows)):
            here, above = kernel[s, v - y0 + half], kernel[s, v - y0 + half - 1]
            for u in range(max(x0 - far, 0), min(x0 + far + 2, columns)):
                k = u - x0 + half
                maps[s, v, u] -= (
                    w00 * here[k] + w01 * here[k - 1] + w10 * above[k] + w11 * above[k - 1]
                )


@numba.njit(nogil=True, cache=True)
def _cast_shadow(
    shadow: FloatImage, blocked: Bools, x: int, y: int, radius: float, value: float
) -> None:
    """Mark where a pit that was just subtracted may leave a remainder.

    The weight is 1 up to 1.2 radii and falls to 0 at 2 radii. A pit that the edge of the picture
    cuts differs more from the ideal pit, so its remainder reaches farther.
    """
    rows, columns = shadow.shape
    cut = min(x, y, columns - 1 - x, rows - 1 - y) < radius
    full, none = (2.5, 3.0) if cut else (1.2, 2.0)
    height = value * 3 if cut else value
    reach = int(np.ceil(none * radius))
    for v in range(max(y - reach, 0), min(y + reach + 1, rows)):
        for u in range(max(x - reach, 0), min(x + reach + 1, columns)):
            distance = np.hypot(v - y, u - x) / radius
            if distance < none:
                cast = np.float32(height * min((none - distance) / (none - full), 1.0))
                shadow[v, u] = max(shadow[v, u], cast)
                if distance < 1.5:
                    blocked[v, u] = True


@numba.njit(nogil=True, cache=True)
def _round(
    maps: FloatStack,
    shadow: FloatStack,
    candidates: FloatImage,
    least: FloatImage,
    residual: tuple[float, float],
    kernels: FloatStack,
    peak: Floats,
    radii: Floats,
    reach: Ints,
) -> Floats:
    """Subtract the dominant candidates and return them, (n, 5) float64.

    The columns are x, y, radius, amplitude, and response over its limit.
    """
    scales, rows, columns = maps.shape
    blocked = np.zeros((rows, columns), np.bool_)
    taken = np.empty((len(candidates), 5), np.float64)
    count = 0
    profile = np.empty(scales, np.float64)
    for i in range(len(candidates)):
        s, y, x = int(candidates[i, 1]), int(candidates[i, 2]), int(candidates[i, 3])
        if blocked[y, x]:
            continue
        value = maps[s, y, x]
        sign = 1.0 if candidates[i, 4] > 0 else -1.0
        if sign * value < max(least[s], _remainder_limit(shadow, y, x, sign, residual)):
            continue  # a pit that was subtracted before it in this round explains it
        for t in range(scales):
            profile[t] = sign * maps[t, y, x]
        r = _radius_index(profile, peak)
        dot, norm = 0.0, 0.0
        for t in range(scales):
            dot += maps[t, y, x] * peak[r, t]
            norm += peak[r, t] ** 2
        # Beyond the border the response is taken as constant.
        left, right = maps[s, y, max(x - 1, 0)], maps[s, y, min(x + 1, columns - 1)]
        above, below = maps[s, max(y - 1, 0), x], maps[s, min(y + 1, rows - 1), x]
        row = taken[count]
        row[0], row[1] = x + _vertex(left, value, right), y + _vertex(above, value, below)
        row[2], row[3], row[4] = radii[r], dot / norm, abs(value) / least[s]
        count += 1
        _cast_shadow(shadow[0 if sign > 0 else 1], blocked, x, y, radii[r], abs(value))
        _take_out(maps, kernels[r], reach[r], row[0], row[1], row[3])
    return taken[:count]


@dataclass(frozen=True)
class Finds:
    """Pits found in response maps, in order of strength within a round, each (n,) float64.

    Attributes
    ----------
    x_px, y_px : centre in pixels, y down.
    radius_px : radius in pixels.
    amplitude : amplitude of the ideal pit, positive on top pits and negative on bottom pits.
    snr : absolute response in units of the noise of the bulk.
    """

    x_px: Floats
    y_px: Floats
    radius_px: Floats
    amplitude: Floats
    snr: Floats

    def __len__(self) -> int:
        return len(self.x_px)


def extract(
    maps: FloatStack, noise: Floats, kernels: Kernels, cuts: Cuts, *, signed: bool
) -> Finds:
    """Return the pits in response maps, and subtract them from the maps.

    Parameters
    ----------
    maps : (scale, y, x) float32 responses. They change: every pit that is found is subtracted.
    noise : (scale,) standard deviation of the bulk in each of them.
    kernels : the responses to an ideal pit.
    cuts : the criteria for a peak.
    signed : whether negative peaks, which are bottom pits, count too.
    """
    shadow = np.zeros((2, *maps.shape[1:]), np.float32)
    residual = (cuts.residual, cuts.residual_same)
    least = (cuts.threshold * noise).astype(np.float32)
    parts: list[Floats] = [np.empty((0, 5))]
    boxes = _strips(maps.shape[1:])
    for _ in range(cuts.rounds):
        found = _candidates(maps, shadow, least, residual, signed, boxes)
        if not len(found):
            break
        # In order of strength; among equals the place decides, so that the order is reproducible.
        order = np.lexsort((found[:, 3], found[:, 2], -found[:, 0]))
        parts.append(
            _round(
                maps,
                shadow,
                found[order],
                least,
                residual,
                kernels.values,
                kernels.peak,
                kernels.radii_px,
                kernels.reach,
            )
        )
        boxes = _boxes(parts[-1], maps.shape[1:])
    x, y, radius, amplitude, strength = np.concatenate(parts).T
    return Finds(x, y, radius, amplitude, strength * cuts.threshold)


def are_near(one: Finds, other: Finds, reach: Floats) -> Bools:
    """Return which finds of two lists are nearer to each other than a reach, (n, m) bool.

    Parameters
    ----------
    one, other : n and m finds.
    reach : distance in pixels, of a shape that broadcasts to (n, m).
    """
    dx = one.x_px[:, None] - other.x_px[None, :]
    dy = one.y_px[:, None] - other.y_px[None, :]
    return np.asarray(dx**2 + dy**2 < reach**2)
