"""Which labels speak of one place, and in which region of the foil that is."""

import numpy as np
import pandas as pd

from etchscope.geometry import number_places, number_regions

REACH, CELL = 0.04, (4.1, 3.1)


def _labels(scan, x, y, *, frame="F1", ids=None, tile=1):
    n = len(x)
    return pd.DataFrame(
        {
            "frame": frame,
            "scan": scan,
            "tile": tile,
            "id": [f"{scan}-{k}" for k in range(n)] if ids is None else ids,
            "x_mm": x,
            "y_mm": y,
        }
    )


def _rescanned(seed=0, n=400):
    """Pits of a foil, as a second scan on another grid and the other side show them too."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 20, (2, n))
    noise = rng.normal(0, 0.006, (4, n))
    return pd.concat(
        [
            _labels("first", x, y),
            _labels("again", x + noise[0], y + noise[1], tile=7),
            _labels("back", x + noise[2], y + noise[3], tile=3),
        ],
        ignore_index=True,
    )


def test_a_place_and_its_copies_are_in_one_region():
    """Every test label's own pit was trained on: 1,508 of 1,508 after a second scan."""
    labels = _rescanned()
    place = number_places(labels, REACH)
    region = number_regions(labels, place, CELL)
    of_pit = np.tile(np.arange(400), 3)
    assert (region.reshape(3, 400) == region[:400]).all()
    assert len(np.unique(region)) > 15
    # And tiles of scans, as before, have copies of most pits elsewhere.
    tiles = labels.groupby(["scan", "tile"]).ngroup()
    assert (tiles.groupby(of_pit).nunique() == 3).all()


def test_neighbours_in_one_scan_are_places_of_their_own():
    labels = _labels("first", [1.0, 1.01, 1.02], [1.0, 1.0, 1.0])
    assert len(np.unique(number_places(labels, REACH))) == 3


def test_a_label_that_two_scans_show_is_one_place_whatever_their_frames():
    one = _labels("first", [1.0, 9.0], [1.0, 9.0], ids=["a", "b"])
    other = _labels("again", [5.0, np.nan], [5.0, np.nan], ids=["a", "b"])
    labels = pd.concat([one, other], ignore_index=True)
    place = number_places(labels, REACH)
    assert place[0] == place[2] != place[1] == place[3]
    region = number_regions(labels, place, CELL)
    assert region[0] == region[2]
    assert region[1] == region[3]


def test_a_region_of_many_finds_does_not_make_them_one_place():
    one = _labels("first", [1.0, 9.0], [1.0, 9.0], ids=["r", "r"])
    other = _labels("again", [1.001, 9.001], [1.0, 9.0], ids=["r", "r"])
    place = number_places(pd.concat([one, other], ignore_index=True), REACH)
    assert place[0] == place[2] != place[1] == place[3]


def test_foils_of_a_stack_share_a_frame_and_other_foils_do_not():
    x, y = [1.0, 9.0], [1.0, 9.0]
    stack = pd.concat(
        [_labels("c1", x, y, frame="S"), _labels("d", x, y, frame="S")], ignore_index=True
    )
    assert len(np.unique(number_places(stack, REACH))) == 2
    apart = pd.concat(
        [_labels("c1", x, y, frame="F1"), _labels("d", x, y, frame="F2")], ignore_index=True
    )
    place = number_places(apart, REACH)
    assert len(np.unique(place)) == 4
    assert len(np.unique(number_regions(apart, place, CELL))) == 4


def test_without_places_a_tile_is_a_region():
    nowhere = [np.nan] * 4
    labels = _labels("first", nowhere, nowhere, tile=[1, 1, 2, 3])
    assert number_regions(labels, number_places(labels, 0.0), CELL).tolist() == [0, 0, 1, 2]
