import re

import numpy as np
import pytest

from etchscope.foil import BadInput, Channel
from etchscope.imaging import explain_unsearchable, find_light_faults, to_native
from etchscope.imaging.lights import clipping_level, full_scale
from etchscope.simulation import Optics, Population, SimulatedScan, reference_channels

CHANNELS = reference_channels()
rng = np.random.default_rng(0)


@pytest.fixture(scope="module")
def tiles():
    foil = SimulatedScan(seed=5, columns=4, rows=2, population=Population.of(200, 5))
    return [foil.read_tile(n) for n in range(1, 9)]


def _with(tiles, channel, make):
    out = [tile.copy() for tile in tiles]
    for tile in out:
        tile[channel] = make(tile)
    return out


def _noise(level):
    return lambda tile: rng.normal(level, 0.8, tile.shape[1:]).round().clip(0, 255)


def test_sound_lights_have_no_fault(tiles):
    assert find_light_faults(tiles, CHANNELS) == []
    assert find_light_faults(tiles[:1], CHANNELS) == []


def test_the_words_name_channel_lamp_level_and_tiles(tiles):
    (fault,) = find_light_faults(_with(tiles, 2, lambda tile: 0), CHANNELS)
    assert (fault.channel, fault.kind, fault.is_left_out) == (2, "constant", True)
    assert fault.words == (
        "channel 3 (lamp at 157.5°) is constant at 0 on all 8 tiles looked at; "
        "it is left out of the search"
    )


@pytest.mark.parametrize(
    ("channel", "make", "kind", "is_left_out"),
    [
        (0, _noise(2), "dead", True),
        (8, _noise(2), "dead", True),
        (9, lambda tile: 7, "constant", True),
        (4, lambda tile: np.where(tile[4] > 40, 255, tile[4]), "saturated", True),
        (5, lambda tile: tile[3], "identical", True),
        (6, lambda tile: tile[6] // 6, "weak", False),
    ],
)
def test_each_fault_is_told(tiles, channel, make, kind, is_left_out):
    (fault,) = find_light_faults(_with(tiles, channel, make), CHANNELS)
    assert (fault.channel, fault.kind, fault.is_left_out) == (channel, kind, is_left_out)
    assert fault.words.startswith(f"channel {CHANNELS[channel].step} (")
    assert ("left out" in fault.words) == is_left_out


def test_the_other_of_two_identical_channels_is_named(tiles):
    (fault,) = find_light_faults(_with(tiles, 5, lambda tile: tile[3]), CHANNELS)
    assert "channel 6 (lamp at 292.5°) has the same pictures as channel 4 (lamp at" in fault.words


def test_a_fault_on_some_tiles_is_none_and_tiles_beside_the_foil_do_not_count(tiles):
    some = [*_with(tiles[:4], 2, lambda tile: 0), *tiles[4:]]
    assert find_light_faults(some, CHANNELS) == []
    black = [np.zeros_like(tiles[0])] * 3
    assert find_light_faults([*tiles, *black], CHANNELS) == []
    (fault,) = find_light_faults([*_with(tiles, 2, lambda tile: 0), *black], CHANNELS)
    assert "on all 8 tiles" in fault.words
    assert {f.kind for f in find_light_faults(black, CHANNELS)} == {"constant"}


def test_what_is_dark_or_bright_by_nature_is_no_fault():
    halo = [Channel(step=1, role="halo")]
    assert find_light_faults([rng.normal(2, 1, (1, 64, 64)).clip(0).astype(np.uint8)], halo) == []
    clipped = Optics(backlit_level=1.5, channels=(Channel(step=1, role="backlit"),))
    foil = SimulatedScan(
        seed=1, columns=1, rows=1, optics=clipped, population=Population.of(100, 5)
    )
    assert find_light_faults([foil.read_tile(1)], foil.scan.channels) == []


def test_no_tile_and_other_channels_are_refused(tiles):
    with pytest.raises(BadInput, match="expected tiles of 10 pictures, found none"):
        find_light_faults([], CHANNELS)
    with pytest.raises(BadInput, match=r"tiles of 10 pictures, found \(3, 480, 640\)"):
        find_light_faults([tiles[0][:3]], CHANNELS)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.zeros((2, 90, 80), np.uint8), "it is black: every pixel has the grey level 0"),
        (
            np.full((1, 90, 80), 65535, np.uint16),
            "it is white: every pixel has the grey level 6553",
        ),
        (np.full((1, 90, 80), 146, np.uint8), "it is of one grey level: every pixel has the grey"),
        (np.full((1, 90, 80), 0.5, np.float32), "it is of one grey level: .* the grey level 0.5"),
        (
            np.stack([np.full((90, 80), v, np.uint8) for v in (3, 7)]),
            "it is of one grey level: the pictures have the grey level 3 and 7",
        ),
        (rng.integers(0, 2, (1, 90, 80)).astype(np.uint8), "it is black: no grey level exceeds 1"),
        (
            np.where(np.arange(90 * 800).reshape(1, 90, 800) < 20, 200, 255).astype(np.uint8),
            "it is saturated: 99.97 % of the pixels are at the limit, 255",
        ),
        (rng.integers(0, 255, (1, 31, 80)).astype(np.uint8), "it is 80 × 31 pixels, and 32 × 32"),
    ],
)
def test_a_picture_that_shows_nothing_says_why(picture, words):
    got = explain_unsearchable(picture)
    assert got is not None
    assert re.match(words, got)


