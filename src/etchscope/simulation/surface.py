"""The texture of the etched plastic: relief of both surfaces, and haze inside the sheet."""

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
from scipy import fft

from etchscope.foil.bounds import require_bounds
from etchscope.foil.types import FloatImage, Floats
from etchscope.simulation.fields import draw_slow_field

__all__ = ["Surface", "draw_patches", "draw_relief"]


@dataclass(frozen=True)
class Surface:
    """The texture of a sheet beside its pits. Lengths are in µm of the foil.

    Relief
        ``roughness``: rms slope of a relief whose power spectrum falls with the spatial frequency
        to the power −``roughness_exponent`` (Sayles & Thomas, Nature 271 (1978) 431), flat for
        waves longer than ``roughness_um``. ``peel``: rms slope of the orange peel, cells of
        ``peel_um`` that meet in ridges, or in furrows if negative. ``micropits_per_mm2`` shallow
        round pits of median radius ``micropit_um``, as deep as ``micropit_depth`` radii.
        ``far_relief`` is the strength of all this on the far surface, relative to the near one.
    Haze
        rms of the natural logarithm of the light: ``haze`` of what passes the foil, ``albedo`` of
        what the lamps throw back, which is bright where the other is dark, both correlated over
        ``haze_um`` (sigma); ``grain`` of each picture by itself, over a third of that.
    Patches
        ``patchiness``: rms of the natural logarithm of all these strengths, over ``patch_um``.
    """

    roughness: float = 0.0
    roughness_exponent: float = 4.0
    roughness_um: float = 200.0
    peel: float = 0.0
    peel_um: float = 80.0
    micropits_per_mm2: float = 0.0
    micropit_um: float = 5.0
    micropit_depth: float = 0.3
    far_relief: float = 1.0
    haze: float = 0.0
    albedo: float = 0.0
    haze_um: float = 10.0
    grain: float = 0.0
    patchiness: float = 0.0
    patch_um: float = 200.0

    def __post_init__(self) -> None:
        require_bounds(
            self,
            {
                "roughness": (0, 2),
                "roughness_exponent": (0, 8),
                "roughness_um": (1, 5000),
                "peel": (-1, 1),
                "peel_um": (5, 5000),
                "micropits_per_mm2": (0, 100_000),
                "micropit_um": (0.1, 100),
                "micropit_depth": (0, 3),
                "far_relief": (0, 3),
                "haze": (0, 2),
                "albedo": (0, 2),
                "haze_um": (0.1, 1000),
                "grain": (0, 2),
                "patchiness": (0, 2),
                "patch_um": (10, 10_000),
            },
        )


@lru_cache(maxsize=4)
def _spectrum(size: tuple[int, int], step_um: float, exponent: float, longest_um: float) -> Floats:
    """Return (y, x) amplitudes of waves, the square root of the power spectrum."""
    fy, fx = (np.fft.fftfreq(n, step_um).astype(np.float32) for n in size)
    square = fy[:, None] ** 2 + fx**2 + np.float32(1 / longest_um**2)
    amplitude = square ** np.float32(-exponent / 4)
    # Waves shorter than two pixels of the camera are left out: they would only be averaged away.
    amplitude *= np.exp(-0.5 * square * np.float32(2 * step_um) ** 2)
    amplitude[0, 0] = 0
    return np.asarray(amplitude, np.float32)


def _rough(
    rng: np.random.Generator, size: tuple[int, int], step_um: float, surface: Surface
) -> tuple[FloatImage, FloatImage]:
    """Return two independent reliefs: the real and the imaginary part of one transform."""
    fast = (fft.next_fast_len(size[0]), fft.next_fast_len(size[1]))
    noise = rng.standard_normal((*fast, 2), np.float32).view(np.complex64)[..., 0]
    exponent, longest = surface.roughness_exponent, surface.roughness_um
    both = fft.ifft2(noise * _spectrum(fast, step_um, exponent, longest), overwrite_x=True)
    both = both[: size[0], : size[1]]
    return np.ascontiguousarray(both.real), np.ascontiguousarray(both.imag)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _peel(seeds: FloatImage, cell: np.float32, out: FloatImage) -> None:  # pragma: no cover
    """Write the squared distance to the nearest seed, in cells, times the seed's strength.

    ``seeds`` is (row, column, 3): one seed per cell at (y, x) in [0, 1), and its strength.
    """
    rows, columns = out.shape
    for r in range(rows):
        for c in range(columns):
            y, x = np.float32(r) / cell + np.float32(1), np.float32(c) / cell + np.float32(1)
            i, j = int(y), int(x)
            best = np.float32(1e9)
            for a in range(i - 1, i + 2):
                for b in range(j - 1, j + 2):
                    dy = np.float32(a) + seeds[a, b, 0] - y
                    dx = np.float32(b) + seeds[a, b, 1] - x
                    best = min(best, (dy * dy + dx * dx) * seeds[a, b, 2])
            out[r, c] = best


