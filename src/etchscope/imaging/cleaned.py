"""Pictures for people, without what is no pit: the slow background, long scratches, and blur.

Fixed pattern and uneven light go with the normalisation of the scan. The slow background is a
median over a scale. Long scratches are filled from what lies beside them. Known blur is taken back
by a Wiener filter.

Such a filter multiplies the spectrum by W(f), so that white noise grows by √⟨|W|²⟩, the mean being
over all frequencies. No linear filter that has the same effect on the pits adds less noise. W is
that of least mean square error (N. Wiener, 1949; R. C. Gonzalez and R. E. Woods, Digital Image
Processing, 5.8) at the measured ratio of noise and signal, or, if the noise would grow by more than
is allowed, at the least ratio at which it does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

from etchscope.foil.types import Bools, FloatImage, Floats, FloatStack, RawStack
from etchscope.imaging.cleanup import find_long_scratches
from etchscope.imaging.deviations import add_deviations
from etchscope.imaging.noise import measure_noise
from etchscope.imaging.normalise import Normalisation, smooth_background

__all__ = [
    "CleanSettings",
    "Cleaned",
    "clean_pictures",
    "deconvolve",
    "fill_marks",
    "find_scratches",
]

_LEAST_SIGMAS = 4.0
"""Mean excess along a line, in its standard deviations, from which a pixel may be a scratch's."""
_LINE_PX, _DIRECTIONS = 21, 16
"""Length of the lines, and number of their directions."""
_MOST_EXCESS = 10.0
"""Greatest excess of a pixel."""
_CREST_PX = 9
"""Width in which a scratch is where the mean is more than half of its greatest value."""
_THIN_PX = 0.8
"""Blur before that, which is narrower than a scratch."""
_FILL_PX = 3.0
"""Distance from which what lies beside a scratch is taken."""
_STANDS_OUT = 3.0
"""Contrast of a signal, in standard deviations of the noise."""
_STEPS = 40


@dataclass(frozen=True)
class CleanSettings:
    """What is taken out of pictures.

    Attributes
    ----------
    background_px : scale of the slow background; what is smaller than about half of it stays. Of
        pictures smaller than twice the scale, in which a pit would count as background, only the
        median is subtracted.
    scratch_px : least length of a scratch; infinite for none.
    most_noise : factor by which deconvolution may multiply the noise, above 1.
    """

    background_px: float = 64.0
    scratch_px: float = 80.0
    most_noise: float = 2.0


@dataclass(frozen=True)
class Cleaned:
    """Cleaned pictures of a tile.

    Attributes
    ----------
    pictures : (channel, y, x) float32 contrasts, the bulk at 0.
    filled : (y, x) where a scratch was filled.
    noise_gain : (channel,) factor by which deconvolution multiplied white noise; 1 without blur.
    """

    pictures: FloatStack
    filled: Bools
    noise_gain: Floats


def clean_pictures(
    raw: RawStack,
    normalisation: Normalisation,
    *,
    blur_px: Sequence[float] | None = None,
    keep: Bools | None = None,
    settings: CleanSettings | None = None,
) -> Cleaned:
    """Return the pictures of a tile without slow background, fixed pattern, scratches and blur.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.
    normalisation : of the scan.
    blur_px : standard deviation of the blur of each channel; None where it is not known, and the
        pictures stay as sharp as they are.
    keep : (y, x) where nothing is filled, such as found pits.
    settings : see ``CleanSettings``.

    Raises
    ------
    BadInput : the pictures do not fit the normalisation.
    """
    how = settings or CleanSettings()
    pictures = normalisation.apply(raw)
    is_small = min(raw.shape[1:]) < 2 * how.background_px
    for picture in pictures:
        slow = np.median(picture) if is_small else smooth_background(picture, how.background_px)
        picture -= slow
    noise = np.maximum(measure_noise(pictures), 1e-6)
    filled = find_scratches(pictures, noise, how.scratch_px)
    if keep is not None:
        filled &= ~keep
    pictures = fill_marks(pictures, filled)
    gain = np.ones(len(pictures))
    for c, sigma in enumerate(blur_px or ()):
        pictures[c], gain[c] = deconvolve(
            pictures[c], float(sigma), float(noise[c]), most_noise=how.most_noise
        )
    return Cleaned(pictures, filled, gain)


