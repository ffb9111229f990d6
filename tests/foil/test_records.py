import numpy as np
import pytest
from pydantic import ValidationError

from etchscope.foil import Channel, Foil, Tile


def _lamp(step, azimuth):
    return Channel(step=step, role="directional", azimuth_deg=azimuth)


def test_directional_channel_needs_an_azimuth():
    assert _lamp(1, 67.5).azimuth_deg == 67.5
    assert Channel(step=9, role="backlit").azimuth_deg is None
    with pytest.raises(ValidationError, match="step 1 is directional but has no azimuth_deg"):
        Channel(step=1, role="directional")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("key", ["stage_x_mm", "stage_y_mm"])
def test_position_must_be_a_number(key, value):
    with pytest.raises(ValidationError, match="finite number"):
        Tile(number=1, **{key: value})


def test_tiles_and_steps_are_unique(make_scan):
    twice = (Tile(number=3), Tile(number=5), Tile(number=3))
    with pytest.raises(ValidationError, match="tile number 3 is given twice"):
        make_scan(tiles=twice)
    with pytest.raises(ValidationError, match="channel step 2 is given twice"):
        make_scan(channels=(_lamp(2, 0), _lamp(1, 90), _lamp(2, 180)))


def test_scan_has_tiles_and_channels(make_scan):
    with pytest.raises(ValidationError, match="tiles"):
        make_scan(tiles=())
    with pytest.raises(ValidationError, match="channels"):
        make_scan(channels=())


def test_datum_lies_in_a_known_tile(make_scan):
    assert make_scan(datum=((3, 1.0, 2.0),)).datum == ((3, 1.0, 2.0),)
    with pytest.raises(ValidationError, match="datum hole lies in tile 7"):
        make_scan(datum=((7, 1.0, 2.0),))


@pytest.mark.parametrize(
    "change",
    [
        {"pixel_size_um": 0},
        {"pixel_size_um": np.nan},
        {"image_size": (0, 640)},
        {"side": "left"},
        {"layout": "../spiral"},
        {"gradient_sign": 0},
        {"azimuth_sense": "up"},
        {"name": "../escape"},
        {"colour": "blue"},
    ],
)
def test_wrong_values_and_keys_are_named(make_scan, change):
    with pytest.raises(ValidationError, match=next(iter(change))):
        make_scan(**change)


def test_azimuths_in_channel_order_and_sense(make_scan):
    channels = (_lamp(3, 120), Channel(step=9, role="backlit"), _lamp(1, 0), _lamp(2, 240))
    scan = make_scan(channels=channels)
    assert scan.azimuths_deg.tolist() == [120, 0, 240]
    assert scan.indices("directional").tolist() == [0, 2, 3]
    assert scan.indices("backlit").tolist() == [1]
    assert scan.indices("halo").tolist() == []
    clockwise = make_scan(channels=channels, azimuth_sense="cw")
    assert clockwise.azimuths_deg.tolist() == [-120, 0, -240]


def test_included_tiles_come_in_number_order(make_scan):
    tiles = (Tile(number=9), Tile(number=4, excluded=True), Tile(number=2))
    assert [t.number for t in make_scan(tiles=tiles).included] == [2, 9]


def test_records_are_frozen():
    foil = Foil(name="F1", thickness_um=500)
    with pytest.raises(ValidationError, match="frozen"):
        foil.name = "F2"
