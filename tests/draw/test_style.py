import numpy as np
import pandas as pd

from etchscope.draw.png import encode_figure
from etchscope.draw.style import COLOURS, make_figure, rgb
from etchscope.draw.tables import thin_evenly


def test_colours_are_distinct():
    assert len({rgb(name) for name in COLOURS}) == len(COLOURS) == 5


def test_evenly_keeps_the_ends_and_small_tables():
    table = pd.DataFrame({"a": np.arange(100)})
    assert thin_evenly(table, 4)["a"].tolist() == [0, 33, 66, 99]
    assert thin_evenly(table, 100) is table


def test_a_png_says_nothing_of_time_or_software():
    png = encode_figure(make_figure(2, 2, "title"))
    assert png == encode_figure(make_figure(2, 2, "title"))
    assert b"Software" not in png
    assert b"tIME" not in png
