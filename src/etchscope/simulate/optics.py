"""What the microscope sees of an etched foil: from two height maps to the pictures of a tile.

Signs are those of the conventions: azimuths counter-clockwise from +x, y up, towards the lamp; the
wall that faces the lamp is bright on the near surface and dark on the far one.
"""

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numba
import numpy as np

from etchscope.foil import BadInput, Channel, Role
from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack, RawStack
from etchscope.simulate.bounds import check, numbers

__all__ = ["OVERSAMPLING", "Optics", "Scene", "reference_channels", "render"]

OVERSAMPLING = 2
"""Height maps have this many points per pixel and axis; light is averaged over them."""
_EMPTY: dict[Role, float] = {"directional": 0.1, "backlit": 1.1, "halo": 0.1}
"""How bright a hole is, beside the bulk."""


def reference_channels() -> tuple[Channel, ...]:
    """Return the reference microscope's ten channels: eight lamps, backlit, halo."""
    lamps = [
        Channel(step=k, role="directional", azimuth_deg=67.5 + 45 * (k - 1)) for k in range(1, 9)
    ]
    return (*lamps, Channel(step=9, role="backlit"), Channel(step=10, role="halo"))


@dataclass(frozen=True)
class Optics:
    """The microscope. Lengths in µm of the foil, so that another magnification is one number.

    Geometry
        ``pixel_size_um``, ``image_size`` (height, width), ``channels``. ``focus_um`` is the height
        of the focal plane over the near surface, negative inside the foil, for all channels that
        have none of their own (several channels of one lamp with other focus make a z stack).
    Sharpness
        ``blur_um`` in focus (sigma); out of focus ``aperture`` times the distance is added.
        ``flare``: share of the light that the lenses scatter over ``flare_um`` (sigma).
    Directional light
        ``elevation_deg`` of the lamps; ``ambient`` share of light from everywhere; ``gloss``
        share of the specular lobe, ``gloss_width`` its width in slope (Beckmann's); ``shadow``
        1 for opaque walls, 0 for no cast shadow; ``far_weight`` contrast of the far surface.
    Transmitted light
        ``pupil``: rms sine that condenser and objective accept together; ``stray`` light in the
        darkest pit, which several reflections gather in spots: ``glint`` is the rms of its natural
        logarithm, correlated over ``glint_um``. ``halo_sine`` and ``halo_width``: deviation, as a
        sine, that brings the ring's light into the objective.
    Camera
        ``level``, ``backlit_level``, ``halo_level``: the bulk's brightness as a share of the
        range (above 1 it is clipped); ``halo_gain``; ``vignetting``: loss in the corners;
        ``unevenness``: gain towards the lamp's side; ``gains`` and ``azimuth_errors_deg``: one a
        channel, one a lamp, or empty; ``read_noise`` and ``shot_noise`` (variance per grey level)
        in 8-bit grey levels; ``bit_depth``.
    Surface
        ``texture``: rms slope of the bulk's roughness, correlated over ``texture_um``.
    """

    pixel_size_um: float = 6.4516
    image_size: tuple[int, int] = (480, 640)
    channels: tuple[Channel, ...] = field(default_factory=reference_channels)
    focus_um: float = 0.0
    blur_um: float = 5.0
    aperture: float = 0.035
    flare: float = 0.0
    flare_um: float = 40.0
    elevation_deg: float = 45.0
    ambient: float = 0.2
    gloss: float = 0.15
    gloss_width: float = 0.35
    shadow: float = 0.5
    far_weight: float = 0.8
    pupil: float = 0.15
    stray: float = 0.06
    glint: float = 0.0
    glint_um: float = 10.0
    halo_sine: float = 0.35
    halo_width: float = 0.15
    level: float = 0.45
    backlit_level: float = 0.75
    halo_level: float = 0.2
    halo_gain: float = 3.0
    vignetting: float = 0.1
    unevenness: float = 0.15
    gains: tuple[float, ...] = ()
    azimuth_errors_deg: tuple[float, ...] = ()
    read_noise: float = 2.0
    shot_noise: float = 0.01
    bit_depth: int = 8
    texture: float = 0.05
    texture_um: float = 10.0

    def __post_init__(self) -> None:
        shares = (
            "ambient",
            "gloss",
            "shadow",
            "far_weight",
            "stray",
            "vignetting",
            "unevenness",
            "flare",
        )
        check(
            self,
            {
                **dict.fromkeys(shares, (0.0, 1.0)),
                "pixel_size_um": (0.05, 100),
                "focus_um": (-5000, 5000),
                "blur_um": (0, 200),
                "aperture": (0, 1),
                "flare_um": (0, 2000),
                "elevation_deg": (5, 85),
                "gloss_width": (0.05, 5),
                "pupil": (0.005, 1),
                "glint": (0, 2),
                "glint_um": (0.1, 1000),
                "halo_sine": (0.05, 1),
                "halo_width": (0.01, 1),
                "level": (0.01, 3),
                "backlit_level": (0.01, 3),
                "halo_level": (0.001, 3),
                "halo_gain": (0, 100),
                "read_noise": (0, 50),
                "shot_noise": (0, 5),
                "bit_depth": (8, 16),
                "texture": (0, 1),
                "texture_um": (0.1, 1000),
            },
        )
        numbers("optics.image_size", self.image_size, 16, 20000, count=2)
        if self.gains:
            numbers("optics.gains", self.gains, 0.05, 20, count=len(self.channels))
        if self.azimuth_errors_deg:
            count = len(self.azimuths_rad)
            numbers("optics.azimuth_errors_deg", self.azimuth_errors_deg, -90, 90, count=count)

    @cached_property
    def azimuths_rad(self) -> Floats:
        """Azimuth that each lamp is said to have, radians ccw from +x, y up."""
        return np.deg2rad([c.azimuth_deg for c in self.channels if c.azimuth_deg is not None])

    @property
    def lit_from_rad(self) -> Floats:
        """Azimuth that each lamp has: what is said, and its error."""
        errors = self.azimuth_errors_deg or (0.0,) * len(self.azimuths_rad)
        return np.asarray(self.azimuths_rad + np.deg2rad(errors))

    @property
    def fine_size(self) -> tuple[int, int]:
        """(height, width) of the height maps."""
        return self.image_size[0] * OVERSAMPLING, self.image_size[1] * OVERSAMPLING

    @property
    def fine_um(self) -> float:
        """Distance of a height map's points."""
        return self.pixel_size_um / OVERSAMPLING


