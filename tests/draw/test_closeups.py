import cv2
import numpy as np

from etchscope.draw.closeups import choose_tiles, draw_closeups, draw_cutouts
from etchscope.draw.style import rgb
from etchscope.draw.tables import select_pairs
from etchscope.evaluation import evaluate
from etchscope.foil import as_pits


def test_tiles_of_the_best_pairs_and_the_busiest_come_first():
    pits = as_pits(
        {
            "pit": range(9),
            "tile": [1, 1, 1, 1, 2, 2, 3, 4, 5],
            "surface": ["bottom"] * 7 + ["top", "top"],
            "partner": [None] * 7 + [0, 1],
            "pair_p": [np.nan] * 7 + [0.2, 0.01],
        }
    )
    assert choose_tiles(pits) == [5, 1, 4, 2]
    assert choose_tiles(as_pits({})) == []


def test_one_panel_a_tile_with_the_missed_truths(shown):
    content = shown
    truth = content.pits.assign(x_px=lambda t: np.where(t["tile"] == 1, 1.0, t["x_px"]))
    e = evaluate(truth, content.pits, rule="one-to-one", tolerance_px=0.5)
    figure = draw_closeups(content.pits, content.thumbnails, "t", evaluation=e, pixel_size_um=10.0)
    assert len(figure.axes) == 4
    assert figure.axes[0].get_title(loc="left").startswith("tile ")
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert labels == ["top", "bottom", "pair", "missed"]


def test_cutouts_are_in_the_order_of_the_pairs(shown):
    content = shown
    pairs = select_pairs(content.pits).head(7)
    pictures = draw_cutouts(pairs, content.pits, content.thumbnails)
    assert len(pictures) == 7
    for png in pictures:
        picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        assert picture.shape == (144, 144, 3)
        assert (picture == rgb("pair")).all(axis=2).any()
    assert pictures == [
        draw_cutouts(pairs.iloc[[i]], content.pits, content.thumbnails)[0] for i in range(7)
    ]
