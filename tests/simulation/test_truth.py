import numpy as np
import pandas as pd

from etchscope.simulation import (
    Optics,
    Population,
    SimulatedScan,
    Stage,
    drop_overlap_copies,
    find_isolated,
)


def test_each_opening_once_is_the_row_farthest_from_the_edge():
    foil = SimulatedScan(
        seed=1,
        columns=3,
        rows=2,
        population=Population.of(background_per_tile=1500, pairs_per_tile=300),
        optics=Optics(image_size=(64, 80)),
        stage=Stage(overlap_px=(20, 20)),
    )
    truth = foil.truth()
    single = drop_overlap_copies(truth, (64, 80))
    assert single["pit"].is_unique
    assert set(single["pit"]) == set(truth["pit"])
    assert len(single) < len(truth)
    x, y = truth["x_px"], truth["y_px"]
    margin = pd.concat([x, 79 - x, y, 63 - y], axis=1).min(axis=1)
    best = margin.groupby(truth["pit"]).max()
    x, y = single["x_px"], single["y_px"]
    found = pd.concat([x, 79 - x, y, 63 - y], axis=1).min(axis=1)
    np.testing.assert_allclose(found, best.loc[single["pit"]])


def test_isolated_openings_touch_nothing():
    pixel_mm = 0.0064516
    places = pd.DataFrame(
        {"x_mm": [0, 9, 30, 45.1], "y_mm": [0.0, 0, 0, 0], "radius_px": [5.0, 5, 7, 8]}
    )
    places["x_mm"] *= pixel_mm
    assert find_isolated(places, 6.4516).tolist() == [False, False, True, True]
    assert find_isolated(places[:1], 6.4516).tolist() == [True]
    assert find_isolated(places[:0], 6.4516).tolist() == []
