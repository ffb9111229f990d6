"""What the microscope sees of two etched surfaces: ten pictures, with signs as in the conventions.

A small renderer for the demonstration and the tests: height maps of both surfaces, Lambertian
shading under eight lamps, a backlit picture and a halo.
"""

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import pandas as pd

from etchscope.foil import Channel
from etchscope.foil.types import FloatImage, Floats, RawStack

__all__ = ["Optics", "height_map", "reference_channels", "render"]


def reference_channels() -> tuple[Channel, ...]:
    """Return the reference microscope's ten channels: eight lamps, backlit, halo."""
    lamps = [
        Channel(step=k, role="directional", azimuth_deg=67.5 + 45 * (k - 1)) for k in range(1, 9)
    ]
    return (*lamps, Channel(step=9, role="backlit"), Channel(step=10, role="halo"))


@dataclass(frozen=True)
class Optics:
    """The microscope: blur, noise and unevenness. Grey levels are 8 bit.

    ``texture`` is the rms slope of the bulk's roughness, correlated over ``texture_px``;
    ``read_noise`` is in grey levels; ``unevenness`` the fall of the light towards a corner.
    """

    image_size: tuple[int, int] = (480, 640)
    channels: tuple[Channel, ...] = field(default_factory=reference_channels)
    elevation_deg: float = 45.0
    blur_px: float = 0.8
    far_blur_px: float = 1.8
    far_weight: float = 0.8
    texture: float = 0.05
    texture_px: float = 1.5
    read_noise: float = 2.0
    unevenness: float = 0.25
    level: float = 125.0

    @cached_property
    def azimuths_rad(self) -> Floats:
        """Azimuth of each directional channel, radians ccw from +x, y up."""
        return np.deg2rad([c.azimuth_deg for c in self.channels if c.azimuth_deg is not None])


def height_map(openings: pd.DataFrame, image_size: tuple[int, int]) -> FloatImage:
    """Return the height of one surface in pixels: 0 in the bulk, negative in a pit.

    Each pit is an oblique cone over its elliptic opening, rounded towards a paraboloid by
    ``roundness``; where pits overlap the deeper wall is what remains.

    Parameters
    ----------
    openings : ``x_px, y_px`` (y down), ``radius_px, ellipticity, angle_deg, slope, roundness``
        of the pits of this surface; those outside the picture may reach into it.
    image_size : (height, width) in pixels.
    """
    rows, columns = image_size
    surface = np.zeros(image_size, np.float32)
    names = ["x_px", "y_px", "radius_px", "ellipticity", "angle_deg", "slope", "roundness"]
    for x, y, radius, ellipticity, angle, slope, roundness in openings[names].to_numpy(float):
        minor = radius * np.sqrt(1 - ellipticity)
        major = minor / (1 - ellipticity)
        r0, r1 = max(int(y - major) - 1, 0), min(int(y + major) + 3, rows)
        c0, c1 = max(int(x - major) - 1, 0), min(int(x + major) + 3, columns)
        if r0 >= r1 or c0 >= c1:
            continue
        v, u = np.mgrid[r0:r1, c0:c1]
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        along, across = ((u - x) * c - (v - y) * s) / major, ((u - x) * s + (v - y) * c) / minor
        # Level lines of an oblique cone: ellipses that shrink towards the apex at (lean, 0).
        lean = 0.6 * ellipticity
        dot = (along - lean) * lean
        far2 = (along - lean) ** 2 + across**2
        t = (dot + np.sqrt(dot**2 + (1 - lean**2) * far2)) / (1 - lean**2)
        depth = (1 - roundness) * (1 - t) + roundness * (1 - t**2)
        patch = surface[r0:r1, c0:c1]
        np.minimum(patch, -slope * minor * depth, out=patch, where=t < 1)
    return surface


def _blurred(picture: FloatImage, sigma_px: float) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), np.float32)


def _slopes(height: FloatImage) -> tuple[FloatImage, FloatImage]:
    down, right = np.gradient(height)
    return np.asarray(right, np.float32), np.asarray(-down, np.float32)


def _texture(rng: np.random.Generator, optics: Optics) -> FloatImage:
    raw = rng.standard_normal(optics.image_size, np.float32)
    smooth = _blurred(raw, optics.texture_px)
    p, q = _slopes(smooth)
    return smooth * np.float32(optics.texture / np.sqrt((p**2 + q**2).mean()))


def _uneven(optics: Optics) -> list[FloatImage]:
    """Return, per channel, how the light falls off: towards the side away from its lamp."""
    rows, columns = optics.image_size
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    x, y = x / columns - 0.5, 0.5 - y / rows
    radial = 1 - optics.unevenness * (x**2 + y**2)
    out, lamps = [], iter(optics.azimuths_rad)
    for channel in optics.channels:
        tilt = np.float32(0.0)
        if channel.role == "directional":
            lamp = next(lamps)
            tilt = optics.unevenness * (x * np.cos(lamp) + y * np.sin(lamp))
        out.append((radial + tilt).astype(np.float32))
    return out


def render(
    top: FloatImage, bottom: FloatImage, optics: Optics, rng: np.random.Generator | None = None
) -> RawStack:
    """Return the pictures of one tile as the camera saw it.

    Parameters
    ----------
    top, bottom : (y, x) float32 height maps in pixels of the surface that faces the camera and
        of the far one, both as seen from the camera, negative in a pit.
    optics : the microscope.
    rng : source of texture and noise; None renders without either.

    Returns
    -------
    (channel, y, x) uint8.
    """
    if rng is not None:
        top, bottom = top + _texture(rng, optics), bottom + _texture(rng, optics)
    p, q = (_blurred(s, optics.blur_px) for s in _slopes(top))
    fp, fq = (_blurred(s, optics.far_blur_px) for s in _slopes(bottom))
    near2, far2 = p**2 + q**2, fp**2 + fq**2
    k = np.float32(1 / np.tan(np.deg2rad(optics.elevation_deg)))
    # Lambert: (n . l) / (bulk's n . l); the far surface is lit from behind it, hence its sign.
    near_n, far_n = 1 / np.sqrt(1 + near2), 1 / np.sqrt(1 + far2)
    wall = 1 - np.exp(-near2 / 0.08)
    far_wall = 1 - np.exp(-far2 / 0.08)
    pictures, lamps = [], iter(optics.azimuths_rad)
    for channel, light in zip(optics.channels, _uneven(optics), strict=True):
        if channel.role == "directional":
            lamp = next(lamps)
            c, s = np.float32(np.cos(lamp)), np.float32(np.sin(lamp))
            near = np.maximum((1 - k * (p * c + q * s)) * near_n, 0)
            far = np.maximum((1 + k * (fp * c + fq * s)) * far_n, 0)
            signal = optics.level * near * (1 + optics.far_weight * (far - 1))
        elif channel.role == "backlit":
            signal = 1.5 * optics.level * (1 - 0.75 * wall) * (1 - 0.7 * far_wall)
        else:
            signal = 0.25 * optics.level * (1 + 3 * wall + 2 * far_wall)
        picture = signal * light
        if rng is not None:
            shot = np.sqrt(np.maximum(picture, 0) * 0.01)
            noise = rng.standard_normal(picture.shape, np.float32)
            picture = picture + noise * np.sqrt(shot**2 + optics.read_noise**2)
        pictures.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    return np.stack(pictures)
