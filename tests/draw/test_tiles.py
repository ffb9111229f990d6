import numpy as np
import pandas as pd

from etchscope.draw.tiles import draw_tile
from etchscope.foil import as_pits


def test_a_tile_shows_its_pits_and_what_was_missed():
    pits = as_pits(
        pd.DataFrame(
            {"surface": ["top", "bottom"], "x_px": [10.0, 30], "y_px": [8.0, 20], "radius_px": 4.0}
        )
    )
    made = draw_tile(np.zeros((30, 40)), pits, "one", missed_xy_px=np.array([[5.0, 25.0]]))
    (ax,) = made.axes
    assert ax.get_xlim() == (-0.5, 39.5)
    assert ax.get_ylim() == (29.5, -0.5)
    (picture,) = ax.images
    assert picture.get_array().shape[:2] == (240, 320)  # eight times enlarged
    (legend,) = made.legends
    assert [t.get_text() for t in legend.get_texts()] == ["top (1)", "bottom (1)", "missed (1)"]
