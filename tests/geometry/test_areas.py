import numpy as np
import pytest

from etchscope.foil import Channel, Scan, Tile
from etchscope.geometry import area_cm2, part_of_tile


def scan_of(centres, **changes):
    """Tiles of 6.4 mm × 4.8 mm."""
    given = {
        "name": "F1-front",
        "foil": "F1",
        "layout": "pictures",
        "pixel_size_um": 10.0,
        "image_size": (480, 640),
        "channels": (Channel(step=1, role="backlit"),),
        "tiles": tuple(
            Tile(number=n, stage_x_mm=x, stage_y_mm=y) for n, (x, y) in enumerate(centres, 1)
        ),
    }
    return Scan(**(given | changes))


@pytest.mark.parametrize(
    ("centres", "tiles", "expected"),
    [
        ([(0, 0)], [1], 1.0),
        ([(0, 0), (3.2, 0)], [1, 2], 1.5),
        ([(0, 0), (3.2, 0)], [2], 1.0),
        ([(0, 0), (0, 0)], [1, 2], 1.0),
        ([(0, 0), (3.2, 2.4)], [1, 2], 1.75),
        ([(0, 0), (3.2, 0), (0, 2.4), (3.2, 2.4)], [1, 2, 3, 4], 2.25),
        ([(0, 0), (50, -30)], [1, 2], 2.0),
    ],
)
def test_what_tiles_cover_together_counts_once(centres, tiles, expected):
    assert area_cm2(scan_of(centres), tiles) == pytest.approx(expected * 0.64 * 0.48)


def test_the_area_of_a_back_scan_and_of_nothing():
    back = scan_of(((0, 0), (3.2, 0)), side="back")
    assert area_cm2(back, [1, 2]) == pytest.approx(1.5 * 0.64 * 0.48)
    # Foil x is −stage x there: tile 2 reaches to −6.4 mm.
    left = np.array([[-6.4, -9], [-3.2, -9], [-3.2, 9], [-6.4, 9]])
    assert area_cm2(back, [1, 2], left) == pytest.approx(0.5 * 0.64 * 0.48)
    assert area_cm2(back, [1, 2], left + 100) == 0
    assert np.isnan(area_cm2(back, []))
    unscaled = scan_of(((None, None),) * 2, pixel_size_um=None)
    assert np.isnan(area_cm2(unscaled, [1, 2]))


def test_each_place_is_in_its_part_and_those_outside_in_the_nearest():
    x = np.array([0, 9.49, 9.51, 19.5, -3, 30, np.nan])
    y = np.array([0, 4.49, 4.49, 4.51, 9.5, -2, np.nan])
    assert part_of_tile(x, y, (10, 20), 2).tolist() == [0, 0, 1, 3, 2, 1, 0]
    assert part_of_tile([], [], (10, 20), 3).tolist() == []


def test_the_list_of_tiles_is_read_once():
    class Tiles(list):
        reads = 0

        def __iter__(self):
            self.reads += 1
            return super().__iter__()

    tiles = Tiles([1, 2])
    area_cm2(scan_of([(0, 0), (3.2, 0), (9, 9)]), tiles)
    assert tiles.reads == 1
