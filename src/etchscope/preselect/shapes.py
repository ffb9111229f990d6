"""Measurement of the shape of each opening: centre, radius, ellipticity, angle and contrast.

Along rays from the centre, the rim is where the signal falls to half of its value inside. An
ellipse is fitted to the points of the rim. Rays through a neighbour find no rim, or one far from
the others, and are left out.
"""

import numba
import numpy as np

from etchscope.foil.types import Bools, FloatImage, Floats
from etchscope.preselect.peaks import Finds

__all__ = ["measure_discs", "measure_fields"]

_RAYS = 32
_STEP_PX = 0.5
_REACH = 1.8
"""Length of a ray in units of the modelled radius."""
_NEAREST = 0.45
"""Distance at which the search for the rim starts, in units of the modelled radius."""


@numba.njit(nogil=True, cache=True)
def _sample(picture: FloatImage, x: float, y: float) -> float:
    """Return the bilinearly interpolated value; outside, that of the nearest border pixel."""
    rows, columns = picture.shape
    x = min(max(x, 0.0), columns - 1.0)
    y = min(max(y, 0.0), rows - 1.0)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, columns - 1), min(y0 + 1, rows - 1)
    fx, fy = x - x0, y - y0
    above = picture[y0, x0] * (1 - fx) + picture[y0, x1] * fx
    below = picture[y1, x0] * (1 - fx) + picture[y1, x1] * fx
    return float(above * (1 - fy) + below * fy)


@numba.njit(nogil=True, cache=True)
def _rim(profile: Floats, count: int, first: int, background: float) -> tuple[float, float]:
    """Return the position, in steps, where a profile first falls to half of its largest value.

    The second result is that largest value over the background. A position of −1 means that the
    profile does not fall to half of it.
    """
    top = -np.inf
    for i in range(count):
        value = profile[i] - background
        if value > top:
            top = value
        if i >= first and top > 0 and value < 0.5 * top:
            before = profile[i - 1] - background
            if before <= value:
                return float(i), top
            return i - 1 + (before - 0.5 * top) / (before - value), top
    return -1.0, top


@numba.njit(nogil=True, cache=True)
def _fit_ellipse(xs: Floats, ys: Floats, use: Bools) -> tuple[float, float, float, float, float]:
    """Return centre x, centre y, semi-major and semi-minor axis, and angle of the major axis (rad).

    The conic p x² + q xy + r y² + s x + t y = 1 is fitted by least squares. All results are nan if
    it is no ellipse, or if there are fewer than eight points.
    """
    n = 0
    for i in range(len(use)):
        n += use[i]
    bad = (np.nan, np.nan, np.nan, np.nan, np.nan)
    if n < 8:
        return bad
    design = np.empty((n, 5))
    row = 0
    for i in range(len(use)):
        if use[i]:
            x, y = xs[i], ys[i]
            design[row, 0], design[row, 1], design[row, 2] = x * x, x * y, y * y
            design[row, 3], design[row, 4] = x, y
            row += 1
    normal = design.T @ design
    for i in range(5):
        normal[i, i] *= 1 + 1e-9
    p, q, r, s, t = np.linalg.solve(normal, design.T @ np.ones(n))
    determinant = 4 * p * r - q * q
    if not determinant > 0 or p <= 0:
        return bad
    x0, y0 = (q * t - 2 * r * s) / determinant, (q * s - 2 * p * t) / determinant
    level = 1 + p * x0 * x0 + q * x0 * y0 + r * y0 * y0
    mean, split = (p + r) / 2, np.hypot((p - r) / 2, q / 2)
    if level <= 0 or mean - split <= 0:
        return bad
    major, minor = np.sqrt(level / (mean - split)), np.sqrt(level / (mean + split))
    return x0, y0, major, minor, 0.5 * np.arctan2(-q, r - p)


@numba.njit(nogil=True, cache=True)
def _settle(
    rim: Floats, plateau: Floats, cosine: Floats, sine: Floats, radius: float
) -> tuple[float, float, float, float, float]:
    """Return the ellipse through the points of the rim without outliers; see ``_fit_ellipse``."""
    use = rim > 0
    if use.sum() < 8:
        return np.nan, np.nan, np.nan, np.nan, np.nan
    level = np.median(plateau[use])
    use &= plateau > 0.4 * level
    if use.sum() < 8:
        return np.nan, np.nan, np.nan, np.nan, np.nan
    middle = np.median(rim[use])
    use &= np.abs(rim - middle) < 0.45 * middle
    xs, ys = rim * cosine, rim * sine
    x0, y0, major, minor, angle = _fit_ellipse(xs, ys, use)
    # The second fit leaves out the points that lie far from the first ellipse.
    if major > 0:
        c, s = np.cos(angle), np.sin(angle)
        for i in range(len(rim)):
            u = ((xs[i] - x0) * c + (ys[i] - y0) * s) / major
            v = ((ys[i] - y0) * c - (xs[i] - x0) * s) / minor
            use[i] = use[i] and abs(np.hypot(u, v) - 1) < 0.2
        x0, y0, major, minor, angle = _fit_ellipse(xs, ys, use)
    # A fit far from its start is that of a neighbour.
    if not (
        np.hypot(x0, y0) < 0.5 * radius and 0.5 * radius < np.sqrt(major * minor) < 1.7 * radius
    ):
        return np.nan, np.nan, np.nan, np.nan, np.nan
    return x0, y0, major, minor, angle


