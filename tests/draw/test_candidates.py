import numpy as np

from etchscope.draw.candidates import draw_strip, draw_strips
from etchscope.draw.png import encode_rgba


def test_cells_stand_side_by_side_with_the_backlit_one_last():
    cutouts = np.zeros((2, 20, 20), np.float32)
    cutouts[0] -= 3
    strip, names = draw_strip(cutouts, ["backlit", "0°"], np.eye(20))
    assert names == ["0°", "backlit", "saliency over backlit"]
    assert strip.shape == (60, 3 * 62 - 2, 4)
    assert (strip[:, :60, :3] == 128).all()
    assert (strip[:, 62:122, :3] == 0).all()
    assert (strip[:, 60:62, 3] == 0).all()
    red, _, blue = strip[30, 124 + 30, :3].tolist()
    assert red > blue == 0  # orange, not blue
    assert encode_rgba(strip).startswith(b"\x89PNG")


def test_strips_stand_below_each_other_with_their_captions():
    strip = draw_strip(np.zeros((2, 20, 20), np.float32), ["backlit", "0°"])
    made = draw_strips([strip, strip], ["1: a", "2: b"], "The best")
    assert [ax.get_title(loc="left") for ax in made.axes] == ["1: a", "2: b"]
    names = [[t.get_text() for t in ax.get_xticklabels()] for ax in made.axes]
    assert names == [["0°", "backlit"]] * 2
