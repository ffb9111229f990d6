"""Scale bars with text and strips of text are found, and nothing that is no drawing."""

import cv2
import numpy as np
import pytest

from etchscope.imaging import find_foil_ground
from etchscope.imaging.graphics import find_graphics
from etchscope.simulation import Optics, Population, SimulatedScan, preset

ROLES = ["directional"] * 8 + ["backlit", "halo"]


@pytest.fixture(scope="module", params=[(0, 8), (1000, 8), (3000, 8), (1000, 12), (300, 16)])
def tile(request):
    pits, bits = request.param
    population, optics = Population.of(pits, 5), Optics(bit_depth=bits)
    foil = SimulatedScan(seed=7, columns=1, rows=1, population=population, optics=optics)
    return foil.read_tile(1), 2**bits - 1


def _drawing(turned=False):
    """A bar with its text, and the box around it."""
    drawn = np.zeros((480, 640), np.uint8)
    cv2.rectangle(drawn, (480, 430), (580, 437), 1, -1)
    cv2.putText(drawn, "100 um", (480, 420), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 1, 2)
    if turned:
        drawn = np.ascontiguousarray(np.rot90(drawn)[-480:].copy())
        drawn = cv2.copyMakeBorder(drawn, 0, 0, 0, 640 - drawn.shape[1], cv2.BORDER_CONSTANT)
    return drawn > 0


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("share", [0, 1])
def test_a_scale_bar_and_its_text_are_found(tile, share, turned):
    pictures, limit = tile
    drawn = _drawing(turned)
    pictures = pictures.copy()
    pictures[:, drawn] = share * limit
    for chosen in (range(10), [8], [0]):
        some = list(chosen)
        ground = find_foil_ground(pictures[some], [ROLES[k] for k in some])
        assert not ground[drawn].any()
        assert (~ground).mean() < 0.06


def test_a_grey_bar_is_found_where_it_is_wide(tile):
    pictures, limit = tile
    drawn = np.zeros((480, 640), bool)
    drawn[440:450, 30:130] = True
    pictures = pictures.copy()
    pictures[:, drawn] = round(0.27 * limit)
    ground = find_foil_ground(pictures, ROLES)
    assert not ground[drawn].any()
    assert (~ground).mean() < 0.04


@pytest.mark.parametrize("quality", [60, 90])
@pytest.mark.parametrize("grey", [0, 255])
def test_a_bar_in_a_jpeg_is_found(grey, quality):
    foil = SimulatedScan(seed=7, columns=1, rows=1, population=Population.of(300, 5))
    picture, drawn = foil.read_tile(1)[8].copy(), _drawing()
    picture[drawn] = grey
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    ground = find_foil_ground(cv2.imdecode(coded, 0)[None], ["backlit"])
    assert not ground[drawn].any()
    assert (~ground).mean() < 0.04


@pytest.mark.parametrize("is_top", [False, True])
@pytest.mark.parametrize("grey", [0, 255])
def test_a_strip_of_text_is_found(tile, grey, is_top):
    pictures, limit = tile
    strip = np.full((50, 640), grey, np.uint8)
    cv2.putText(
        strip, "15 kV x1000 100 um SEM", (10, 35), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255 - grey, 2
    )
    rows = slice(0, 50) if is_top else slice(430, 480)
    pictures = pictures.copy()
    pictures[:, rows] = np.where(strip > 0, limit, 0)
    ground = find_foil_ground(pictures, ROLES)
    assert not ground[rows].any()
    # A crowd beside a black strip is joined to it here and there.
    assert (~ground).mean() < 75 / 480


def test_what_is_no_drawing_is_left(tile):
    pictures, limit = tile
    assert find_graphics(pictures, limit) == []
    for k in (0, 8, 9):
        assert find_graphics(pictures[k : k + 1], limit) == []


def test_noise_free_ground_in_coarse_steps_is_no_drawing():
    rng = np.random.default_rng(1)
    slow = cv2.GaussianBlur(rng.normal(size=(480, 640)), (0, 0), 20)
    ground = 146 + 10 * slow / slow.std()
    for step in (1, 4, 16):
        picture = (ground / step).round() * step
        assert find_graphics(picture.astype(np.uint8)[None], 255) == []


def test_clipped_ground_is_no_drawing():
    (foil,) = preset("tasl", columns=1, rows=1)
    picture = foil.read_tile(1)
    assert (picture == 255).mean() > 0.1
    assert find_graphics(picture, 255) == []
    assert find_foil_ground(picture, ["backlit"]).all()


def test_lines_between_cells_are_no_scale_bars():
    picture = np.random.default_rng(1).normal(150, 3, (480, 640)).round().astype(np.uint8)
    picture[::60] = picture[1::60] = 0
    assert find_graphics(picture[None], 255) == []
