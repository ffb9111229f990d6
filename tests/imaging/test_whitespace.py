import numpy as np
import pandas as pd
import pytest

from etchscope.imaging import Recipe, fit_normalisation
from etchscope.imaging.whitespace import fixed_pattern, near_openings, replace_ground

SIZE = (96, 128)


def pits_of(**columns: float) -> pd.DataFrame:
    names = ["ellipticity", "angle_deg", "length_px", "width_px"]
    given = {"radius_px": 4.0, **dict.fromkeys(names, np.nan), **columns}
    return pd.DataFrame({name: [value] for name, value in given.items()})


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 135.0])
def test_the_long_axis_of_an_opening_counts(angle):
    near = near_openings(
        pits_of(x_px=60.0, y_px=50.0, radius_px=8.0, ellipticity=0.75, angle_deg=angle), SIZE, 5.0
    )
    along, y_up = np.deg2rad(angle), -1.0
    for reach, turn in ((16.0, 0.0), (4.0, np.pi / 2)):  # long and short half-axis
        x, y = (
            60 + np.array([reach + 3.5, reach + 6.8]) * np.cos(along + turn),
            50 + y_up * np.array([reach + 3.5, reach + 6.8]) * np.sin(along + turn),
        )
        inside = near[np.rint(y).astype(int), np.rint(x).astype(int)].tolist()
        assert inside == [True, False]


def test_a_mark_is_as_long_and_wide_as_it_was_measured():
    mark = pits_of(x_px=60.0, y_px=50.0, length_px=40.0, width_px=4.0, angle_deg=90.0)
    near = near_openings(mark, SIZE, 5.0)
    assert np.flatnonzero(near[:, 60]).tolist() == list(range(25, 76))
    assert np.flatnonzero(near[50]).tolist() == list(range(53, 68))


def test_an_opening_beyond_the_edge_keeps_what_lies_near_it():
    near = near_openings(pits_of(x_px=-0.5, y_px=50.0), SIZE, 5.0)
    assert np.flatnonzero(near[50]).tolist() == list(range(10))


@pytest.fixture(scope="module")
def tiles() -> np.ndarray:
    """Twenty tiles with vignetting, a speck on the camera, lamps that flicker and noise."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    light = 150 - 0.005 * ((x - 60) ** 2 + (y - 50) ** 2)
    light[20:26, 30:36] -= 25
    level = rng.uniform(0.98, 1.02, (20, 2, 1, 1))
    return np.rint(light * level + rng.normal(0, 2.5, (20, 2, *SIZE))).astype(np.uint8)


def test_ground_is_flat_where_it_was_replaced_and_keeps_the_level_of_its_tile(tiles):
    normalisation = fit_normalisation(tiles, Recipe())
    kept = np.zeros(SIZE, bool)
    kept[30:50, 60:90] = True
    out = replace_ground(tiles[3], kept, normalisation, fixed_pattern(normalisation))
    np.testing.assert_array_equal(out[:, kept], tiles[3][:, kept])
    before, after = (normalisation.apply(t)[:, ~kept] for t in (tiles[3], out))
    assert after.std(axis=1).max() < 0.4 * before.std(axis=1).min()
    np.testing.assert_allclose(after.mean(axis=1), before.mean(axis=1), atol=0.002)
    speck = normalisation.apply(out)[:, 21:25, 31:35].mean(axis=(1, 2))
    np.testing.assert_allclose(speck, after.mean(axis=1), atol=0.01)


def test_a_tile_that_could_not_be_searched_afterwards_stays(tiles):
    flat = fit_normalisation(np.full((4, 2, *SIZE), 150, np.uint8), Recipe(method="level"))
    full = tiles[0]
    assert replace_ground(full, np.ones(SIZE, bool), flat, fixed_pattern(flat)) is full
    raw = np.full((2, *SIZE), 150, np.uint8)
    raw[:, ::2] += 1
    assert replace_ground(raw, np.zeros(SIZE, bool), flat, fixed_pattern(flat)) is raw
