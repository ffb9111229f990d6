"""From the scene of a tile to its pictures: what the camera sees of an etched foil."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from etchscope.foil import BadInput, Channel, Role
from etchscope.foil.types import Bools, FloatImage, FloatStack, RawStack
from etchscope.simulation.camera import Camera, FixedPattern, check_camera, photograph
from etchscope.simulation.fields import draw_correlated_field
from etchscope.simulation.optics import Optics, Plane, Scene
from etchscope.simulation.shading import (
    bin_pixels,
    blur,
    draw_texture,
    find_shadowed,
    shade_far,
    shade_near,
    transmit,
)
from etchscope.simulation.surface import Surface, draw_patches, draw_relief

__all__ = ["relative_light", "render"]

_EMPTY: dict[Role, float] = {"directional": 0.1, "backlit": 1.1, "halo": 0.1}
"""Brightness of a hole, the bulk at 1."""


def _stray(rng: np.random.Generator | None, optics: Optics) -> FloatImage:
    """Return the stray light of the backlit picture, of mean ``stray``, at most 1."""
    if rng is None or optics.glint == 0:
        return np.full(optics.image_size, optics.stray, np.float32)
    sigma = optics.glint_um / optics.pixel_size_um
    raw = blur(rng.standard_normal(optics.image_size, np.float32), sigma)
    logarithm = np.float32(optics.glint) * raw / np.float32(max(float(raw.std()), 1e-9))
    spots = np.exp(logarithm - np.float32(optics.glint**2 / 2))
    return np.asarray(np.minimum(np.float32(optics.stray) * spots, 1), np.float32)


def _field(optics: Optics, azimuth_rad: float | None) -> FloatImage:
    """Return the brightness of the empty field: vignetting, and a brighter side near the lamp."""
    rows, columns = optics.image_size
    half = np.float32(np.hypot(rows, columns) / 2)
    x = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2)[None] / half
    y = ((rows - 1) / 2 - np.arange(rows, dtype=np.float32))[:, None] / half
    out = 1 - optics.vignetting * (x**2 + y**2)
    if azimuth_rad is not None:
        tilt = x * np.cos(azimuth_rad) + y * np.sin(azimuth_rad)
        out = out + optics.unevenness * tilt
    return np.asarray(out, np.float32)


@dataclass(frozen=True)
class _Blur:
    """Blur out of focus: one sigma, or a mixture of two with a weight for each pixel, (y, x)."""

    low_px: float
    high_px: float
    weight: FloatImage | None = None

    @classmethod
    def of(cls, optics: Optics, depth_um: float, plane: Plane) -> "_Blur":
        """Return the blur of a surface that lies ``depth_um`` off the focal plane.

        Over a tilted foil the sigma varies from place to place. Two pictures are mixed so that the
        variance of the blur is right everywhere.
        """
        off = depth_um - plane.offset_um
        if plane.slope_x == plane.slope_y == 0:
            sigma = float(np.hypot(optics.blur_um, optics.aperture * off)) / optics.pixel_size_um
            return cls(sigma, sigma)
        rows, columns = optics.image_size
        x = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) * optics.pixel_size_um
        y = ((rows - 1) / 2 - np.arange(rows, dtype=np.float32)) * optics.pixel_size_um
        away = off - plane.slope_x * x[None] - plane.slope_y * y[:, None]
        square = (optics.blur_um**2 + (optics.aperture * away) ** 2) / optics.pixel_size_um**2
        low, high = float(square.min()), float(square.max())
        if np.sqrt(high) - np.sqrt(low) < 0.05:
            return cls(float(np.sqrt((low + high) / 2)), float(np.sqrt((low + high) / 2)))
        weight = np.asarray((square - low) / (high - low), np.float32)
        return cls(float(np.sqrt(low)), float(np.sqrt(high)), weight)

    def __call__(self, picture: FloatImage) -> FloatImage:
        """Return a picture out of focus."""
        low = blur(picture, self.low_px)
        if self.weight is None:
            return low
        return np.asarray(low + self.weight * (blur(picture, self.high_px) - low), np.float32)


@dataclass(frozen=True)
class _Light:
    """The light of each surface in focus, (y, x) or (lamp, y, x) at the camera's pixels."""

    near: FloatStack
    far: FloatStack
    through: FloatImage
    far_through: FloatImage
    halo: FloatImage
    far_halo: FloatImage
    clear: FloatImage | None
    hole: FloatImage | None
    spots: FloatImage | None
    far_spots: FloatImage | None

    @classmethod
    def of(cls, scene: Scene, shadowed: Bools, optics: Optics) -> "_Light":
        azimuths = optics.lit_from_rad
        lamps = np.stack([np.cos(azimuths), np.sin(azimuths)], axis=1).astype(np.float32)
        through, halo = transmit(scene.top_um, scene.refractive_index, optics)
        far_through, far_halo = transmit(scene.bottom_um, scene.refractive_index, optics)
        return cls(
            shade_near(scene, shadowed, optics, lamps),
            shade_far(scene, optics, lamps),
            through,
            far_through,
            halo,
            far_halo,
            None if scene.opacity is None else 1 - bin_pixels(scene.opacity),
            None if scene.hole is None else bin_pixels(scene.hole),
            scene.near_spots,
            scene.far_spots,
        )

    def out_of_focus(self, sharp: _Blur, blunt: _Blur) -> "_Seen":
        """Return the light at one focus; ``sharp`` blurs the near surface, ``blunt`` the far."""
        spots = None
        if self.spots is not None and self.far_spots is not None:
            spots = sharp(self.spots) + np.float32(0.5) * blunt(self.far_spots)
        clear = None if self.clear is None else sharp(self.clear)
        hole = None if self.hole is None else sharp(self.hole)
        return _Seen(self, sharp, blunt, sharp(self.through), clear, hole, spots)


