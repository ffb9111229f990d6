"""How one surface shades, shadows and refracts light, in focus."""

import cv2
import numba
import numpy as np

from etchscope.foil.types import Bools, FloatImage, FloatStack
from etchscope.simulation.optics import OVERSAMPLING, Optics, Scene

__all__ = [
    "bin_pixels",
    "blur",
    "draw_texture",
    "find_shadowed",
    "shade_far",
    "shade_near",
    "transmit",
]


def blur(picture: FloatImage, sigma_px: float) -> FloatImage:
    """Return a picture, (y, x) float32, blurred with a Gaussian of ``sigma_px``."""
    if sigma_px < 0.05:
        return picture
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), np.float32)


def bin_pixels(fine: FloatImage) -> FloatImage:
    """Return the mean of a fine map over each of the camera's pixels.

    Parameters
    ----------
    fine : (y · OVERSAMPLING, x · OVERSAMPLING) float32.

    Returns
    -------
    (y, x) float32.
    """
    rows, columns = fine.shape
    size = (columns // OVERSAMPLING, rows // OVERSAMPLING)
    return np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.float32)


@numba.njit(cache=True, nogil=True, inline="always")
def _slopes(
    height: FloatImage, r: int, c: int, fine_um: np.float32
) -> tuple[np.float32, np.float32]:  # pragma: no cover
    """Return the slopes ∂h/∂x and ∂h/∂y of a height map at a point, y up."""
    rows, columns = height.shape
    left, right = max(c - 1, 0), min(c + 1, columns - 1)
    above, below = max(r - 1, 0), min(r + 1, rows - 1)
    p = (height[r, right] - height[r, left]) / (np.float32(right - left) * fine_um)
    q = (height[above, c] - height[below, c]) / (np.float32(below - above) * fine_um)
    return p, q


@numba.njit(cache=True, nogil=True, inline="always")
def _shadowed(
    height: FloatImage,
    r: int,
    c: int,
    step_x: np.float32,
    step_y: np.float32,
    rise_um: np.float32,
    highest: np.float32,
) -> float:  # pragma: no cover
    """Return the share of a lamp's light that higher ground takes from a point, soft over 4 µm."""
    rows, columns = height.shape
    level, x, y, dark = float(height[r, c]), float(c), float(r), 0.0
    while dark < 1.0:
        level, x, y = level + float(rise_um), x + float(step_x), y + float(step_y)
        if level >= highest or x < 0 or y < 0 or x > columns - 1 or y > rows - 1:
            break
        i, j = int(y), int(x)
        i1, j1 = min(i + 1, rows - 1), min(j + 1, columns - 1)
        fy, fx = y - i, x - j
        ground = (height[i, j] * (1 - fx) + height[i, j1] * fx) * (1 - fy)
        ground += (height[i1, j] * (1 - fx) + height[i1, j1] * fx) * fy
        dark = max(dark, min((ground - level) / 4.0, 1.0))
    return dark