def find_scratches(pictures: FloatStack, noise: Floats, length_px: float) -> Bools:
    """Return where long thin marks lie, (y, x), whatever the lights that show them.

    The deviations of all lights are averaged along short lines in all directions, less what lies
    beside them.

    Parameters
    ----------
    pictures : (channel, y, x) contrasts without slow background.
    noise : (channel,) its standard deviation.
    length_px : least length.
    """
    shape = pictures.shape[1:]
    if not np.isfinite(length_px) or min(shape) < 2 * _LINE_PX:
        return np.zeros(shape, bool)
    everywhere = np.ones(shape, bool)
    excess = add_deviations(pictures, noise, _THIN_PX, known=everywhere, empty=everywhere)
    # A dark spot would count as much as a whole line.
    excess = np.minimum(excess, np.float32(_MOST_EXCESS))
    along = np.full(shape, -np.inf, np.float32)
    for kernel in _lines():
        along = np.maximum(along, cv2.filter2D(excess, -1, kernel))
    along -= np.float32(np.median(along))
    scale = float(np.median(np.abs(along))) / 0.6745
    thin = find_long_scratches(along, max(_LEAST_SIGMAS * scale, 1e-6), length_px)
    crest = cv2.dilate(along, np.ones((_CREST_PX, _CREST_PX), np.uint8))
    thin &= along > crest / 2
    grown = cv2.dilate(thin.astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(grown > 0)


@lru_cache(maxsize=1)
def _lines() -> list[FloatImage]:
    """Return means along lines, less the means over what lies beside them."""
    half = _LINE_PX // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    out = []
    for angle in np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS:
        across = np.abs(y * np.cos(angle) - x * np.sin(angle))
        inside = np.hypot(x, y) <= half
        on, beside = inside & (across <= 1), inside & (across > 3) & (across <= 7)
        out.append((on / on.sum() - beside / beside.sum()).astype(np.float32))
    return out


def fill_marks(pictures: FloatStack, where: Bools) -> FloatStack:
    """Return pictures in which a part has the weighted mean of what lies around it.

    Parameters
    ----------
    pictures : (channel, y, x).
    where : (y, x) the part.
    """
    out = pictures.copy()
    if not where.any():
        return out
    weight = (~where).astype(np.float32)
    total = cv2.GaussianBlur(weight, (0, 0), _FILL_PX)
    for picture in out:
        around = cv2.GaussianBlur(picture * weight, (0, 0), _FILL_PX)
        picture[where] = (around / np.maximum(total, 1e-6))[where]
    return out


def deconvolve(
    picture: FloatImage, sigma_px: float, noise: float, *, most_noise: float = 2.0
) -> tuple[FloatImage, float]:
    """Return a picture without a Gaussian blur, and the factor by which its white noise grew.

    Parameters
    ----------
    picture : (y, x) contrasts.
    sigma_px : standard deviation of the blur.
    noise : standard deviation of the noise from pixel to pixel.
    most_noise : factor by which it may grow, above 1.
    """
    if sigma_px <= 0:
        return picture, 1.0
    margin = int(np.ceil(4 * sigma_px)) + 8
    rows, columns = picture.shape
    shape = tuple(next_fast_len(n + 2 * margin, real=True) for n in picture.shape)
    wide = cv2.copyMakeBorder(
        picture,
        margin,
        shape[0] - rows - margin,
        margin,
        shape[1] - columns - margin,
        cv2.BORDER_REFLECT_101,
    )
    blur = _transfer(shape, sigma_px)
    ratio = noise**2 / max(_signal(picture, noise), 1e-12)
    ratio = _allowed(blur, shape[1], ratio, most_noise)
    filtered = irfft2(rfft2(wide) * _wiener(blur, ratio), shape)
    sharp = np.asarray(filtered[margin : margin + rows, margin : margin + columns], np.float32)
    return sharp, _noise_gain(blur, shape[1], ratio)


def _signal(picture: FloatImage, noise: float) -> float:
    """Return the mean square of what stands out of the noise: pits, and not the ground."""
    square = np.square(picture, dtype=np.float64)
    strong = square[square > (_STANDS_OUT * noise) ** 2]
    return float(strong.mean()) if strong.size else noise**2


def _transfer(shape: tuple[int, ...], sigma_px: float) -> Floats:
    """Return the transfer function of a Gaussian blur on the frequencies of ``rfft2``."""
    y, x = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    return np.asarray(np.exp(-2 * (np.pi * sigma_px) ** 2 * (x**2 + y**2)))


def _wiener(blur: Floats, ratio: float) -> Floats:
    """Return the Wiener filter at a ratio of noise and signal, with the gain 1 at frequency 0."""
    return np.asarray((1 + ratio) * blur / (blur**2 + ratio))


def _noise_gain(blur: Floats, columns: int, ratio: float) -> float:
    """Return the factor by which the filter multiplies white noise."""
    power = _wiener(blur, ratio) ** 2
    twice = np.full(blur.shape[1], 2.0)  # frequencies that ``rfft2`` leaves out
    twice[0] = 1
    if columns % 2 == 0:
        twice[-1] = 1
    return float(np.sqrt((power * twice).sum() / (len(blur) * columns)))


def _allowed(blur: Floats, columns: int, ratio: float, most: float) -> float:
    """Return the ratio, or the least one above it at which the noise grows by no more than most."""
    if _noise_gain(blur, columns, ratio) <= most:
        return ratio
    low, high = np.log(ratio), np.log(max(ratio, 1e3))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _noise_gain(blur, columns, float(np.exp(middle))) > most:
            low = middle
        else:
            high = middle
    return float(np.exp(high))
