import numpy as np
import pandas as pd
import pytest

from etchscope.foil import BadInput
from etchscope.simulate import Population, draw_openings


def _draw(population, seed=1, tiles=50.0):
    rng = np.random.default_rng(seed)
    return draw_openings(rng, population, width_px=3000, height_px=2000, tiles=tiles)


def test_same_generator_same_openings():
    one, again, other = (_draw(Population(), seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)


def test_numbers_are_those_asked_for():
    openings = _draw(Population(background_per_tile=40, pairs_per_tile=8))
    singles, pairs = openings[~openings["hip"]], openings[openings["hip"]]
    assert abs(len(singles) - 2000) < 5 * np.sqrt(2000)
    assert abs(len(pairs) / 2 - 400) < 5 * np.sqrt(400)
    assert (singles["surface"] == "top").mean() == pytest.approx(0.45, abs=0.06)
    assert singles["x_px"].between(0, 3000).all()
    assert singles["y_px"].between(0, 2000).all()


def test_a_pair_is_an_entry_and_an_exit_of_one_particle():
    openings = _draw(Population(background_per_tile=3, pairs_per_tile=8))
    pairs = openings[openings["hip"]].sort_values(["particle", "surface"])
    bottom, top = pairs[::2], pairs[1::2]
    assert set(bottom["surface"]) == {"bottom"}
    assert set(top["surface"]) == {"top"}
    assert bottom["particle"].tolist() == top["particle"].tolist()
    dx = bottom["x_px"].to_numpy() - top["x_px"].to_numpy()
    dy = bottom["y_px"].to_numpy() - top["y_px"].to_numpy()
    shift = np.hypot(dx, dy) / top["radius_px"].to_numpy()
    assert shift.max() < 2.5
    assert np.mean(shift < 1) == pytest.approx(0.5, abs=0.1)
    assert openings.loc[~openings["hip"], "particle"].is_unique
    assert openings["particle"].nunique() == len(top) + (~openings["hip"]).sum()


def test_sizes_are_those_asked_for():
    openings = _draw(Population(radius_px=9, background_radius_px=5, pairs_per_tile=20))
    median = openings.groupby("hip")["radius_px"].median()
    assert median[True] == pytest.approx(9, rel=0.03)
    assert median[False] == pytest.approx(5, rel=0.03)
    assert openings["ellipticity"].between(0, 0.9).all()
    assert openings["angle_deg"].between(0, 180, inclusive="left").all()
    assert (openings["slope"] > 0).all()


def test_nothing_asked_for_nothing_drawn():
    empty = _draw(Population(background_per_tile=0, pairs_per_tile=0))
    assert len(empty) == 0
    assert "particle" in empty


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        ("background_per_tile", -1, 0),
        ("background_per_tile", 20001, 20000),
        ("pairs_per_tile", np.nan, 0),
        ("radius_px", 0, 1),
        ("background_radius_px", -6, 100),
        ("background_radius_px", np.inf, 1),
        ("top_fraction", 1.01, 1),
        ("top_fraction", -0.01, 0),
    ],
)
def test_bad_parameters_are_refused(name, bad, good):
    assert getattr(Population(**{name: good}), name) == good
    with pytest.raises(BadInput, match=f"simulation: {name}: expected"):
        Population(**{name: bad})
