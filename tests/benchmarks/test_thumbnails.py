from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etchscope.foil import BadInput
from etchscope.simulation import preset
from thumbnails import (
    THUMBNAIL_PX,
    hamming_weights,
    hip_patches,
    thumbnail_statistics,
    thumbnails_of,
)

REAL = Path(__file__).parents[3] / "shared/data/moedal_thumbnails/thumbnails.npy"
WANTED = (1.6, 2.0, 2.5, 3.1, 3.6)


def _drawn(depth, ring, rng):
    n = THUMBNAIL_PX
    y, x = np.mgrid[:n, :n] - n // 2
    r = np.hypot(x, y)
    pit = np.clip(3.4 - r, 0, 1)
    if ring:
        pit = pit * np.clip(r - 0.2, 0, 1)
    picture = 150 - 12 * depth * pit + rng.normal(0, 12, (n, n))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def test_depth_correlation_and_bright_centres_of_drawn_pits():
    rng = np.random.default_rng(1)
    discs = np.stack([_drawn(8, False, rng) for _ in range(60)])
    rings = np.stack([_drawn(8, True, rng) for _ in range(60)])
    found = thumbnail_statistics(discs)
    assert found.depth[2] == pytest.approx(8, rel=0.15)
    assert abs(found.correlation) < 0.1
    assert found.bright_centres < 0.1
    assert thumbnail_statistics(rings).bright_centres > 0.8
    assert np.isnan(thumbnail_statistics(np.zeros((2, 3, 3), np.uint8)).correlation)
    with pytest.raises(BadInput, match="some square pictures"):
        thumbnail_statistics(np.zeros((0, 15, 15), np.uint8))


@pytest.mark.skipif(not REAL.exists(), reason="the shared real data are not here")
def test_the_real_thumbnails_give_the_published_figures():
    found = thumbnail_statistics(np.load(REAL))
    assert found.depth == pytest.approx(WANTED, rel=0.06)
    assert found.correlation == pytest.approx(0.64, abs=0.01)
    assert found.bright_centres == pytest.approx(0.52, abs=0.01)


@pytest.fixture(scope="module")
def patches():
    (scan,) = preset("experiment", seed=2, columns=4, rows=4)
    return hip_patches(scan)


@pytest.mark.parametrize("channels", [list(range(8)), [8], [2]])
def test_the_experiment_s_preset_has_the_real_depth_over_texture(patches, channels):
    thumbnails = thumbnails_of(patches, channels)
    assert len(thumbnails) > 150
    found = thumbnail_statistics(thumbnails)
    assert found.depth == pytest.approx(WANTED, rel=0.1)
    assert found.correlation == pytest.approx(0.64, rel=0.1)
    assert found.bright_centres == pytest.approx(0.5, abs=0.1)


def test_thumbnails_are_made_small_as_pillow_does():
    patch = np.random.default_rng(0).normal(100, 20, (28, 28)).astype(np.float32)
    expected = np.asarray(Image.fromarray(patch).resize((16, 16), Image.Resampling.HAMMING))
    weights = hamming_weights(28, 16)
    assert np.abs(weights @ patch @ weights.T - expected).max() < 1e-3
