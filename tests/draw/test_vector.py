import pytest

from etchscope.draw.figures import make_figure
from etchscope.draw.png import encode_figure
from etchscope.draw.vector import encode_formats


def _figure():
    figure = make_figure(2, 2, "title")
    figure.add_subplot().plot([0, 1], [0, 1], "o")
    return figure


@pytest.mark.parametrize(("form", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_same_figure_gives_the_same_bytes(form, start):
    files = encode_formats(_figure(), form)
    assert list(files) == ["png", form]
    assert files["png"] == encode_figure(_figure())
    assert files[form].startswith(start)
    assert files == encode_formats(_figure(), form)
    for word in (b"CreationDate", b"dc:date", b"dc:creator", b"Producer"):
        assert word not in files[form]


def test_png_is_one_file():
    assert list(encode_formats(_figure(), "png")) == ["png"]
