"""Measured features of patches, such as a person would read off a pit.

They show which pits are unlike those of the training, and signal as an anomaly.
"""

import numpy as np
from numpy.typing import NDArray

from etchscope.foil.types import Floats
from etchscope.imaging.planes import GIVEN, PLANES
from etchscope.learn.given import read_given
from etchscope.learn.patches import Lights, Patches

__all__ = ["feature_names", "measure_features"]

_RINGS = 4
"""Rings around the patch's middle, of equal width out to its edge."""


_WITHOUT_LAMPS = ("residual", "backlit", "halo")
"""The planes of which the means over rings are features as they are."""


def _plane_names() -> list[str]:
    """Return the names of the features of planes."""
    rings, kinds = range(_RINGS), ("mean", "rms")
    names = [f"{name} {what} {r}" for name in _WITHOUT_LAMPS for what in kinds for r in rings]
    names += [f"lamps {what} {r}" for what in kinds for r in rings]
    names += [f"{what} {r}" for what in ("slope in", "slope rms", "turn rms") for r in rings]
    return [*names, "offset", "harmonic 2", "grain lamps", "grain backlit", "grain halo"]


def feature_names(lights: Lights) -> list[str]:
    """Return what the columns of ``measure_features`` are.

    Parameters
    ----------
    lights : the channels of the patches.

    Examples
    --------
    >>> feature_names(Lights((), ("backlit",)))[:3]
    ['backlit mean 0', 'backlit mean 1', 'backlit mean 2']
    """
    rings, kinds = range(_RINGS), ("mean", "rms")
    names = [f"{role} {what} {r}" for role in lights.others for what in kinds for r in rings]
    if lights.are_planes:
        return _plane_names()
    if lights.azimuths_deg:
        names += [f"lamps {what} {r}" for what in kinds for r in rings]
        names += [f"{what} {r}" for what in ("slope in", "slope rms", "turn rms") for r in rings]
        names += ["offset", "harmonic 2"]
    return [*names, "grain"]


def measure_features(patches: Patches) -> Floats:
    """Return (n, features) figures that no symmetry of the optics changes, see ``feature_names``.

    Ring by ring: mean and rms of each light that is no lamp, and of the lamps' mean; of the first
    harmonic over azimuth the part along the radius (its mean, signed: the one sign is a top pit,
    the other a bottom pit, both together a pair), its rms and that of the part across. ``offset``:
    how far from the middle the harmonic's centre of gravity lies, in patch sizes; ``harmonic 2``:
    rms of the second harmonic; ``grain``: rms of the difference of neighbouring pixels at the edge,
    so the noise. Harmonics are fitted by least squares, a cos φ + b sin φ for the first one, with
    the azimuth φ counter-clockwise from +x.

    Planes have the same features, and the grain of each light by itself; a feature is nan where its
    light is not there.

    Parameters
    ----------
    patches : n patches of any lights.
    """
    pixels, lights = patches.pixels, patches.lights
    if lights.are_planes:
        return _of_planes(patches)
    rings = _Rings(pixels.shape[2])
    lamps = len(lights.azimuths_deg)
    columns: list[Floats] = []
    for place in range(lamps, lights.count):
        columns += [rings.mean(pixels[:, place]), rings.rms(pixels[:, place])]
    if lamps:
        angle = np.deg2rad(lights.azimuths_deg)
        terms = [np.ones(lamps)]
        if lamps >= 3:
            terms += [np.cos(angle), np.sin(angle)]
        if lamps >= 5:
            terms += [np.cos(2 * angle), np.sin(2 * angle)]
        fit = np.zeros((5, lamps), np.float32)
        fit[: len(terms)] = np.linalg.pinv(np.stack(terms, 1))
        columns += rings.of_lamps(np.einsum("kl,nlyx->knyx", fit, pixels[:, :lamps], optimize=True))
    columns.append(_grain(pixels))
    return np.concatenate(columns, axis=1).astype(np.float64)


class _Rings:
    """The rings of patches of one size, and what is read off them."""

    def __init__(self, size: int) -> None:
        axis = np.arange(size) - (size - 1) / 2
        self.size = size
        self.x, self.y = np.meshgrid(axis, -axis)  # y up
        self.radius = np.hypot(self.x, self.y)
        ring = np.minimum((self.radius / (size / 2) * _RINGS).astype(int), _RINGS)
        masks = np.stack([ring == r for r in range(_RINGS)]).reshape(_RINGS, -1)
        self.masks = masks.astype(np.float32)
        self.masks /= self.masks.sum(1, keepdims=True)

    def mean(self, picture: NDArray[np.float32]) -> Floats:
        """Return (n, ring) means of (n, y, x) pictures."""
        flat = picture.reshape(len(picture), self.size**2)
        return np.asarray(flat @ self.masks.T, np.float64)

    def rms(self, picture: NDArray[np.float32]) -> Floats:
        """Return (n, ring) root mean squares of (n, y, x) pictures."""
        return np.sqrt(self.mean(picture**2))

    def of_lamps(self, harmonics: NDArray[np.float32]) -> list[Floats]:
        """Return the features of (5, n, y, x) mean, a, b, a2, b2."""
        level, a, b, c, d = harmonics
        x, y, size = self.x, self.y, self.size
        along = (a * x + b * y) / np.maximum(self.radius, 0.5)
        across = (b * x - a * y) / np.maximum(self.radius, 0.5)
        columns = [self.mean(level), self.rms(level)]
        columns += [self.mean(along), self.rms(along), self.rms(across)]
        power = (a**2 + b**2).reshape(len(a), size * size)
        total = power.sum(1) + 1e-9
        centre = np.hypot(power @ x.ravel() / total, power @ y.ravel() / total) / size
        return [*columns, centre[:, None], np.sqrt((c**2 + d**2).mean((1, 2)))[:, None]]


def _grain(pixels: NDArray[np.float32]) -> Floats:
    """Return (n, 1) rms differences of neighbouring pixels along all four edges."""
    edge = [0, 1, 2, -3, -2, -1]
    along_x = np.diff(pixels[:, :, edge], axis=3) ** 2
    along_y = np.diff(pixels[:, :, :, edge], axis=2) ** 2
    out: Floats = np.sqrt((along_x.mean((1, 2, 3)) + along_y.mean((1, 2, 3))) / 2)[:, None]
    return out


def _of_planes(patches: Patches) -> Floats:
    """Return the features of patches of planes, in the order of ``_plane_names``."""
    pixels, given, place = patches.pixels, read_given(patches) > 0, PLANES.index
    rings, nan = _Rings(pixels.shape[2]), np.nan
    there = dict(zip(GIVEN, given.T[:, :, None], strict=True))
    columns: list[Floats] = []
    for name in _WITHOUT_LAMPS:
        picture = pixels[:, place(name)]
        columns += [
            np.where(there[name], values, nan)
            for values in (rings.mean(picture), rings.rms(picture))
        ]
    *lamps, second = rings.of_lamps(pixels[:, :5].transpose(1, 0, 2, 3))
    columns += [np.where(there["lamps"], values, nan) for values in lamps]
    columns.append(np.where(there["second"], second, nan))
    for light, name in (("lamps", "mean"), ("backlit", "backlit"), ("halo", "halo")):
        grain = _grain(pixels[:, place(name)][:, None])
        columns.append(np.where(there[light], grain, nan))
    return np.concatenate(columns, axis=1).astype(np.float64)
