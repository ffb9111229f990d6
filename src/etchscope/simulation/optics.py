"""The microscope and the foil under it: the parameters of the pictures.

Azimuths count counter-clockwise from +x, y up, and point towards the lamp. The wall that faces the
lamp is bright on the near surface and dark on the far one.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from etchscope.foil import Channel
from etchscope.foil.bounds import require_bounds, require_numbers
from etchscope.foil.types import FloatImage, Floats

__all__ = ["OVERSAMPLING", "Optics", "Plane", "Scene", "reference_channels"]

OVERSAMPLING = 2
"""Points of a height map per pixel and axis; light is averaged over them."""


def reference_channels() -> tuple[Channel, ...]:
    """Return the reference microscope's ten channels: eight lamps, backlit, halo."""
    lamps = [
        Channel(step=k, role="directional", azimuth_deg=67.5 + 45 * (k - 1)) for k in range(1, 9)
    ]
    return (*lamps, Channel(step=9, role="backlit"), Channel(step=10, role="halo"))


@dataclass(frozen=True)
class Optics:
    """The microscope; lengths are in µm of the foil, so ``pixel_size_um`` alone sets the scale.

    Geometry
        ``pixel_size_um``, ``image_size`` (height, width), ``channels``. ``focus_um`` is the height
        of the focal plane over the near surface, negative inside the foil, for all channels that
        have none of their own (several channels of one lamp at different foci make a z stack).
    Sharpness
        ``blur_um`` in focus (sigma); out of focus ``aperture`` times the distance is added.
        ``flare``: share of the light that the lenses scatter over ``flare_um`` (sigma).
    Directional light
        ``elevation_deg`` of the lamps; ``ambient`` share of light from everywhere; ``gloss``
        share of the specular lobe, ``gloss_width`` its width in slope (Beckmann's); ``shadow``
        1 for opaque walls, 0 for no cast shadow; ``far_weight`` contrast of the far surface,
        ``hiding`` the share of it that a steep wall of the near surface takes away. ``mirror``: how
        much brighter than the bulk a facet is that mirrors the lamp into the camera, within
        ``mirror_width`` in slope, a lobe with wide tails (Trowbridge–Reitz; Walter et al.,
        Eurographics Symposium on Rendering 2007, eq. 33). Walls steeper than ``dark_near_deg`` on
        the near surface and ``dark_far_deg`` on the far one are black (their light is lost in the
        plastic); 90: none.
    Transmitted light
        ``pupil``: rms sine that condenser and objective accept together; ``stray`` light in the
        darkest pit, which several reflections gather in spots: ``glint`` is the rms of its natural
        logarithm, correlated over ``glint_um``. ``halo_sine`` and ``halo_width``: deviation, as a
        sine, that brings the ring's light into the objective.
    Bright centre
        A share ``centre_share`` of the pits gathers light at its deepest point, as a lens does: a
        spot of sigma ``centre_um`` (less in a small pit), ``centre`` times the bulk's light at
        most, in the backlit picture and the halo's, ``centre_lamps`` times under the lamps.
    Camera
        ``level``, ``backlit_level``, ``halo_level``: the bulk's brightness as a share of the
        range (above 1 it is clipped); ``halo_gain``; ``vignetting``: loss in the corners;
        ``unevenness``: gain towards the lamp's side; ``gains``: one per channel, or empty;
        ``azimuth_errors_deg``: one per lamp, or empty; ``read_noise`` and ``shot_noise`` (variance
        per grey level) in 8-bit grey levels; ``bit_depth``.
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
    hiding: float = 0.2
    mirror: float = 0.0
    mirror_width: float = 0.1
    dark_near_deg: float = 90.0
    dark_far_deg: float = 90.0
    pupil: float = 0.15
    stray: float = 0.06
    glint: float = 0.0
    glint_um: float = 10.0
    centre_share: float = 0.0
    centre: float = 0.6
    centre_um: float = 8.0
    centre_lamps: float = 0.0
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
            "centre_share",
        )
        require_bounds(
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
                "mirror": (0, 20),
                "mirror_width": (0.02, 5),
                "dark_near_deg": (0, 90),
                "dark_far_deg": (0, 90),
                "centre": (0, 5),
                "centre_um": (0.5, 200),
                "centre_lamps": (0, 5),
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
        require_numbers("optics.image_size", self.image_size, 16, 20000, count=2)
        if self.gains:
            require_numbers("optics.gains", self.gains, 0.05, 20, count=len(self.channels))
        if self.azimuth_errors_deg:
            count = len(self.azimuths_rad)
            require_numbers(
                "optics.azimuth_errors_deg", self.azimuth_errors_deg, -90, 90, count=count
            )

    @cached_property
    def azimuths_rad(self) -> Floats:
        """Azimuth of each lamp as the scan states it, (lamps,) rad, ccw from +x, y up."""
        return np.deg2rad([c.azimuth_deg for c in self.channels if c.azimuth_deg is not None])

    @property
    def lit_from_rad(self) -> Floats:
        """Azimuth of each lamp as it is, (lamps,) rad: the stated one and its error."""
        errors = self.azimuth_errors_deg or (0.0,) * len(self.azimuths_rad)
        return np.asarray(self.azimuths_rad + np.deg2rad(errors))

    @property
    def fine_size(self) -> tuple[int, int]:
        """(height, width) of the height maps in points."""
        return self.image_size[0] * OVERSAMPLING, self.image_size[1] * OVERSAMPLING

    @property
    def fine_um(self) -> float:
        """Distance of the points of a height map in µm."""
        return self.pixel_size_um / OVERSAMPLING


@dataclass(frozen=True)
class Plane:
    """Height of the near surface of one tile over its nominal place.

    Parameters
    ----------
    offset_um : the height at the centre of the picture.
    slope_x, slope_y : slopes in µm per µm, y up.
    """

    offset_um: float = 0.0
    slope_x: float = 0.0
    slope_y: float = 0.0


@dataclass(frozen=True)
class Scene:
    """The foil of one tile as the camera sees it.

    Maps are (y, x) float32 with ``OVERSAMPLING`` points per pixel and axis, unless stated.

    Parameters
    ----------
    top_um, bottom_um : height of the near and of the far surface, negative in a pit.
    thickness_um : of the foil after etching.
    refractive_index : of the plastic.
    opacity : share of the light, in [0, 1], that marks take away; None where there are none.
    hole : 1 where there is no foil; None where there is foil everywhere.
    near_spots, far_spots : light that the pits of either surface gather at their deepest points, in
        units of ``Optics.centre`` and at the camera's pixels; None for none.
    """

    top_um: FloatImage
    bottom_um: FloatImage
    thickness_um: float = 500.0
    refractive_index: float = 1.585
    opacity: FloatImage | None = None
    hole: FloatImage | None = None
    near_spots: FloatImage | None = None
    far_spots: FloatImage | None = None