@dataclass(frozen=True)
class _Seen:
    """The light at one focus; what all its channels share is computed once."""

    light: _Light
    sharp: _Blur
    blunt: _Blur
    through: FloatImage
    clear: FloatImage | None
    hole: FloatImage | None
    spots: FloatImage | None

    def picture(self, role: Role, lamp: int, optics: Optics, stray: FloatImage) -> FloatImage:
        """Return one channel's picture, the bulk at 1."""
        light, of = self.light, {"directional": optics.centre_lamps}
        if role == "directional":
            beyond = self.blunt(light.far[lamp]) - 1
            seen = np.float32(optics.far_weight) * (
                1 - np.float32(optics.hiding) * (1 - self.through)
            )
            out = self.sharp(light.near[lamp]) * (1 + seen * beyond)
            if self.clear is not None:
                out *= (1 + self.clear) / 2
        elif role == "backlit":
            out = self.through * self.blunt(light.far_through)
            if self.clear is not None:
                out *= self.clear
            out = stray + (1 - stray) * out
        else:
            bright = self.sharp(light.halo)
            bright += np.float32(0.7) * self.through * self.blunt(light.far_halo)
            if self.clear is not None:
                bright += 1 - self.clear
            out = 1 + np.float32(optics.halo_gain) * bright
        if self.spots is not None:
            out += np.float32(of.get(role, optics.centre)) * self.spots
        if self.hole is not None:
            out += self.hole * (np.float32(_EMPTY[role]) - out)
        return out


@dataclass(frozen=True)
class _Haze:
    """The haze inside a sheet: clouds as logarithms of light, (y, x), and their strength."""

    surface: Surface
    clouds: FloatImage | None
    strength: FloatImage | None
    sigma_px: float

    @classmethod
    def of(cls, rng: np.random.Generator | None, surface: Surface, optics: Optics) -> "_Haze":
        size, px = optics.image_size, optics.pixel_size_um
        sigma = surface.haze_um / px
        if rng is None or surface.haze == surface.albedo == surface.grain == 0:
            return cls(surface, None, None, sigma)
        return cls(
            surface,
            draw_correlated_field(rng, size, sigma),
            draw_patches(rng, size, px, surface),
            sigma,
        )

    def before(self, picture: FloatImage, role: Role, rng: np.random.Generator) -> FloatImage:
        """Return a picture that is seen through the haze."""
        if self.clouds is None:
            return picture
        backlit = role == "backlit"
        share = self.surface.albedo if role == "directional" else self.surface.haze
        exponent = self.clouds * np.float32(-share if backlit else share)
        if self.surface.grain > 0:
            grain = draw_correlated_field(rng, picture.shape, self.sigma_px / 3)
            exponent += np.float32(self.surface.grain) * grain
        if self.strength is not None:
            exponent *= self.strength
        return np.asarray(picture * np.exp(exponent), np.float32)


def _textured(scene: Scene, top: FloatImage, bottom: FloatImage) -> Scene:
    """Return a scene with relief added to its surfaces."""
    return replace(scene, top_um=scene.top_um + top, bottom_um=scene.bottom_um + bottom)


def _check(scene: Scene, optics: Optics, camera: Camera) -> None:
    """Raise ``BadInput`` for a map of another size, or pictures that the camera cannot hold."""
    check_camera(camera, optics)
    for name in ("top_um", "bottom_um", "opacity", "hole", "near_spots", "far_spots"):
        given = getattr(scene, name)
        size = optics.image_size if name.endswith("spots") else optics.fine_size
        if given is not None and given.shape != size:
            raise BadInput(f"simulation: scene.{name}", str(size), str(given.shape))


