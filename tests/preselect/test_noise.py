import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from etchscope.imaging import Recipe, fit_normalisation
from etchscope.imaging.harmonics import divergence
from etchscope.preselect import FindSettings, Lighting, calibrate_detector, find_pits
from etchscope.preselect.noise import Ground, find_ground, grey_step, response_noise, rounding_noise
from etchscope.preselect.responses import Radii, cascade, laplacian
from etchscope.simulation import Population, SimulatedScan

RADII = Radii(3.0, 12.0)
SHAPE = (400, 500)
ALL = np.ones(SHAPE, bool)


def _textured(rng, length, shape=SHAPE):
    picture = gaussian_filter(rng.normal(size=shape), length) if length else rng.normal(size=shape)
    return (picture / picture.std()).astype(np.float32)


@pytest.mark.parametrize("length", [0, 1.5, 4.0])
def test_noise_of_a_response_follows_from_that_of_the_pictures(length):
    """White or correlated over pit scales: what the response's own spread is, without asking it."""
    a, b, sign = (_textured(np.random.default_rng(k), length) for k in range(3))
    ground = Ground((ALL,), (ALL,), 1.0)
    inner = (slice(None), slice(30, -30), slice(30, -30))
    for signed, pictures, source in (
        (True, (a, b), -divergence(a, b)),
        (False, (sign,), laplacian(sign)),
    ):
        got = response_noise([pictures], ground, RADII, signed=signed)
        seen = cascade(source, RADII)[inner].std(axis=(1, 2))
        np.testing.assert_allclose(got, seen, rtol=0.1)


def test_noise_is_known_from_the_ground_between_the_pits():
    """Where nine tenths are no ground and no clear place is as wide as a response."""
    rng = np.random.default_rng(1)
    a, b = _textured(rng, 2.0), _textured(rng, 2.0)
    got = response_noise([(a, b)], Ground((ALL,), (ALL,), 1.0), RADII, signed=True)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    holes = rng.uniform([0, 0], SHAPE, (900, 2))
    free = np.ones(SHAPE, bool)
    for v, u in holes:
        free &= np.hypot(y - v, x - u) > 9
    assert 0.2 < free.mean() < 0.4
    spoilt = np.where(free, a, 50.0).astype(np.float32)
    there = response_noise([(spoilt, b)], Ground((free,), (free,), 1.0), RADII, signed=True)
    np.testing.assert_allclose(there, got, rtol=0.1)


def test_no_ground_no_noise():
    picture, none = np.ones((60, 60), np.float32), np.zeros((60, 60), bool)
    got = response_noise([(picture,)], Ground((none,), (none,), 1.0), RADII, signed=False)
    assert np.isnan(got).all()


def test_ground_leaves_out_steep_and_shaded_places():
    rng = np.random.default_rng(2)
    a, b, sign = 0.03 * _textured(rng, 2), 0.03 * _textured(rng, 2), 0.02 * _textured(rng, 2)
    a[100:120, 100:120], sign[200:220, 200:220] = 0.4, 0.5
    ground = find_ground([(a, b)], [sign[None]], [ALL])
    assert ground.slope == pytest.approx(0.03, rel=0.05)
    assert not ground.level[0][99:121, 99:121].any()
    assert ground.level[0][200:220, 200:220].mean() > 0.8
    assert not ground.bare[0][199:221, 199:221].any()
    assert ground.bare[0].mean() > 0.85


def _constants(pits, tiles=8):
    """Field noise of the reference optics, and a grey level of the bulk."""
    foil = SimulatedScan(
        seed=20 + pits, columns=tiles, rows=1, population=Population.of(pits, 5 if pits else 0)
    )
    stacks = [foil.read_tile(t.number) for t in foil.scan.tiles]
    normalisation = fit_normalisation(stacks, Recipe())
    found = calibrate_detector(stacks, normalisation, Lighting.of_scan(foil.scan), FindSettings())
    return found.field_noise * normalisation.gain[0]


@pytest.fixture(scope="module")
def empty_noise():
    return _constants(0)


@pytest.mark.slow
@pytest.mark.parametrize("pits", [100, 1000, 3000])
def test_pits_do_not_enter_the_noise(empty_noise, pits):
    np.testing.assert_allclose(_constants(pits), empty_noise, rtol=0.1)


def _quantised(picture, step):
    return np.clip(np.round(picture / step) * step, 0, 255).astype(np.uint8)


def _ground_picture(seed):
    rng = np.random.default_rng(seed)
    shape = (397, 512)
    return (
        146
        + 0.25 * rng.normal(size=shape)
        + 0.25 * _textured(rng, 4, shape)
        + 0.125 * _textured(rng, 40, shape)
    )


@pytest.mark.parametrize("step", [1, 2, 4, 8])
def test_an_empty_rounded_picture_has_no_pits(step):
    assert len(find_pits(_quantised(_ground_picture(5), step))) <= 2


@pytest.mark.parametrize("step", [1, 4])
def test_discs_on_rounded_ground_are_found_alone(step):
    picture, places = _ground_picture(5), np.mgrid[60:460:80, 60:360:80].reshape(2, -1).T
    y, x = np.mgrid[:397, :512]
    for u, v in places:
        picture -= 65 / (1 + np.exp(np.clip((np.hypot(x - u, y - v) - 10) / 1.6, -50, 50)))
    found = find_pits(_quantised(picture, step))
    assert len(found) == len(places) == 20
    apart = np.hypot(*(found[["x_px", "y_px"]].to_numpy()[:, None] - places[None]).T)
    assert apart.min(axis=1).max() < 1


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("sigma", [0.1, 0.25, 0.5])
def test_a_low_noise_picture_of_eight_bits_has_its_discs_and_nothing_else(sigma, step):
    rng, (y, x) = np.random.default_rng(8), np.mgrid[:300, :400]
    ground = 146 + sigma * rng.normal(size=x.shape) + 0.25 * _textured(rng, 4, x.shape)
    assert len(find_pits(_quantised(ground, step))) == 0
    places = np.stack(np.meshgrid(range(40, 400, 64), range(40, 300, 64)), axis=-1).reshape(-1, 2)
    for u, v in places[:22]:
        ground -= 65 / (1 + np.exp(np.clip((np.hypot(x - u, y - v) - 10) / 1.6, -50, 50)))
    assert len(find_pits(_quantised(ground, step))) == 22


@pytest.mark.parametrize("step", [1, 2, 4, 8])
def test_an_empty_foil_under_lamps_has_no_pits_at_any_grey_step(step):
    foil = SimulatedScan(seed=9, columns=1, rows=1, population=Population.of(0, 0))
    raw = _quantised(foil.read_tile(1), step)
    assert len(find_pits(raw, azimuths_deg=foil.scan.azimuths_deg)) <= 2


@pytest.mark.parametrize(
    ("values", "step"), [([7, 7], 0), ([3, 4, 9], 1), ([0, 8, 24], 8), ([0.5, 1.25], 0.75)]
)
def test_grey_step(values, step):
    assert grey_step(np.array(values)) == step


def test_rounding_is_not_white():
    """A ramp's rounding error is a saw-tooth: no response to it exceeds three times the floor."""
    x = np.arange(500, dtype=np.float32)
    for slope in (0.02, 0.05, 0.1, 0.2):
        error = np.round(slope * x) - slope * x
        picture = np.broadcast_to(error, (100, 500)).astype(np.float32)
        seen = np.abs(cascade(laplacian(picture), RADII)[:, 40:60, 30:-30]).max(axis=(1, 2))
        assert (seen < 3 * rounding_noise(RADII, signed=False)).all()
