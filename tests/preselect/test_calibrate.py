import numpy as np
import pytest

from etchscope.imaging.ground import find_foil_ground
from etchscope.imaging.normalise import Recipe, fit_normalisation
from etchscope.preselect.calibrate import calibrate_detector
from etchscope.preselect.detector import ClassicalDetector, detect_tiles
from etchscope.preselect.lighting import Lighting
from etchscope.preselect.settings import FindSettings
from etchscope.simulation import Optics, Population, SimulatedScan

HEIGHT, WIDTH = 240, 320
SIZES = {"x_px": WIDTH, "y_px": HEIGHT}
SETTINGS = FindSettings(finder="classical")
Y, X = np.mgrid[:HEIGHT, :WIDTH]
BESIDE = {"rim": X < 130, "field stop": np.hypot(X - 160, Y - 120) > 110}


@pytest.fixture(scope="module")
def foil():
    return SimulatedScan(
        seed=4,
        columns=3,
        rows=1,
        population=Population.of(220, 32),
        optics=Optics(image_size=(HEIGHT, WIDTH)),
    )


def searched(foil, stacks):
    """Return x and y of the finds on each tile in whole pixels, and where it is searched."""
    lighting = Lighting.of_scan(foil.scan)
    normalisation = fit_normalisation(stacks, Recipe())
    calibration = calibrate_detector(stacks, normalisation, lighting, SETTINGS)
    detector = ClassicalDetector(normalisation, calibration, lighting, SETTINGS)
    roles = [c.role for c in foil.scan.channels]
    out = []
    for number, raw in enumerate(stacks, 1):
        ground = find_foil_ground(raw, roles, levels=normalisation.gain)
        table = detect_tiles([(number, raw)], detector, lambda *_, g=ground: g).table
        x, y = (np.clip(table[c].round().astype(int), 0, n - 1) for c, n in SIZES.items())
        out.append((x.to_numpy(), y.to_numpy(), ground))
    return out


@pytest.mark.parametrize("place", BESIDE)
@pytest.mark.parametrize("tiles", [(0,), (0, 1, 2)])
def test_ground_without_light_causes_no_finds_and_does_not_count_as_seen(foil, place, tiles):
    stacks = [foil.read_tile(n) for n in (1, 2, 3)]
    whole = searched(foil, stacks)
    rng = np.random.default_rng(0)
    for k in tiles:
        noise = np.clip(rng.normal(2, 1, stacks[k].shape).round(), 0, 255).astype(np.uint8)
        stacks[k] = np.where(BESIDE[place], noise, stacks[k])
    for k, (x, y, ground) in enumerate(searched(foil, stacks)):
        usual = np.ones(len(whole[k][0]), bool)
        if k in tiles:
            assert not ground[BESIDE[place]].any()
            assert not BESIDE[place][y, x].any()
            usual = ground[whole[k][1], whole[k][0]]
        assert 0.6 * usual.sum() - 3 <= len(x) <= 1.3 * usual.sum() + 3
