import numpy as np
import pandas as pd
import pytest

from etchscope.draw.ellipses import (
    cut_window,
    draw_pits,
    draw_tile_sheet,
    ellipse_axes_px,
    find_grey_limits,
    stretch,
)
from etchscope.draw.style import rgb
from etchscope.foil import as_pits


def _drawn(picture, name):
    return np.argwhere((picture == rgb(name)).all(axis=2))


def _one(**columns):
    given = {"x_px": [30.0], "y_px": [20.0], "surface": ["top"], "radius_px": [6.0]}
    return as_pits(given | columns)


def test_axes_give_back_radius_and_ellipticity():
    a, b = ellipse_axes_px(
        pd.DataFrame({"radius_px": [5.0, np.nan], "ellipticity": [0.36, np.nan]})
    )
    assert np.sqrt(a * b)[0] / 2 == pytest.approx(5)
    assert 1 - b[0] / a[0] == pytest.approx(0.36)
    assert a[1] == b[1] == 8


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_an_ellipse_lies_around_its_pit(scale):
    out = draw_pits(np.full((48, 64), 128, np.uint8), _one(), scale=scale)
    assert out.shape == (48 * scale, 64 * scale, 3)
    yx = (np.argwhere(np.ptp(out, axis=2) > 0) + 0.5) / scale - 0.5
    assert yx.mean(axis=0) == pytest.approx([20, 30], abs=0.3)
    assert np.hypot(*(yx - [20, 30]).T) == pytest.approx(6, abs=2.0)


def test_the_long_axis_turns_counter_clockwise_with_y_up():
    pits = _one(ellipticity=[0.8], angle_deg=[45.0])
    yx = _drawn(draw_pits(np.zeros((48, 64), np.uint8), pits, scale=2), "top") / 2 - [20, 30]
    assert len(yx) > 20
    far = yx[np.argsort(np.hypot(*yx.T))[-4:]]
    assert (far[:, 0] * far[:, 1] < 0).all()  # right and up, or left and down


def test_surfaces_pairs_and_missed_truths_have_their_colours():
    pits = as_pits(
        {
            "x_px": [15.0, 40, 50],
            "y_px": [20.0, 20, 40],
            "surface": ["top", "bottom", None],
            "radius_px": [3.0, 3, 3],
            "partner": [1, 0, None],
            "pit": [0, 1, 2],
            "pair_dx_px": [25.0, 25, np.nan],
            "pair_dy_px": [0.0, 0, np.nan],
        }
    )
    grey = np.full((48, 64), 128, np.uint8)
    out = draw_pits(grey, pits, scale=2, missed_xy_px=np.array([[10.0, 40.0]]))
    for name in ("top", "bottom", "unknown", "pair", "missed"):
        assert len(_drawn(out, name)) > 3, name
    link = _drawn(out, "pair") / 2
    assert link[:, 1].min() == pytest.approx(15, abs=1)
    assert link[:, 1].max() == pytest.approx(40, abs=1)
    assert len(_drawn(draw_pits(grey, pits.iloc[:0], scale=2), "top")) == 0


def test_a_window_stays_inside_the_picture():
    picture = np.arange(48 * 64).reshape(48, 64)
    part, x0, y0 = cut_window(picture, 60, 2, (20, 30))
    assert (part.shape, x0, y0) == ((20, 30), 34, 0)
    assert part[0, 0] == picture[0, 34]
    assert cut_window(picture, 5, 5, (100, 100))[0].shape == (48, 64)


def test_stretch_takes_any_picture():
    assert stretch(np.array([[0.0, 10.0]])).tolist() == [[0, 255]]
    assert stretch(np.full((2, 2), 7)).tolist() == [[128, 128], [128, 128]]
    assert stretch(np.array([[np.nan, 0.0, 1.0]]))[0, 0] == 128
    assert stretch(np.full((1, 2), np.nan)).tolist() == [[128, 128]]
    assert stretch(np.array([[0, 50, 100]]), (0, 200)).tolist() == [[0, 64, 128]]
    assert find_grey_limits(np.zeros((0, 2))) == (0.0, 0.0)


def test_contact_sheet_shows_every_tile_and_its_pits(shown):
    content = shown
    sheet = draw_tile_sheet(content.scan, content.pits, content.thumbnails, columns=2)
    assert sheet.shape == (3 * (144 + 6) + 6, 2 * (192 + 6) + 6, 3)
    rows, columns = (_drawn(sheet, "top") // [150, 198]).T
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {
        (r, c) for r in range(3) for c in range(2)
    }


def test_an_excluded_tile_is_blank_and_not_read(shown):
    content = shown
    tiles = [t.model_copy(update={"excluded": t.number == 3}) for t in content.scan.tiles]
    scan = content.scan.model_copy(update={"tiles": tuple(tiles)})
    read = []
    draw_tile_sheet(scan, content.pits, lambda n: (read.append(n), content.thumbnails(n))[1])
    assert read == [1, 2, 4, 5, 6]