@numba.njit(cache=True, nogil=True, inline="always")
def _light_of_wall(steep: np.float32, dark: np.float32) -> np.float32:  # pragma: no cover
    """Return the share of its light that a wall sends back, of its squared slope; 0 if black.

    It falls over an eighth of ``dark``, the slope from which on walls are black.
    """
    left = np.float32(1)
    if steep > dark * dark * np.float32(0.75):
        left = max(np.float32(1) - np.float32(8) * (np.sqrt(steep) / dark - 1), np.float32(0))
        left = min(left, np.float32(1))
    return left


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _shade(
    height: FloatImage,
    shadowed: Bools,
    lamps: FloatImage,
    fine_um: np.float32,
    elevation: np.float32,
    ambient: np.float32,
    gloss: np.float32,
    width: np.float32,
    mirror: np.float32,
    mirror_width: np.float32,
    dark: np.float32,
    shadow: np.float32,
    highest: np.float32,
    sign: np.float32,
    out: FloatStack,
) -> None:  # pragma: no cover
    """Add up, per lamp and pixel, the light of one surface; the flat bulk gives 1.

    ``sign`` is +1 for the near surface and −1 for the far one, whose slopes are seen reversed;
    ``dark`` is the slope from which on a wall is black. Shadows are sought where ``shadowed``.
    """
    over = np.int64(2)
    rows, columns = height.shape
    share = np.float32(1.0 / (over * over))
    tangent = np.float32(np.tan(elevation))
    facet = np.float32(np.tan((np.pi / 2 - elevation) / 2))  # slope that mirrors lamp to camera
    narrow = np.float32(0.5 / (width * width))
    flat = np.exp(-facet * facet * narrow)
    sharp = np.float32(1 / (mirror_width * mirror_width))
    spread = np.float32(1) + facet * facet * sharp
    whole = np.float32(1) / (np.float32(1) + mirror / (spread * spread))
    for r in range(rows):
        for c in range(columns):
            p, q = _slopes(height, r, c, fine_um)
            p, q = sign * p, sign * q
            tilt = np.float32(1) / np.sqrt(1 + p * p + q * q)
            steep = p * p + q * q
            left = _light_of_wall(steep, dark)
            for k in range(len(lamps)):
                cosine, sine = lamps[k, 0], lamps[k, 1]
                towards = -(p * cosine + q * sine)
                light = float(max((1 + towards / tangent) * tilt, 0)) * (1 - gloss)
                if gloss > 0:
                    away = steep - 2 * facet * towards + facet * facet
                    light += gloss * np.exp(-away * narrow) / flat
                if mirror > 0:
                    away = steep - 2 * facet * towards + facet * facet
                    spread = np.float32(1) + away * sharp
                    light = (light + mirror / (spread * spread)) * whole
                if shadow > 0 and shadowed[r, c]:
                    rise = fine_um * tangent
                    light *= 1 - shadow * _shadowed(height, r, c, cosine, -sine, rise, highest)
                lit = ambient + (1 - ambient) * light
                if left < 1:
                    lit *= left
                out[k, r // over, c // over] += share * lit


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _transmit(
    height: FloatImage,
    fine_um: np.float32,
    index: np.float32,
    pupil: np.float32,
    halo_sine: np.float32,
    halo_width: np.float32,
    light: FloatImage,
    halo: FloatImage,
) -> None:  # pragma: no cover
    """Add up, per pixel, the backlight that a surface lets through, and its light in the halo.

    A slope of angle α refracts a ray by δ, n sin α = sin(α + δ). Condenser and objective with
    Gaussian pupils of joint width ``pupil`` accept exp(−sin²δ / 2 pupil²); past the critical angle
    nothing gets out.
    """
    over = np.int64(2)
    rows, columns = height.shape
    share = np.float32(1.0 / (over * over))
    flat = np.exp(-0.5 * (halo_sine / halo_width) ** 2)  # of the bulk, which shall add nothing
    for r in range(rows):
        for c in range(columns):
            p, q = _slopes(height, r, c, fine_um)
            steep = p * p + q * q
            sine = np.sqrt(steep / (1 + steep))
            out = index * sine
            if out < 1:
                deviation = out / np.sqrt(1 + steep) - np.sqrt(1 - out * out) * sine
                light[r // over, c // over] += share * np.exp(-0.5 * (deviation / pupil) ** 2)
                lobe = np.exp(-0.5 * ((deviation - halo_sine) / halo_width) ** 2)
            else:
                lobe = flat + 0.5 * (1 - flat)  # some light gets out after several reflections
            halo[r // over, c // over] += share * (lobe - flat) / (1 - flat)


def draw_texture(rng: np.random.Generator, optics: Optics) -> FloatImage:
    """Return a relief of rms slope ``optics.texture``, smooth over ``optics.texture_um``.

    It is (y, x) float32 in µm and has ``optics.fine_size``.
    """
    raw = rng.standard_normal(optics.fine_size, np.float32)
    smooth = blur(raw, optics.texture_um / optics.fine_um)
    slopes = [np.diff(smooth, axis=axis) / np.float32(optics.fine_um) for axis in (0, 1)]
    rms = np.sqrt(sum(float((s**2).mean()) for s in slopes))
    return smooth * np.float32(optics.texture / rms)


def find_shadowed(scene: Scene, optics: Optics) -> Bools:
    """Return where the near surface may lie in a shadow, (y, x) bool: in pits, and around bumps."""
    elevation = np.deg2rad(optics.elevation_deg)
    shadowed = scene.top_um < -1
    highest = max(float(scene.top_um.max()), 0.0)
    bump = scene.top_um > 3
    if bump.any():
        # No bump throws its shadow farther than the highest one.
        far = int(np.ceil(highest / np.tan(elevation) / optics.fine_um)) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * far + 1, 2 * far + 1))
        shadowed |= cv2.dilate(bump.astype(np.uint8), kernel) > 0
    return np.asarray(shadowed, bool)


def shade_near(scene: Scene, shadowed: Bools, optics: Optics, lamps: FloatImage) -> FloatStack:
    """Return (lamp, y, x) light of the near surface, the bulk at 1.

    Shadows are sought only where ``shadowed``, see ``find_shadowed``.
    """
    dark = optics.dark_near_deg
    return _shaded(scene.top_um, optics, lamps, shadowed, shadow=optics.shadow, sign=1, dark=dark)


def shade_far(scene: Scene, optics: Optics, lamps: FloatImage) -> FloatStack:
    """Return (lamp, y, x) light of the far surface, from inside: reversed slopes, no shadow."""
    never, dark = np.zeros((1, 1), bool), optics.dark_far_deg
    return _shaded(scene.bottom_um, optics, lamps, never, shadow=0.0, sign=-1, dark=dark)


def _shaded(
    height: FloatImage,
    optics: Optics,
    lamps: FloatImage,
    shadowed: Bools,
    *,
    shadow: float,
    sign: int,
    dark: float,
) -> FloatStack:
    out = np.zeros((len(lamps), *optics.image_size), np.float32)
    _shade(
        height,
        shadowed,
        lamps,
        np.float32(optics.fine_um),
        np.float32(np.deg2rad(optics.elevation_deg)),
        np.float32(optics.ambient),
        np.float32(optics.gloss),
        np.float32(optics.gloss_width),
        np.float32(optics.mirror),
        np.float32(optics.mirror_width),
        np.float32(np.tan(np.deg2rad(dark)) if dark < 90 else 1e9),
        np.float32(shadow),
        np.float32(max(float(height.max()), 0.0)),
        np.float32(sign),
        out,
    )
    return out


def transmit(
    height: FloatImage, refractive_index: float, optics: Optics
) -> tuple[FloatImage, FloatImage]:
    """Return the backlight that a surface lets through and its light in the halo, (y, x) float32.

    Parameters
    ----------
    height : (y, x) float32 µm, of ``optics.fine_size``.
    refractive_index : of the plastic.
    """
    light, halo = np.zeros((2, *optics.image_size), np.float32)
    _transmit(
        height,
        np.float32(optics.fine_um),
        np.float32(refractive_index),
        np.float32(optics.pupil),
        np.float32(optics.halo_sine),
        np.float32(optics.halo_width),
        light,
        halo,
    )
    return light, halo