def _orange_peel(rng: np.random.Generator, size: tuple[int, int], cell_points: float) -> FloatImage:
    """Return a net of cells: paraboloids around seeds, one per square of a jittered grid."""
    grid = [int(n / cell_points) + 4 for n in size]
    seeds = rng.random((*grid, 3), np.float32)
    seeds[..., 2] = 0.5 + seeds[..., 2]
    out = np.empty(size, np.float32)
    _peel(seeds, np.float32(cell_points), out)
    return out


@numba.njit(cache=True, nogil=True)
def _dimples(
    x: Floats, y: Floats, radius: Floats, depth: Floats, out: FloatImage
) -> None:  # pragma: no cover
    """Lower a relief by round dimples; places and radii in points."""
    rows, columns = out.shape
    for i in range(len(x)):
        r0, r1 = max(int(y[i] - radius[i]), 0), min(int(y[i] + radius[i]) + 2, rows)
        c0, c1 = max(int(x[i] - radius[i]), 0), min(int(x[i] + radius[i]) + 2, columns)
        for r in range(r0, r1):
            for c in range(c0, c1):
                u2 = ((r - y[i]) ** 2 + (c - x[i]) ** 2) / radius[i] ** 2
                if u2 < 1:
                    out[r, c] -= depth[i] * (1 - u2)


def _rms_slope(height: FloatImage, step_um: float) -> float:
    """Return the rms of the gradient of a relief."""
    total = 0.0
    for slope in (height[1:] - height[:-1], height[:, 1:] - height[:, :-1]):
        total += float(np.vdot(slope, slope)) / slope.size
    return max(float(np.sqrt(total)) / step_um, 1e-12)


def draw_patches(
    rng: np.random.Generator, size: tuple[int, int], step_um: float, surface: Surface
) -> FloatImage | None:
    """Return the relative strength of the texture, (y, x) of mean square 1; None if even."""
    if surface.patchiness == 0:
        return None
    field = draw_slow_field(rng, size, max(surface.patch_um / step_um, 1.0))
    strength = np.float32(surface.patchiness)
    return np.asarray(np.exp(strength * field - strength**2), np.float32)


def draw_relief(
    rng: np.random.Generator, size: tuple[int, int], step_um: float, surface: Surface
) -> tuple[FloatImage, FloatImage] | None:
    """Return the reliefs of the near and the far surface; None if both are flat.

    Parameters
    ----------
    size, step_um : points (y, x) of the maps, and the distance between them.

    Returns
    -------
    Two (y, x) float32, in µm.
    """
    if surface.roughness == surface.peel == 0 and surface.micropits_per_mm2 == 0:
        return None
    near, far = np.zeros((2, *size), np.float32)
    if surface.roughness > 0:
        for total, rough in zip((near, far), _rough(rng, size, step_um, surface), strict=True):
            total += rough * np.float32(surface.roughness / _rms_slope(rough, step_um))
    area = size[0] * size[1] * step_um**2 / 1e6
    for total in (near, far):
        if surface.peel != 0:
            net = _orange_peel(rng, size, surface.peel_um / step_um)
            total += net * np.float32(surface.peel / _rms_slope(net, step_um))
        n = rng.poisson(surface.micropits_per_mm2 * area)
        radius = surface.micropit_um * rng.lognormal(0, 0.35, n)
        x, y = rng.uniform(0, size[1], n), rng.uniform(0, size[0], n)
        depth = surface.micropit_depth * radius * rng.uniform(0.4, 1.6, n)
        _dimples(x, y, np.maximum(radius / step_um, 0.7), depth, total)
    strength = draw_patches(rng, size, step_um, surface)
    if strength is not None:
        near *= strength
        far *= strength
    far *= np.float32(surface.far_relief)
    return near, far
