"""Pictures from which the finder learns, and the lights under which it sees them."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.types import Bools, RawStack
from etchscope.imaging import Lighting, Planes, Recipe, fit_normalisation
from etchscope.imaging.planes import compress_planes, harmonic_planes
from etchscope.learn.finder_targets import Openings

__all__ = ["LightDraw", "Sample", "Samples", "draw_lights", "make_planes"]


@dataclass(frozen=True)
class Sample:
    """One picture to learn from.

    Attributes
    ----------
    raw : (channel, y, x) grey levels.
    lighting : what the channels are.
    openings : all openings that are known.
    marked : (y, x) where dust, scratches and the like are; None where it is not known.
    known : (y, x) where every opening is known; None for everywhere. Elsewhere the network learns
        only from the places of the openings. If it is given, the network does not learn from
        their shapes.
    unmarked : (y, x) where it is known that there is no mark, within the known ground.
    """

    raw: RawStack
    lighting: Lighting
    openings: Openings
    marked: Bools | None = None
    known: Bools | None = None
    unmarked: Bools | None = None


class Samples(Protocol):
    """Pictures to learn from, which are read one by one."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, place: int) -> Sample:
        """Return one of them."""


@dataclass(frozen=True)
class LightDraw:
    """A random choice of the lights of a picture, and of changes to them.

    Attributes
    ----------
    lighting : the lights that are used.
    invert : whether transmitted light becomes dark field.
    gain : factor of all contrasts.
    noise : standard deviation of the noise that is added to the contrasts.
    """

    lighting: Lighting
    invert: bool
    gain: float
    noise: float


def draw_lights(rng: np.random.Generator, lighting: Lighting) -> LightDraw:
    """Return lights drawn at random: most often all, or lamps alone, few lamps, or backlit alone.

    Parameters
    ----------
    rng : source of the random numbers.
    lighting : all lights of the picture.

    Examples
    --------
    >>> eight = Lighting(np.arange(8), 45.0 * np.arange(8), 1, np.array([8]), np.array([9]))
    >>> drawn = draw_lights(np.random.default_rng(1), eight)
    >>> len(drawn.lighting.directional) + len(drawn.lighting.dark) > 0
    True
    """
    none = np.empty(0, np.int64)
    kind = rng.random()
    out, invert = lighting, False
    lamps = len(lighting.directional)
    if lamps and len(lighting.dark):
        if kind < 0.12:
            out = replace(out, dark=none, bright=none)
        elif kind < 0.2:
            out = replace(out, bright=none)
        elif kind < 0.3:
            few = np.sort(rng.choice(lamps, int(rng.integers(3, lamps)), replace=False))
            out = replace(
                out,
                directional=lighting.directional[few],
                azimuths_deg=lighting.azimuths_deg[few],
                dark=lighting.dark if rng.random() < 0.6 else none,
                bright=lighting.bright if rng.random() < 0.4 else none,
            )
        elif kind < 0.45:
            out = replace(out, directional=none, azimuths_deg=np.empty(0), bright=none)
            invert = bool(rng.random() < 0.2)
        elif kind < 0.48:
            out = replace(out, directional=none, azimuths_deg=np.empty(0), dark=none)
    gain = float(np.exp(rng.normal(0, 0.2)))
    noise = float(rng.exponential(0.01)) if rng.random() < 0.3 else 0.0
    try:
        return LightDraw(replace(out), invert, gain, noise)
    except BadInput:  # lamps that show no gradient
        return LightDraw(lighting, False, gain, noise)


def make_planes(sample: Sample, drawn: LightDraw, noise_seed: int, scale: float = 1.0) -> Planes:
    """Return the planes of a sample, (13, y, x), which is normalised by itself.

    Parameters
    ----------
    noise_seed : of the noise that is added.
    scale : see ``compress_planes``.
    """
    normalisation = fit_normalisation([sample.raw], Recipe())
    planes = harmonic_planes(sample.raw, normalisation, drawn.lighting)
    pictures = planes.pictures * np.float32(drawn.gain)
    if drawn.noise:
        rng = np.random.default_rng(noise_seed)
        there = np.flatnonzero(planes.given[[0, 0, 0, 1, 1, 2, 3, 4]] > 0)
        there = there[there != 5]
        shape = (len(there), *pictures.shape[1:])
        pictures[there] += np.float32(drawn.noise) * rng.standard_normal(shape, np.float32)
    if drawn.invert:
        pictures[6] *= -1
    return compress_planes(Planes(pictures, planes.given), scale)
