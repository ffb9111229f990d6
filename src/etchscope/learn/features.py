"""Measured features of patches: what a person would read off a pit.

For the weak learner, for what lies outside the training, and for signal as an anomaly.
"""

import numpy as np
from numpy.typing import NDArray

from etchscope.foil.types import Floats
from etchscope.learn.patches import Lights, Patches

__all__ = ["feature_names", "features_of"]

_RINGS = 4
"""Rings around the patch's middle, of equal width out to its edge."""


def feature_names(lights: Lights) -> list[str]:
    """Return what the columns of ``features_of`` are.

    >>> feature_names(Lights((), ("backlit",)))[:3]
    ['backlit mean 0', 'backlit mean 1', 'backlit mean 2']
    """
    rings, kinds = range(_RINGS), ("mean", "rms")
    names = [f"{role} {what} {r}" for role in lights.others for what in kinds for r in rings]
    if lights.azimuths_deg:
        names += [f"lamps {what} {r}" for what in kinds for r in rings]
        names += [f"{what} {r}" for what in ("slope in", "slope rms", "turn rms") for r in rings]
        names += ["offset", "harmonic 2"]
    return [*names, "grain"]


def features_of(patches: Patches) -> Floats:
    """Return (n, features) figures that no symmetry of the optics changes, see ``feature_names``.

    Ring by ring: mean and rms of each light that is no lamp, and of the lamps' mean; of the first
    harmonic over azimuth the part along the radius (its mean, signed: the one sign is a top pit,
    the other a bottom pit, both together a pair), its rms and that of the part across. ``offset``:
    how far from the middle the harmonic's centre of gravity lies, in patch sizes; ``harmonic 2``:
    rms of the second harmonic; ``grain``: rms of the difference of neighbouring pixels at the edge,
    so the noise. The first harmonic is (A, B) of conventions.md, by least squares.
    """
    pixels, lights = patches.pixels, patches.lights
    n, _, size, _ = pixels.shape
    axis = np.arange(size) - (size - 1) / 2
    x, y = np.meshgrid(axis, -axis)  # y up
    radius = np.hypot(x, y)
    ring = np.minimum((radius / (size / 2) * _RINGS).astype(int), _RINGS)
    masks = np.stack([ring == r for r in range(_RINGS)]).reshape(_RINGS, -1).astype(np.float32)
    masks /= masks.sum(1, keepdims=True)

    def mean(picture: NDArray[np.float32]) -> Floats:
        return np.asarray(picture.reshape(n, size * size) @ masks.T, np.float64)

    def rms(picture: NDArray[np.float32]) -> Floats:
        return np.sqrt(mean(picture**2))

    lamps = len(lights.azimuths_deg)
    columns: list[Floats] = []
    for place in range(lamps, lights.count):
        columns += [mean(pixels[:, place]), rms(pixels[:, place])]
    if lamps:
        angle = np.deg2rad(lights.azimuths_deg)
        terms = [np.ones(lamps)]
        if lamps >= 3:
            terms += [np.cos(angle), np.sin(angle)]
        if lamps >= 5:
            terms += [np.cos(2 * angle), np.sin(2 * angle)]
        fit = np.zeros((5, lamps), np.float32)
        fit[: len(terms)] = np.linalg.pinv(np.stack(terms, 1))
        level, a, b, c, d = np.einsum("kl,nlyx->knyx", fit, pixels[:, :lamps], optimize=True)
        along = (a * x + b * y) / np.maximum(radius, 0.5)
        across = (b * x - a * y) / np.maximum(radius, 0.5)
        columns += [mean(level), rms(level), mean(along), rms(along), rms(across)]
        power = (a**2 + b**2).reshape(n, size * size)
        total = power.sum(1) + 1e-9
        centre = np.hypot(power @ x.ravel() / total, power @ y.ravel() / total) / size
        columns += [centre[:, None], np.sqrt((c**2 + d**2).mean((1, 2)))[:, None]]
    # Along all four edges, the way each runs.
    edge = [0, 1, 2, -3, -2, -1]
    along_x = np.diff(pixels[:, :, edge], axis=3) ** 2
    along_y = np.diff(pixels[:, :, :, edge], axis=2) ** 2
    columns.append(np.sqrt((along_x.mean((1, 2, 3)) + along_y.mean((1, 2, 3))) / 2)[:, None])
    return np.concatenate(columns, axis=1).astype(np.float64)
