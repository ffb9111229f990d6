import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etchscope.foil import Scan
from etchscope.geometry import edge_distance_px, foil_to_tile, in_tile, tile_to_foil

SIZE = (10, 20)


def test_a_picture_reaches_half_a_pixel_beyond_its_outer_centres():
    x = np.array([-0.5, -0.51, 19.5, 19.51, 5, 5, np.nan])
    y = np.array([0, 0, 9.5, 9.5, -0.51, 9.51, 3])
    assert in_tile(x, y, SIZE).tolist() == [True, False, True, False, False, False, False]


@given(st.floats(-5, 25), st.floats(-5, 15))
def test_the_distance_is_that_of_the_nearest_edge(x, y):
    edges = [x + 0.5, 19.5 - x, y + 0.5, 9.5 - y]
    assert edge_distance_px(x, y, SIZE) == min(edges)
    assert in_tile(x, y, SIZE) == (min(edges) >= 0)


def test_the_foil_and_the_tile_give_the_same_answer(simulated_foil):
    scan: Scan = simulated_foil(columns=1, rows=1).scan
    height, width = scan.image_size
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-3, width + 2, 4000), rng.uniform(-3, height + 2, 4000)
    place = tile_to_foil(np.full(4000, scan.tiles[0].number), x, y, scan)
    on_foil = foil_to_tile(*place, scan)["tile"].notna().to_numpy()
    np.testing.assert_array_equal(on_foil, in_tile(x, y, scan.image_size))