def test_pictures_that_show_something_have_no_reason(tiles):
    for tile in tiles[:2]:
        assert explain_unsearchable(tile) is None
        for k in range(10):
            assert explain_unsearchable(tile[k : k + 1]) is None
    noise = rng.integers(100, 104, (1, 32, 32)).astype(np.uint8)
    assert explain_unsearchable(noise) is None
    one_dead = tiles[0].copy()
    one_dead[3] = 0
    assert explain_unsearchable(one_dead) is None


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<u2", ">f4", ">f8", ">i4", "f2", ">u4", "?"])
def test_any_byte_order_is_taken_right(dtype):
    values = rng.integers(0, 2 if dtype == "?" else 200, (3, 20, 30))
    raw, ground = to_native(values.astype(dtype))
    np.testing.assert_array_equal(raw, values)
    assert raw.dtype.isnative
    assert raw.dtype in (np.uint8, np.uint16, np.float32)
    assert ground.shape == (20, 30)
    assert ground.all()


def test_masked_pixels_become_ground_that_is_none():
    values = rng.integers(90, 110, (2, 20, 30)).astype(">u2")
    hidden = np.zeros((2, 20, 30), bool)
    hidden[0, :5] = hidden[1, :, 25:] = True
    values[hidden] = 9999
    given = np.ma.array(values, mask=hidden)
    raw, ground = to_native(given)
    np.testing.assert_array_equal(ground, ~hidden.any(axis=0))
    np.testing.assert_array_equal(raw[~hidden], values[~hidden])
    assert raw[hidden].max() < 110
    assert given.data.max() == 9999
    raw, ground = to_native(np.ma.masked_all((20, 30), np.uint8))
    assert not ground.any()
    assert not raw.any()
    assert to_native([[1.5, 2], [3, 4]])[0].dtype == np.float32


@pytest.mark.parametrize("bad", [np.array([["a"]]), np.zeros((2, 2), complex), np.arange(5)])
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(BadInput, match="grey levels of at least two axes"):
        to_native(bad)


@pytest.mark.parametrize(("limit", "shown"), [(4095, 4095), (65520, 65520), (65535, 65535)])
def test_a_camera_clips_where_many_pixels_lie_at_a_limit(limit, shown):
    tile = np.full((40, 50), limit // 2, np.uint16)
    tile[:2] = limit
    assert clipping_level([tile // 2, tile]) == shown
    assert full_scale(tile) == shown
    tile[0, 0] += limit < 65535
    assert clipping_level([tile]) == 65535


def test_a_level_that_few_pixels_reach_or_that_is_no_limit_is_none():
    tile = np.full((40, 50), 700, np.uint16)
    tile[0, :9] = 4095
    assert clipping_level([tile]) == 65535
    tile[:9] = 4000
    assert clipping_level([np.minimum(tile, 4000)]) == 65535
    assert clipping_level([tile.astype(np.float32)]) == 0
    assert clipping_level([np.full((4, 4), 7, np.uint8)]) == 255
