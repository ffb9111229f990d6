import numpy as np
import pytest

from etchscope.foil import (
    BadInput,
    Channel,
    Scan,
    Tile,
)
from etchscope.imaging import Planes
from etchscope.learn import Lights, Patches, cut_patches, cut_planes, plane_scale

EIGHT = Lights(tuple(22.5 + 45 * k for k in range(8)), ("backlit", "halo"))


def test_a_patch_has_its_pit_in_the_middle():
    stack = np.zeros((2, 60, 80), np.float32)
    stack[:, 30, 41] = [1, 2]
    (even,) = cut_patches(stack, [40.6], [30.4], 10)
    (odd,) = cut_patches(stack, [41.2], [29.9], 11)
    assert np.argwhere(odd[0] == 1).tolist() == [[5, 5]]
    # Of an even patch the middle is between pixels 4 and 5.
    assert np.argwhere(even[1] == 2).tolist() in ([[4, 4]], [[4, 5]], [[5, 4]], [[5, 5]])
    assert even.dtype == np.float32


def test_many_are_cut_as_one_by_one_and_edges_are_mirrored():
    rng = np.random.default_rng(1)
    stack = rng.normal(0, 1, (3, 50, 60)).astype(np.float32)
    x, y = rng.uniform(-0.5, 59.4, 40), rng.uniform(-0.5, 49.4, 40)
    together = cut_patches(stack, x, y, 28)
    assert together.shape == (40, 3, 28, 28)
    for k in range(40):
        np.testing.assert_array_equal(
            together[k], cut_patches(stack, x[k : k + 1], y[k : k + 1])[0]
        )
    (corner,) = cut_patches(stack, [0.0], [0.0], 5)
    np.testing.assert_array_equal(corner[:, 2:, 2:], stack[:, :3, :3])
    np.testing.assert_array_equal(corner[:, 1, 2:], stack[:, 0, :3])
    assert len(cut_patches(stack, [], [])) == 0


def test_an_opening_whose_centre_lies_beyond_the_edge_has_its_patch():
    stack = np.arange(60 * 50, dtype=np.float32).reshape(1, 50, 60)
    (patch,) = cut_patches(stack, [-1.43], [30.0], 28)
    np.testing.assert_array_equal(patch[0, :, 15:], stack[0, 16:44, :13])
    np.testing.assert_array_equal(patch[0, :, 14::-1], stack[0, 16:44, :15])


@pytest.mark.parametrize(
    ("x", "y", "size", "told"),
    [
        ([5], [5], 61, "patch size: expected 4 to 50 pixels, found 61"),
        ([5], [5], 3, "patch size: expected 4 to 50 pixels, found 3"),
        ([5, 73.5], [5, 5], 28, r"in or near the tile of 60 × 50 px, found \(73\.5, 5\)"),
        ([float("nan")], [5], 28, r"found \(nan, 5\)"),
    ],
)
def test_what_cannot_be_cut_is_refused(x, y, size, told):
    with pytest.raises(BadInput, match=told):
        cut_patches(np.zeros((1, 50, 60), np.float32), x, y, size)


def test_lights_are_sorted_by_azimuth_whatever_the_order_of_the_steps():
    channels = (
        Channel(step=1, role="halo"),
        Channel(step=2, role="directional", azimuth_deg=382.5),
        Channel(step=3, role="directional", azimuth_deg=292.5),
        Channel(step=4, role="directional", azimuth_deg=112.5),
        Channel(step=5, role="directional", azimuth_deg=202.5),
        Channel(step=6, role="backlit"),
    )
    given = {"name": "a", "foil": "a", "layout": "smartscope", "image_size": (8, 8)}
    scan = Scan(**given, channels=channels, tiles=(Tile(number=1),))
    lights, order = Lights.of_scan(scan)
    assert lights == Lights((22.5, 112.5, 202.5, 292.5), ("halo", "backlit"))
    assert order.tolist() == [1, 3, 4, 2, 0, 5]
    turned = Scan(**given, channels=channels, tiles=(Tile(number=1),), azimuth_sense="cw")
    assert Lights.of_scan(turned)[0].azimuths_deg == (67.5, 157.5, 247.5, 337.5)


def test_patches_know_where_they_come_from():
    pixels = np.zeros((4, 10, 6, 6), np.float32)
    patches = Patches(pixels, EIGHT, np.array([1, 1, 2, 3]), np.arange(4))
    some = patches.take(np.array([3, 1]))
    assert (some.row.tolist(), some.region.tolist(), len(some)) == ([3, 1], [3, 1], 2)
    one = patches.of_channels(np.array([8]), Lights((), ("backlit",)))
    assert one.pixels.shape == (4, 1, 6, 6)
    with pytest.raises(BadInput, match=r"patches: expected \(n, 10, size, size\)"):
        Patches(pixels[:, :9], EIGHT, patches.region, patches.row)
    with pytest.raises(BadInput, match="patches: region: expected 4 values"):
        Patches(pixels, EIGHT, np.array([1]), patches.row)
    with pytest.raises(BadInput, match="as high as wide"):
        Patches(pixels[:, :, :4], EIGHT, patches.region, patches.row)


def _planes(rows, columns):
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    pictures = np.stack([x, y, *[np.zeros_like(x)] * 6])
    return Planes(pictures, np.float32([1, 1, 0, 1, 0]))


def test_planes_are_cut_at_the_same_place_whatever_their_scale():
    """The planes hold their own coordinates, so a patch's middle says where it was cut."""
    for rows, columns in ((60, 80), (30, 40), (120, 160)):
        (patch,) = cut_planes(_planes(rows, columns), (60, 80), [40.5], [20.5], 10)
        middle = patch[:2, 4:6, 4:6].mean((1, 2))
        wanted = (np.array([41.0, 21.0]) * columns / 80) - 0.5
        np.testing.assert_allclose(middle, wanted, atol=0.51)
        assert patch[8:, 0, 0].tolist() == [1, 1, 0, 1, 0]


def test_planes_smaller_than_a_patch_are_mirrored():
    (patch,) = cut_planes(_planes(12, 14), (120, 140), [70.0], [60.0], 28)
    assert patch.shape == (13, 28, 28)
    assert set(np.unique(patch[0])) == set(range(14))


@pytest.mark.parametrize(
    ("radius", "scale"),
    [
        ([], 1.0),
        ([1.0, 2.0], 1.0),
        ([1.0, 1.0, 1.0, 6.0], 1.0),
        ([7.0, 8.0, 9.1], 1.33),
        ([2.6], 0.5),
        ([50.0], 5.0),
    ],
)
def test_a_scan_s_usual_pit_gives_its_scale(radius, scale):
    assert plane_scale(np.array(radius)) == scale
