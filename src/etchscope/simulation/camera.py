"""The camera: from light to grey levels, with the noise and the pattern of a real sensor."""

from dataclasses import dataclass

import cv2
import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.bounds import require_bounds, require_within
from etchscope.foil.types import FloatImage, RawStack
from etchscope.simulation.fields import draw_slow_field
from etchscope.simulation.optics import Optics

__all__ = ["Camera", "FixedPattern", "check_camera", "draw_fixed_pattern", "photograph"]


@dataclass(frozen=True)
class Camera:
    """The sensor and the file of its pictures; noise and range are parameters of ``Optics``.

    Parameters
    ----------
    gamma : grey levels go with this power of the light; the bulk's level stays.
    pixel_gain : fixed pattern, the same in all pictures of a scan: rms gain from pixel to pixel.
    column_pattern : fixed pattern: rms from column to column, in 8-bit grey levels.
    hot_per_mpx : fixed pattern: number of pixels in a million that are too bright.
    background : relative rms of a slow field over a picture, another in each tile and channel.
    background_px : length over which that field changes.
    grey_step : grey levels are multiples of so many 8-bit levels.
    jpeg_quality : 1 to 100 of the JPEG file that held the picture (8 bits only); 0 for no JPEG.

    Raises
    ------
    BadInput : a parameter outside its range.
    """

    gamma: float = 1.0
    pixel_gain: float = 0.0
    column_pattern: float = 0.0
    hot_per_mpx: float = 0.0
    background: float = 0.0
    background_px: float = 150.0
    grey_step: int = 1
    jpeg_quality: int = 0

    def __post_init__(self) -> None:
        require_bounds(
            self,
            {
                "gamma": (0.2, 5),
                "pixel_gain": (0, 0.5),
                "column_pattern": (0, 50),
                "hot_per_mpx": (0, 100_000),
                "background": (0, 0.5),
                "background_px": (10, 5000),
                "grey_step": (1, 64),
                "jpeg_quality": (0, 100),
            },
        )


@dataclass(frozen=True)
class FixedPattern:
    """The same gain, and offset in 8-bit grey levels, of every picture; each (y, x) float32."""

    gain: FloatImage | None = None
    offset: FloatImage | None = None


def check_camera(camera: Camera, optics: Optics) -> None:
    """Raise ``BadInput`` if pictures of more than 8 bits shall go through a JPEG file."""
    if camera.jpeg_quality:
        require_within("optics.bit_depth of a JPEG file", optics.bit_depth, 8, 8)


def draw_fixed_pattern(
    camera: Camera, image_size: tuple[int, int], rng: np.random.Generator | None
) -> FixedPattern:
    """Return a camera's fixed pattern; none without a random stream.

    Parameters
    ----------
    image_size : (height, width) in pixels.
    rng : a stream of the scan; the same one gives the same pattern.
    """
    if rng is None:
        return FixedPattern()
    gain = offset = None
    if camera.pixel_gain > 0:
        gain = 1 + np.float32(camera.pixel_gain) * rng.standard_normal(image_size, np.float32)
    if camera.column_pattern > 0 or camera.hot_per_mpx > 0:
        columns = rng.standard_normal(image_size[1], np.float32)
        offset = np.tile(columns * np.float32(camera.column_pattern), (image_size[0], 1))
        pixels = image_size[0] * image_size[1]
        hot = rng.integers(0, pixels, rng.poisson(camera.hot_per_mpx * pixels / 1e6))
        offset.ravel()[hot] += rng.uniform(20, 200, len(hot)).astype(np.float32)
    return FixedPattern(gain, offset)


def _background(rng: np.random.Generator, size: tuple[int, int], camera: Camera) -> FloatImage:
    """Return a slow field of mean 1, (y, x) float32."""
    field = draw_slow_field(rng, size, camera.background_px)
    return np.asarray(np.maximum(1 + np.float32(camera.background) * field, 0), np.float32)


def photograph(
    light: FloatImage,
    gain: float,
    optics: Optics,
    rng: np.random.Generator | None,
    camera: Camera | None = None,
    pattern: FixedPattern | None = None,
    background_rng: np.random.Generator | None = None,
) -> RawStack:
    """Return the grey levels of a picture, (y, x) uint8, or uint16 for more than 8 bits.

    Parameters
    ----------
    light : (y, x) float32, the bulk at 1.
    gain : level of the bulk as a share of the range.
    optics : its ``bit_depth``, ``read_noise`` and ``shot_noise`` are those of the camera.
    rng : source of the noise; None gives none.
    pattern : the camera's fixed pattern; by default none.
    background_rng : source of the slow background; None gives none.

    Raises
    ------
    BadInput : JPEG cannot hold a picture of this size.
    """
    camera, pattern = camera or Camera(), pattern or FixedPattern()
    most = 2**optics.bit_depth - 1
    unit = most / 255
    if background_rng is not None and camera.background > 0:
        light = light * _background(background_rng, optics.image_size, camera)
    if camera.gamma != 1:
        light = np.clip(light, 0, None) ** np.float32(camera.gamma)
    picture = light * np.float32(gain * most)
    if pattern.gain is not None:
        picture = picture * pattern.gain
    if rng is not None:
        variance = np.clip(picture, 0, None) * np.float32(optics.shot_noise * unit)
        variance += np.float32((optics.read_noise * unit) ** 2)
        picture = picture + rng.standard_normal(picture.shape, np.float32) * np.sqrt(variance)
    if pattern.offset is not None:
        picture = picture + pattern.offset * np.float32(unit)
    if camera.grey_step > 1:
        step = np.float32(camera.grey_step * unit)
        picture = np.rint(picture / step) * step
    dtype = np.uint8 if optics.bit_depth == 8 else np.uint16
    levels: RawStack = np.clip(np.rint(picture), 0, most).astype(dtype)
    return _through_jpeg(levels, camera.jpeg_quality) if camera.jpeg_quality else levels


def _through_jpeg(levels: RawStack, quality: int) -> RawStack:
    """Return an 8-bit picture as it is read back from a JPEG file."""
    done, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        size = f"{levels.shape[1]} × {levels.shape[0]}"
        raise BadInput("simulation: camera.jpeg_quality", "a picture that JPEG can hold", size)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
