from etchscope.draw.figures import make_figure
from etchscope.draw.png import encode_figure


def test_a_png_says_nothing_of_time_or_software():
    png = encode_figure(make_figure(2, 2, "title"))
    assert png == encode_figure(make_figure(2, 2, "title"))
    assert b"Software" not in png
    assert b"tIME" not in png
