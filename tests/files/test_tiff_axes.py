import numpy as np
import pytest
import tifffile

from etchscope.files.foreign_pictures import read_picture
from etchscope.foil import BadInput

STACK = np.random.default_rng(3).integers(0, 65536, (10, 24, 32), dtype=np.uint16)
SEVERAL = "expected pages along one axis, that of the lights, found"


def test_two_lights_in_five_planes_are_not_ten_lights(tmp_path):
    both = STACK.reshape(2, 5, 24, 32)
    tifffile.imwrite(tmp_path / "a.ome.tif", both, metadata={"axes": "CZYX"})
    with pytest.raises(BadInput, match=rf"a\.ome\.tif: {SEVERAL} 2 channels × 5 slices"):
        read_picture(tmp_path / "a.ome.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.swapaxes(both, 0, 1), imagej=True)
    with pytest.raises(BadInput, match=f"{SEVERAL} 2 channels × 5 slices"):
        read_picture(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", both, photometric="minisblack")
    with pytest.raises(BadInput, match=SEVERAL):
        read_picture(tmp_path / "c.tif")


@pytest.mark.parametrize("axes", ["CYX", "ZYX", "TYX"])
def test_planes_along_one_axis_are_the_lights(tmp_path, axes):
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": axes})
    np.testing.assert_array_equal(np.stack(read_picture(tmp_path / "a.ome.tif")), STACK)


def test_colour_of_an_ome_file_is_one_page(tmp_path):
    colour = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", colour, photometric="rgb", metadata={"axes": "YXS"})
    assert len(read_picture(tmp_path / "a.ome.tif")) == 1


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_stack_behind_one_directory_has_all_its_planes(tmp_path, byteorder):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, truncate=True, byteorder=byteorder)
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
    np.testing.assert_array_equal(np.stack(read_picture(path)), STACK)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 2000])
    with pytest.raises(BadInput, match="expected 10 pages, as its own description says, found 1"):
        read_picture(path)


def test_planes_that_are_elsewhere_are_missed(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[:5], metadata={"axes": "ZYX"})
    data = (tmp_path / "a.ome.tif").read_bytes()
    (tmp_path / "a.ome.tif").write_bytes(data.replace(b'SizeZ="5"', b'SizeZ="9"'))
    with pytest.raises(BadInput, match="expected 9 pages, as its own description says, found 5"):
        read_picture(tmp_path / "a.ome.tif")


def test_a_stack_that_tifffile_cut_to_one_directory(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", STACK, photometric="minisblack", metadata={}, truncate=True
    )
    np.testing.assert_array_equal(np.stack(read_picture(tmp_path / "a.tif")), STACK)


def test_pictures_that_were_appended_one_by_one(tmp_path):
    for page in STACK:
        tifffile.imwrite(tmp_path / "a.tif", page, photometric="minisblack", append=True)
    assert len(read_picture(tmp_path / "a.tif")) == 10


@pytest.mark.parametrize(("tag", "name"), [(33629, "MetaMorph STK"), (34412, "Zeiss LSM")])
def test_formats_with_axes_of_their_own_are_refused_by_name(tmp_path, tag, name):
    tags = [(tag, "I", 1, 5, True)]
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], photometric="minisblack", extratags=tags)
    with pytest.raises(BadInput, match=f"found {name}"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "text",
    ["ImageJ=", "ImageJ=1\nimages=0\n", '{"shape": 5}', "<OME><Pixels", '{"shape"' + "[" * 9999],
)
def test_a_description_that_says_nothing_of_planes(tmp_path, text):
    options = {"photometric": "minisblack", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", STACK[:2], description=text, **options)
    assert len(read_picture(tmp_path / "a.tif")) == 2
