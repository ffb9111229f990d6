"""Patches of planes as fewer lights would have given them, for training and for limits."""

import numpy as np
from numpy.typing import NDArray

from etchscope.imaging.planes import PLANES
from etchscope.learn.patches import Patches

__all__ = ["draw_given", "list_patterns", "mask_planes", "read_given", "vary_planes"]

_LIGHT_OF = np.array([0, 0, 0, 1, 1, 2, 3, 4])
"""Place in ``GIVEN`` of the light that each of ``PLANES`` needs."""
_LAMPS = ((0, 0, 0), (1, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0))
"""What is left of the first three of ``GIVEN``: nothing; all, as of six lamps or more; and what
three, four and five lamps give."""
_SHARES = (0.25, 0.5, 0.1, 0.1, 0.05)
_KEPT = (0.7, 0.5)
"""Probabilities that backlit and halo stay."""
_NOISE = 0.15
"""Mean spread of the noise that fewer lamps add to the first harmonic, as compressed."""

Given = NDArray[np.float32]
"""(n, 5) float32 of 0 and 1, as in ``GIVEN``."""


def read_given(patches: Patches) -> Given:
    """Return which lights each patch of planes was made from, (n, 5) float32 of 0 and 1.

    Parameters
    ----------
    patches : n patches of planes.
    """
    given: Given = patches.pixels[:, len(PLANES) :, 0, 0]
    return given


def draw_given(rng: np.random.Generator, given: Given) -> Given:
    """Return (n, 5) float32 in which lights are left out at random, but never all of a patch.

    Parameters
    ----------
    rng : source of the random numbers.
    given : (n, 5) the lights of each patch, see ``read_given``.
    """
    n = len(given)
    lamps = np.array(_LAMPS)[rng.choice(len(_LAMPS), n, p=_SHARES)]
    others = rng.random((n, len(_KEPT))) < np.array(_KEPT)
    left = given * np.concatenate([lamps, others], 1).astype(np.float32)
    out: Given = np.where(left.any(1, keepdims=True), left, given)
    return np.asarray(out, np.float32)


def mask_planes(pixels: NDArray[np.float32], given: Given) -> NDArray[np.float32]:
    """Return (n, 13, y, x) float32 planes in which lights that are not given are 0.

    Parameters
    ----------
    pixels : (n, 13, y, x) float32, ``Planes.stacked`` of each patch.
    given : (n, 5) the lights that stay.
    """
    factor = np.concatenate([given[:, _LIGHT_OF], np.ones_like(given)], 1)
    out = pixels * factor[:, :, None, None]
    out[:, len(PLANES) :] = given[:, :, None, None]
    return np.asarray(out, np.float32)


def vary_planes(
    rng: np.random.Generator, pixels: NDArray[np.float32], share: float
) -> NDArray[np.float32]:
    """Return patches of planes as other lights and another contrast would have given them.

    All of them are also moved by up to a pixel, because finds miss the middle of their pit by that
    much.

    Parameters
    ----------
    rng : source of the random numbers.
    pixels : (n, 13, y, x) float32.
    share : of the patches from which lights are left out.
    """
    given = pixels[:, len(PLANES) :, 0, 0]
    less = np.where(rng.random((len(pixels), 1)) < share, draw_given(rng, given), given)
    out = mask_planes(pixels, less)
    out[:, : len(PLANES)] *= np.exp(rng.normal(0, 0.2, (len(out), 1, 1, 1))).astype(np.float32)
    # Without a second harmonic that there was, the lamps are fewer and their mean is noisier.
    fewer = np.flatnonzero((less[:, 0] > 0) & (less[:, 1] < given[:, 1]))
    spread = rng.exponential(_NOISE, (len(fewer), 1, 1, 1)).astype(np.float32)
    shape = (len(fewer), 3, *out.shape[2:])
    out[fewer, :3] += spread * rng.standard_normal(shape, np.float32)
    y, x = rng.integers(0, 3, 2)
    more = ((0, 0), (0, 0), (1, 1), (1, 1))
    height, width = out.shape[2:]
    return np.pad(out, more, mode="edge")[:, :, y : y + height, x : x + width]


def list_patterns(given: Given, *, with_less: bool) -> list[str]:
    """Return which sets of lights there are, as words of 0 and 1 in the order of ``GIVEN``.

    Parameters
    ----------
    given : (n, 5).
    with_less : whether also the sets that ``draw_given`` makes of them.

    Examples
    --------
    >>> list_patterns(np.array([[0, 0, 0, 1, 1]], np.float32), with_less=True)
    ['00001', '00010', '00011']
    """
    found = {tuple(int(v) for v in row) for row in np.unique(given, axis=0).tolist()}
    if with_less:
        masks = [(*lamps, b, h) for lamps in _LAMPS for b in (0, 1) for h in (0, 1)]
        found |= {tuple(a * b for a, b in zip(one, m, strict=True)) for one in found for m in masks}
    return sorted("".join(map(str, one)) for one in found if any(one))
