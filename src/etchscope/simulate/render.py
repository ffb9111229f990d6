"""From the scene of a tile to its pictures: what the camera sees of an etched foil."""

from dataclasses import dataclass

import numpy as np

from etchscope.foil import BadInput, Role
from etchscope.foil.types import FloatImage, FloatStack, RawStack
from etchscope.simulate.optics import Optics, Scene
from etchscope.simulate.shading import (
    binned,
    blurred,
    shaded_far,
    shaded_near,
    texture,
    transmitted,
)

__all__ = ["render"]

_EMPTY: dict[Role, float] = {"directional": 0.1, "backlit": 1.1, "halo": 0.1}
"""How bright a hole is, beside the bulk."""


def _stray(rng: np.random.Generator | None, optics: Optics) -> FloatImage:
    """Return the stray light of the backlit picture, of mean ``stray``, at most 1."""
    if rng is None or optics.glint == 0:
        return np.full(optics.image_size, optics.stray, np.float32)
    sigma = optics.glint_um / optics.pixel_size_um
    raw = blurred(rng.standard_normal(optics.image_size, np.float32), sigma)
    logarithm = np.float32(optics.glint) * raw / np.float32(max(float(raw.std()), 1e-9))
    spots = np.exp(logarithm - np.float32(optics.glint**2 / 2))
    return np.asarray(np.minimum(np.float32(optics.stray) * spots, 1), np.float32)


def _field(optics: Optics, azimuth_rad: float | None) -> FloatImage:
    """Return how bright the empty field is: vignetting, and the lamp's side brighter."""
    rows, columns = optics.image_size
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    half = np.float32(np.hypot(rows, columns) / 2)
    x, y = (x - (columns - 1) / 2) / half, ((rows - 1) / 2 - y) / half
    out = 1 - optics.vignetting * (x**2 + y**2)
    if azimuth_rad is not None:
        tilt = x * np.cos(azimuth_rad) + y * np.sin(azimuth_rad)
        out = out + optics.unevenness * tilt
    return np.asarray(out, np.float32)


def _photographed(
    light: FloatImage, gain: float, optics: Optics, rng: np.random.Generator | None
) -> RawStack:
    """Return grey levels of light, 1 being the end of the range."""
    most = 2**optics.bit_depth - 1
    picture = light * np.float32(gain * most)
    if rng is not None:
        unit = most / 255
        variance = np.clip(picture, 0, None) * np.float32(optics.shot_noise * unit)
        variance += np.float32((optics.read_noise * unit) ** 2)
        picture = picture + rng.standard_normal(picture.shape, np.float32) * np.sqrt(variance)
    dtype = np.uint8 if optics.bit_depth == 8 else np.uint16
    levels: RawStack = np.clip(np.rint(picture), 0, most).astype(dtype)
    return levels


@dataclass(frozen=True)
class _Light:
    """What each surface does to light in focus, (y, x) or (lamp, y, x) at the camera's pixels."""

    near: FloatStack
    far: FloatStack
    through: FloatImage
    far_through: FloatImage
    halo: FloatImage
    far_halo: FloatImage
    clear: FloatImage | None
    hole: FloatImage | None

    @classmethod
    def of(cls, scene: Scene, optics: Optics) -> "_Light":
        azimuths = optics.lit_from_rad
        lamps = np.stack([np.cos(azimuths), np.sin(azimuths)], axis=1).astype(np.float32)
        through, halo = transmitted(scene.top_um, scene.refractive_index, optics)
        far_through, far_halo = transmitted(scene.bottom_um, scene.refractive_index, optics)
        return cls(
            shaded_near(scene, optics, lamps),
            shaded_far(scene, optics, lamps),
            through,
            far_through,
            halo,
            far_halo,
            None if scene.opacity is None else 1 - binned(scene.opacity),
            None if scene.hole is None else binned(scene.hole),
        )

    def seen(
        self,
        role: Role,
        lamp: int,
        sharp_px: float,
        blunt_px: float,
        optics: Optics,
        stray: FloatImage,
    ) -> FloatImage:
        """Return one channel's picture, the bulk at 1.

        ``sharp_px`` and ``blunt_px`` are the blur of the near and of the far surface.
        """

        def near(picture: FloatImage) -> FloatImage:
            return blurred(np.asarray(picture, np.float32), sharp_px)

        through = near(self.through)
        if role == "directional":
            beyond = blurred(self.far[lamp], blunt_px) - 1
            seen = np.float32(optics.far_weight) * (1 - np.float32(optics.hiding) * (1 - through))
            light = near(self.near[lamp]) * (1 + seen * beyond)
            if self.clear is not None:
                light *= (1 + near(self.clear)) / 2
        elif role == "backlit":
            light = through * blurred(self.far_through, blunt_px)
            if self.clear is not None:
                light *= near(self.clear)
            light = stray + (1 - stray) * light
        else:
            bright = near(self.halo)
            bright += np.float32(0.7) * through * blurred(self.far_halo, blunt_px)
            if self.clear is not None:
                bright += 1 - near(self.clear)
            light = 1 + np.float32(optics.halo_gain) * bright
        if self.hole is not None:
            light += near(self.hole) * (np.float32(_EMPTY[role]) - light)
        return light


def render(scene: Scene, optics: Optics, rng: np.random.Generator | None = None) -> RawStack:
    """Return the pictures of one tile as the camera saw it.

    Parameters
    ----------
    scene : the foil; its maps have ``optics.fine_size``.
    optics : the microscope.
    rng : source of texture and noise; None renders without either.

    Returns
    -------
    (channel, y, x) uint8, or uint16 for more than 8 bits.

    Raises
    ------
    BadInput : a map of another size.
    """
    for name in ("top_um", "bottom_um", "opacity", "hole"):
        given = getattr(scene, name)
        if given is not None and given.shape != optics.fine_size:
            raise BadInput(f"simulation: scene.{name}", str(optics.fine_size), str(given.shape))
    if rng is not None and optics.texture > 0:
        scene = Scene(
            scene.top_um + texture(rng, optics),
            scene.bottom_um + texture(rng, optics),
            scene.thickness_um,
            scene.refractive_index,
            scene.opacity,
            scene.hole,
        )
    stray = _stray(rng, optics)
    light = _Light.of(scene, optics)
    levels: dict[Role, float] = {
        "directional": optics.level,
        "backlit": optics.backlit_level,
        "halo": optics.halo_level,
    }
    pictures, lamp = [], 0
    for index, channel in enumerate(optics.channels):
        focus = optics.focus_um if channel.focus_um is None else channel.focus_um
        depth = focus + scene.thickness_um / scene.refractive_index
        sharp, blunt = (
            float(np.hypot(optics.blur_um, optics.aperture * off)) / optics.pixel_size_um
            for off in (focus, depth)
        )
        picture = light.seen(channel.role, lamp, sharp, blunt, optics, stray)
        if optics.flare > 0:
            wide = blurred(picture, optics.flare_um / optics.pixel_size_um)
            picture = picture + np.float32(optics.flare) * (wide - picture)
        azimuth = None
        if channel.role == "directional":
            azimuth, lamp = float(optics.lit_from_rad[lamp]), lamp + 1
        gain = levels[channel.role] * (optics.gains[index] if optics.gains else 1.0)
        pictures.append(_photographed(picture * _field(optics, azimuth), gain, optics, rng))
    return np.stack(pictures)