@dataclass(frozen=True)
class Scene:
    """One tile's foil as the camera sees it; all (y, x) float32, ``OVERSAMPLING`` points a pixel.

    ``top_um`` and ``bottom_um`` are heights of the near and the far surface, negative in a pit;
    ``opacity`` 0 to 1 what lies in the light's way; ``hole`` 1 where there is no foil. Those two
    may be None: nothing anywhere.
    """

    top_um: FloatImage
    bottom_um: FloatImage
    thickness_um: float = 500.0
    refractive_index: float = 1.585
    opacity: FloatImage | None = None
    hole: FloatImage | None = None


def _blurred(picture: FloatImage, sigma_px: float) -> FloatImage:
    if sigma_px < 0.05:
        return picture
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), np.float32)


def _binned(fine: FloatImage) -> FloatImage:
    rows, columns = fine.shape
    size = (columns // OVERSAMPLING, rows // OVERSAMPLING)
    return np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.float32)


@numba.njit(cache=True, nogil=True, inline="always")
def _slopes(
    height: FloatImage, r: int, c: int, fine_um: np.float32
) -> tuple[np.float32, np.float32]:  # pragma: no cover
    """Return ∂h/∂x, ∂h/∂y with y up."""
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
    """Return the share of a lamp's light that higher ground keeps from a point, soft over 4 µm."""
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


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _shade(
    height: FloatImage,
    march: Bools,
    lamps: FloatImage,
    fine_um: np.float32,
    elevation: np.float32,
    ambient: np.float32,
    gloss: np.float32,
    width: np.float32,
    shadow: np.float32,
    highest: np.float32,
    sign: np.float32,
    out: FloatStack,
) -> None:  # pragma: no cover
    """Add up, per lamp and pixel, the light of one surface; the flat bulk gives 1.

    ``sign`` is +1 for the near surface and −1 for the far one, whose slopes are seen reversed.
    """
    over = np.int64(2)
    rows, columns = height.shape
    share = np.float32(1.0 / (over * over))
    tangent = np.float32(np.tan(elevation))
    facet = np.float32(np.tan((np.pi / 2 - elevation) / 2))  # slope that mirrors lamp to camera
    narrow = np.float32(0.5 / (width * width))
    flat = np.exp(-facet * facet * narrow)
    for r in range(rows):
        for c in range(columns):
            p, q = _slopes(height, r, c, fine_um)
            p, q = sign * p, sign * q
            tilt = np.float32(1) / np.sqrt(1 + p * p + q * q)
            steep = p * p + q * q
            for k in range(len(lamps)):
                cosine, sine = lamps[k, 0], lamps[k, 1]
                towards = -(p * cosine + q * sine)
                light = float(max((1 + towards / tangent) * tilt, 0)) * (1 - gloss)
                if gloss > 0:
                    away = steep - 2 * facet * towards + facet * facet
                    light += gloss * np.exp(-away * narrow) / flat
                if shadow > 0 and march[r, c]:
                    rise = fine_um * tangent
                    light *= 1 - shadow * _shadowed(height, r, c, cosine, -sine, rise, highest)
                out[k, r // over, c // over] += share * (ambient + (1 - ambient) * light)


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
    """Add up, per pixel, what a surface lets through backlit, and what it sends into the halo.

    A slope of angle α refracts a ray by δ, n sin α = sin(α + δ). Condenser and objective with
    Gaussian pupils of joint width ``pupil`` accept exp(−sin²δ / 2 pupil²); past the critical angle
    nothing gets out.
    """
    over = np.int64(2)
    rows, columns = height.shape
    share = np.float32(1.0 / (over * over))
    flat = np.exp(-0.5 * (halo_sine / halo_width) ** 2)  # the bulk's, which is to give nothing
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
                lobe = flat + 0.5 * (1 - flat)  # some of it gets out after several reflections
            halo[r // over, c // over] += share * (lobe - flat) / (1 - flat)


def _texture(rng: np.random.Generator, optics: Optics) -> FloatImage:
    """Return heights of rms slope ``texture``, smooth over ``texture_um``."""
    raw = rng.standard_normal(optics.fine_size, np.float32)
    smooth = _blurred(raw, optics.texture_um / optics.fine_um)
    slopes = [np.diff(smooth, axis=axis) / np.float32(optics.fine_um) for axis in (0, 1)]
    rms = np.sqrt(sum(float((s**2).mean()) for s in slopes))
    return smooth * np.float32(optics.texture / rms)


def _stray(rng: np.random.Generator | None, optics: Optics) -> FloatImage:
    """Return the stray light of the backlit picture, of mean ``stray``, at most 1."""
    if rng is None or optics.glint == 0:
        return np.full(optics.image_size, optics.stray, np.float32)
    sigma = optics.glint_um / optics.pixel_size_um
    raw = _blurred(rng.standard_normal(optics.image_size, np.float32), sigma)
    logarithm = np.float32(optics.glint) * raw / np.float32(max(float(raw.std()), 1e-9))
    spots = np.exp(logarithm - np.float32(optics.glint**2 / 2))
    return np.asarray(np.minimum(np.float32(optics.stray) * spots, 1), np.float32)


def _shaded_near(scene: Scene, optics: Optics, lamps: FloatImage) -> FloatStack:
    """Return (lamp, y, x) light of the near surface."""
    elevation = np.deg2rad(optics.elevation_deg)
    march = scene.top_um < -1
    highest = max(float(scene.top_um.max()), 0.0)
    bump = scene.top_um > 3
    if bump.any():  # what stands up throws its shadow as far as this
        far = int(np.ceil(highest / np.tan(elevation) / optics.fine_um)) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * far + 1, 2 * far + 1))
        march |= cv2.dilate(bump.astype(np.uint8), kernel) > 0
    out = np.zeros((len(lamps), *optics.image_size), np.float32)
    _shade(
        scene.top_um,
        march,
        lamps,
        np.float32(optics.fine_um),
        np.float32(elevation),
        np.float32(optics.ambient),
        np.float32(optics.gloss),
        np.float32(optics.gloss_width),
        np.float32(optics.shadow),
        np.float32(highest),
        np.float32(1),
        out,
    )
    return out


