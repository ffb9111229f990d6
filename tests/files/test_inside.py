import pytest

from etchscope.files.inside import path_inside
from etchscope.foil import DamagedFile

_LONG = ("x" * 201, "\ud800")


@pytest.mark.parametrize("name", ["find-4ce6", "F1-front.zarr", "a..b", "x" * 200])
def test_a_plain_name_is_a_place_in_the_folder(tmp_path, name):
    assert path_inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "/etc/passwd",
        "a/b",
        "a\\b",
        ".hidden",
        "a\0b",
        "a\n",
        "ä",
        3,
        None,
        *_LONG,
    ],
)
def test_any_other_name_is_damage(tmp_path, name):
    with pytest.raises(DamagedFile, match="a name of letters"):
        path_inside(tmp_path, name)