def render(
    scene: Scene,
    optics: Optics,
    rng: np.random.Generator | None = None,
    *,
    surface: Surface | None = None,
    camera: Camera | None = None,
    plane: Plane | None = None,
    pattern: FixedPattern | None = None,
) -> RawStack:
    """Return the pictures of one tile as the camera takes them.

    Parameters
    ----------
    scene : the foil; its maps have ``optics.fine_size``.
    optics : the microscope.
    rng : source of texture and noise; None renders without either.
    surface : texture beyond ``optics.texture``; by default none.
    camera : noise and distortion of the sensor; by default an ideal one.
    plane : height and slope of the near surface; by default level, at its nominal height.
    pattern : the camera's fixed pattern; by default none.

    Returns
    -------
    (channel, y, x) uint8, or uint16 for more than 8 bits.

    Raises
    ------
    BadInput : a map of another size, or a JPEG of more than 8 bits.
    """
    surface, camera, plane = surface or Surface(), camera or Camera(), plane or Plane()
    _check(scene, optics, camera)
    # Streams of their own, so that a foil with relief has the noise of the same foil without.
    relief_rng, haze_rng, camera_rng = (None,) * 3 if rng is None else rng.spawn(3)
    if rng is not None and optics.texture > 0:
        scene = _textured(scene, draw_texture(rng, optics), draw_texture(rng, optics))
    shadowed = find_shadowed(scene, optics)
    if relief_rng is not None:
        added = draw_relief(relief_rng, optics.fine_size, optics.fine_um, surface)
        scene = scene if added is None else _textured(scene, *added)
    stray = _stray(rng, optics)
    light = _Light.of(scene, shadowed, optics)
    haze = _Haze.of(haze_rng, surface, optics)
    pictures = []
    for index, (channel, lamp, seen) in enumerate(_views(light, scene, optics, plane)):
        picture = seen.picture(channel.role, lamp, optics, stray)
        if haze_rng is not None:
            picture = haze.before(picture, channel.role, haze_rng)
        picture = _flared(picture, optics)
        azimuth = float(optics.lit_from_rad[lamp]) if channel.role == "directional" else None
        picture = picture * _field(optics, azimuth)
        gain = _gain(optics, index)
        pictures.append(photograph(picture, gain, optics, rng, camera, pattern, camera_rng))
    return np.stack(pictures)


def relative_light(scene: Scene, optics: Optics, plane: Plane | None = None) -> FloatStack:
    """Return the light of a scene without texture, noise and field, the bulk at 1.

    Parameters
    ----------
    scene, optics, plane : see ``render``.

    Returns
    -------
    (channel, y, x) float32.

    Raises
    ------
    BadInput : a map of another size.
    """
    _check(scene, optics, Camera())
    light = _Light.of(scene, find_shadowed(scene, optics), optics)
    stray = _stray(None, optics)
    views = _views(light, scene, optics, plane or Plane())
    return np.stack(
        [_flared(seen.picture(c.role, lamp, optics, stray), optics) for c, lamp, seen in views]
    )


def _flared(picture: FloatImage, optics: Optics) -> FloatImage:
    """Return a picture with the light that the lenses scatter."""
    if optics.flare == 0:
        return picture
    wide = blur(picture, optics.flare_um / optics.pixel_size_um)
    return np.asarray(picture + np.float32(optics.flare) * (wide - picture), np.float32)


def _views(
    light: _Light, scene: Scene, optics: Optics, plane: Plane
) -> Iterator[tuple[Channel, int, _Seen]]:
    """Yield each channel, the number of its lamp from 0 on, and the light at its focus."""
    lamp, seen = 0, dict[float, _Seen]()
    for channel in optics.channels:
        focus = optics.focus_um if channel.focus_um is None else channel.focus_um
        if focus not in seen:
            depth = focus + scene.thickness_um / scene.refractive_index
            blurs = [_Blur.of(optics, off, plane) for off in (focus, depth)]
            seen[focus] = light.out_of_focus(*blurs)
        yield channel, lamp, seen[focus]
        lamp += channel.role == "directional"


def _gain(optics: Optics, index: int) -> float:
    """Return the brightness of the bulk in one channel, as a share of the camera's range."""
    levels: dict[Role, float] = {
        "directional": optics.level,
        "backlit": optics.backlit_level,
        "halo": optics.halo_level,
    }
    return levels[optics.channels[index].role] * (optics.gains[index] if optics.gains else 1.0)
