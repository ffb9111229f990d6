import dask.array
import numpy as np
import zarr
from ome_zarr_models.common.omero import Omero
from ome_zarr_models.v05 import Image

from etchscope.store.ome import display_windows


def test_a_scan_is_an_ome_zarr_image_in_micrometres(store, made):
    group = zarr.open_group(store.path / "images/F1-front.zarr", mode="r", zarr_format=3)
    image = Image.from_zarr(group)
    (multiscale,) = image.ome_attributes.multiscales
    axes = [(a.name, a.type, a.unit) for a in multiscale.axes]
    assert axes == [
        ("tile", "tile", None),
        ("channel", "channel", None),
        ("y", "space", "micrometer"),
        ("x", "space", "micrometer"),
    ]
    (dataset,) = multiscale.datasets
    (scale,) = dataset.coordinateTransformations
    assert scale.scale == [1, 1, 6.4516, 6.4516]
    pixels = dask.array.from_zarr(str(store.path / "images/F1-front.zarr" / dataset.path))
    assert pixels.chunksize == (1, 3, 12, 16)
    np.testing.assert_array_equal(pixels.compute(), made.pixels)


def test_channels_have_names_colours_and_windows_of_their_grey_levels(empty, make_scan):
    made = make_scan(dtype="uint16")
    made.pixels[:] = made.pixels % 1000 + np.array([0, 2000, 4000], "u2")[:, None, None]
    empty.scans.add(made.scan, made.foil, made.read)
    attributes = zarr.open_group(empty.path / "images/F1-front.zarr", mode="r").attrs
    omero = attributes["ome"]["omero"]
    Omero.model_validate(omero)
    labels = [c["label"] for c in omero["channels"]]
    assert labels == ["step 1: directional 45°", "step 2: directional 90°", "step 9: backlit"]
    assert [c["color"] for c in omero["channels"]] == ["FFBF00", "80FF00", "FFFFFF"]
    assert [c["active"] for c in omero["channels"]] == [True, False, False]
    for channel, start in zip(omero["channels"], (0, 2000, 4000), strict=True):
        window = channel["window"]
        assert (window["min"], window["max"]) == (0, 65535)
        assert start <= window["start"] < start + 30
        assert start + 970 < window["end"] <= start + 1000


def test_a_uniform_channel_has_a_window_that_is_not_empty():
    assert display_windows([np.full((1, 4, 4), 7, "u1")]) == [(7, 8)]


def test_tiles_that_stand_where_they_say_show_the_stage(empty, make_scan):
    made = make_scan(tiles=3)
    empty.scans.add(made.scan, made.foil, made.read)
    given = zarr.open_group(empty.path / "images/F1-front.zarr", mode="r").attrs["etchscope"]
    assert (given["foil"], given["side"], given["tiles"]) == ("F1", "front", [1, 2, 3])
    # tiles of 12 × 16 px around 0, 0.1 and 0.2 mm to the right, 1/3 mm below the stage's origin
    y = 1000 / 3 - 6 * 6.4516
    expected = [[y, x - 8 * 6.4516] for x in (0, 100, 200)]
    np.testing.assert_allclose(given["translation_um"], expected)


def test_a_scan_of_unknown_scale_has_no_unit_and_no_places(empty, make_scan):
    made = make_scan(tiles=2)
    scan = made.scan.model_copy(update={"pixel_size_um": None})
    empty.scans.add(scan, made.foil, made.read)
    group = zarr.open_group(empty.path / "images/F1-front.zarr", mode="r", zarr_format=3)
    (multiscale,) = Image.from_zarr(group).ome_attributes.multiscales
    assert {a.unit for a in multiscale.axes} == {None}
    assert multiscale.datasets[0].coordinateTransformations[0].scale == [1, 1, 1, 1]
    assert group.attrs["etchscope"]["translation_um"] == [None, None]
    assert empty.check() == []


def test_removed_and_bad_tiles_have_no_place(empty, make_scan):
    made = make_scan(tiles=5)
    empty.scans.add(made.scan, made.foil, made.read_but(2), skip_bad=True)
    empty.scans.remove("tile = 4")
    given = zarr.open_group(empty.path / "images/F1-front.zarr", mode="r").attrs["etchscope"]
    assert given["tiles"] == [1, None, 3, None, 5]
    assert [t is None for t in given["translation_um"]] == [False, True, False, True, False]
    assert empty.check() == []
