"""Small pits lit from four sides, in the picture of few pixels."""

from collections.abc import Callable

import numpy as np
import pytest

from etchscope.learn import Lights, Patches

LAMPS = Lights((0.0, 90.0, 180.0, 270.0), ("backlit",))


def planted(n: int = 80, *, seed: int = 0, noise: float = 0.3) -> tuple[Patches, np.ndarray]:
    """Patches of 16 px, bright where the wall faces the lamp, and which are of top pits."""
    rng = np.random.default_rng(seed)
    y, x = 7.5 - np.mgrid[:16, :16][0], np.mgrid[:16, :16][1] - 7.5
    is_top = rng.permutation(n) < n // 2
    pixels = rng.normal(0, noise, (n, LAMPS.count, 16, 16))
    for k in range(n):
        u, v = x - rng.normal(0, 0.5), y - rng.normal(0, 0.5)
        r = np.maximum(np.hypot(u, v), 0.3)
        inside = r < rng.uniform(4, 5)
        for lamp, azimuth in enumerate(np.deg2rad(LAMPS.azimuths_deg)):
            towards = (u * np.cos(azimuth) + v * np.sin(azimuth)) / r
            # The far wall of a top pit faces the lamp.
            pixels[k, lamp] += np.where(inside, -towards if is_top[k] else towards, 0)
        pixels[k, -1] -= inside
    patches = Patches(pixels.astype(np.float32), LAMPS, rng.integers(0, 8, n), np.arange(n))
    return patches, is_top


def planted_planes(n: int = 80, *, seed: int = 0) -> tuple[Patches, np.ndarray]:
    """Planes of the same pits, of every light."""
    lit, is_top = planted(n, seed=seed)
    azimuths = np.deg2rad(LAMPS.azimuths_deg)
    lamps, rng = lit.pixels[:, :4], np.random.default_rng(seed)
    pixels = np.ones((n, 13, 16, 16), np.float32)
    pixels[:, :8] = rng.normal(0, 0.2, (n, 8, 16, 16))
    pixels[:, 1] = np.einsum("l,nlyx->nyx", np.cos(azimuths) / 2, lamps)
    pixels[:, 2] = np.einsum("l,nlyx->nyx", np.sin(azimuths) / 2, lamps)
    pixels[:, 6] = lit.pixels[:, -1]
    return Patches(pixels, Lights.of_planes(), lit.region, lit.row), is_top


@pytest.fixture(scope="session")
def make_planes() -> Callable[..., tuple[Patches, np.ndarray]]:
    return planted_planes


@pytest.fixture(scope="session")
def make_planted() -> Callable[..., tuple[Patches, np.ndarray]]:
    return planted


@pytest.fixture(scope="session")
def pits() -> tuple[Patches, np.ndarray]:
    return planted()