@numba.njit(nogil=True, cache=True)
def _measure(
    first: FloatImage, second: FloatImage, pits: Floats, limit: Bools, radial: bool
) -> Floats:
    """Return x, y, radius, ellipticity, angle (rad, y up), contrast and saturated fraction, (n, 7).

    If ``radial``, the signal is the radial component of the field (first, second) times the sign of
    the pit. Otherwise it is ``first`` minus its median at the ends of the rays.
    """
    out = np.empty((len(pits), 7))
    step = 2 * np.pi / _RAYS
    cosine, sine = np.cos(np.arange(_RAYS) * step), np.sin(np.arange(_RAYS) * step)
    rows, columns = limit.shape
    for j in range(len(pits)):
        x, y, radius, sign = pits[j]
        count = int(np.ceil(_REACH * radius / _STEP_PX)) + 1
        start = max(int(_NEAREST * radius / _STEP_PX), 1)
        profiles = np.empty((_RAYS, count))
        for k in range(_RAYS):
            for i in range(count):
                d = i * _STEP_PX
                px, py = x + d * cosine[k], y + d * sine[k]
                if radial:
                    flow = _sample(first, px, py) * cosine[k] - _sample(second, px, py) * sine[k]
                    profiles[k, i] = -sign * flow
                else:
                    profiles[k, i] = _sample(first, px, py)
        ground = 0.0 if radial else np.median(profiles[:, count - 1])
        rim, plateau = np.empty(_RAYS), np.empty(_RAYS)
        inside, saturated, samples = 0.0, 0.0, 0
        for k in range(_RAYS):
            rim[k], plateau[k] = _rim(profiles[k], count, start, ground)
            for i in range(1, count):
                d = i * _STEP_PX
                if d > 0.8 * radius:
                    break
                inside += profiles[k, i] - ground
                px, py = round(x + d * cosine[k]), round(y + d * sine[k])
                if 0 <= px < columns and 0 <= py < rows and limit[py, px]:
                    saturated += 1
                samples += 1
        dx, dy, major, minor, angle = _settle(rim * _STEP_PX, plateau, cosine, sine, radius)
        if major > 0:
            out[j, 0], out[j, 1] = x + dx, y + dy
            out[j, 2], out[j, 3] = np.sqrt(major * minor), 1 - minor / major
            out[j, 4] = -angle
        else:
            out[j, 0], out[j, 1], out[j, 2], out[j, 3], out[j, 4] = x, y, radius, 0.0, 0.0
        out[j, 5], out[j, 6] = inside / max(samples, 1), saturated / max(samples, 1)
    return out


def _named(rows: Floats) -> dict[str, Floats]:
    return {
        "x_px": rows[:, 0],
        "y_px": rows[:, 1],
        "radius_px": rows[:, 2],
        "ellipticity": rows[:, 3],
        "angle_deg": np.rad2deg(rows[:, 4]) % 180,
        "contrast": rows[:, 5],
        "saturated": rows[:, 6],
    }


def measure_fields(
    a: FloatImage, b: FloatImage, finds: Finds, sign: Floats, limit: Bools
) -> dict[str, Floats]:
    """Return the shapes of pits of known surface, measured in the first harmonic.

    Parameters
    ----------
    a, b : (y, x) float32 first harmonic, y up, for gradient_sign +1.
    finds : n pits.
    sign : (n,) +1 for a top pit, −1 for a bottom pit.
    limit : (y, x) bool, where any picture is at the camera's limit.

    Returns
    -------
    (n,) float64 columns ``x_px, y_px, radius_px, ellipticity, angle_deg, contrast`` and
    ``saturated``, the fraction of the opening at the limit. Where no ellipse fits, place and radius
    are those of the find, and the ellipticity is 0.
    """
    pits = np.column_stack([finds.x_px, finds.y_px, finds.radius_px, sign])
    return _named(_measure(a, b, pits, limit, True))


def measure_discs(picture: FloatImage, finds: Finds, limit: Bools) -> dict[str, Floats]:
    """Return the shapes of pits, measured in a picture in which pits of both surfaces are bright.

    Parameters
    ----------
    picture : (y, x) float32, positive inside a pit.
    finds : n pits.
    limit : (y, x) bool, where any picture is at the camera's limit.

    Returns
    -------
    The columns of ``measure_fields``.
    """
    pits = np.column_stack([finds.x_px, finds.y_px, finds.radius_px, np.ones(len(finds))])
    return _named(_measure(picture, picture, pits, limit, False))