def _shaded_far(scene: Scene, optics: Optics, lamps: FloatImage) -> FloatStack:
    """Return (lamp, y, x) light of the far surface: from inside, slopes reversed, no shadows."""
    elevation = np.deg2rad(optics.elevation_deg)
    out = np.zeros((len(lamps), *optics.image_size), np.float32)
    none = np.zeros((1, 1), np.bool_)
    zero = np.float32(0)
    _shade(
        scene.bottom_um,
        none,
        lamps,
        np.float32(optics.fine_um),
        np.float32(elevation),
        np.float32(optics.ambient),
        np.float32(optics.gloss),
        np.float32(optics.gloss_width),
        zero,
        zero,
        np.float32(-1),
        out,
    )
    return out


def _transmitted(
    height: FloatImage, refractive_index: float, optics: Optics
) -> tuple[FloatImage, FloatImage]:
    """Return the backlight that a surface lets through, and its light in the halo's picture."""
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
        through, halo = _transmitted(scene.top_um, scene.refractive_index, optics)
        far_through, far_halo = _transmitted(scene.bottom_um, scene.refractive_index, optics)
        return cls(
            _shaded_near(scene, optics, lamps),
            _shaded_far(scene, optics, lamps),
            through,
            far_through,
            halo,
            far_halo,
            None if scene.opacity is None else 1 - _binned(scene.opacity),
            None if scene.hole is None else _binned(scene.hole),
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

        ``sharp_px`` and ``blunt_px`` are the blur of the near and of the far surface. What a steep
        wall of the near surface bends away is not seen of the far one.
        """

        def near(picture: FloatImage) -> FloatImage:
            return _blurred(np.asarray(picture, np.float32), sharp_px)

        through = near(self.through)
        if role == "directional":
            beyond = _blurred(self.far[lamp], blunt_px) - 1
            light = near(self.near[lamp]) * (1 + np.float32(optics.far_weight) * through * beyond)
            if self.clear is not None:
                light *= (1 + near(self.clear)) / 2
        elif role == "backlit":
            light = through * _blurred(self.far_through, blunt_px)
            if self.clear is not None:
                light *= near(self.clear)
            light = stray + (1 - stray) * light
        else:
            bright = near(self.halo)
            bright += np.float32(0.7) * through * _blurred(self.far_halo, blunt_px)
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
            scene.top_um + _texture(rng, optics),
            scene.bottom_um + _texture(rng, optics),
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
            wide = _blurred(picture, optics.flare_um / optics.pixel_size_um)
            picture = picture + np.float32(optics.flare) * (wide - picture)
        azimuth = None
        if channel.role == "directional":
            azimuth, lamp = float(optics.lit_from_rad[lamp]), lamp + 1
        gain = levels[channel.role] * (optics.gains[index] if optics.gains else 1.0)
        pictures.append(_photographed(picture * _field(optics, azimuth), gain, optics, rng))
    return np.stack(pictures)
