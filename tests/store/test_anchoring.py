import numpy as np
import pytest

from etchscope.foil import DEFAULT_TAXONOMY, BadInput
from etchscope.geometry import tile_to_foil
from etchscope.store.anchoring import anchored, is_placed

SAID = {"class": ["top"], "who": ["anna"], "source": ["person"], "when": ["2026-05-01"]}


def anchor(store, **columns):
    with store._catalogue.reading() as session:
        return anchored(session, SAID | columns, DEFAULT_TAXONOMY, "here")


def test_a_scan_is_placed_where_scale_and_positions_are_known(made):
    scan = made.scan
    assert is_placed(scan)
    assert not is_placed(scan.model_copy(update={"pixel_size_um": None}))
    lost = scan.tiles[0].model_copy(update={"stage_x_mm": None})
    assert not is_placed(scan.model_copy(update={"tiles": (lost, *scan.tiles[1:])}))


@pytest.mark.parametrize(("x_px", "y_px"), [(-14, -14), (29, 25), (3.25, 7.0)])
def test_the_place_follows_from_the_tile_and_its_rim(store, made, x_px, y_px):
    place = {"scan": ["F1-front"], "tile": [2], "x_px": [x_px], "y_px": [y_px]}
    labels = anchor(store, **place)
    x, y = tile_to_foil(np.array([2]), np.array([x_px]), np.array([y_px]), made.scan)
    assert labels[["foil", "side"]].iloc[0].tolist() == ["F1", "front"]
    np.testing.assert_array_equal(labels[["x_mm", "y_mm"]], np.column_stack([x, y]))


@pytest.mark.parametrize(
    ("x_px", "y_px"), [(-14.1, 5.0), (29.1, 5.0), (5.0, -14.1), (5.0, 25.1), (900.0, 900.0)]
)
def test_farther_out_than_an_opening_that_the_edge_cuts_is_no_place(store, x_px, y_px):
    with pytest.raises(BadInput, match="here: row 1: expected a place in the 16 × 12 px"):
        anchor(store, scan=["F1-front"], tile=[2], x_px=[x_px], y_px=[y_px])


def test_a_place_on_the_foil_is_in_a_tile_up_to_its_edge(store, made):
    corner = [np.array([v]) for v in (15.4, 11.4)]  # of tile 2, whose edge is at 15.5 and 11.5
    x, y = tile_to_foil(np.array([2]), *corner, made.scan)
    on_foil = {"foil": ["F1"], "side": ["front"]}
    assert anchor(store, **on_foil, x_mm=x, y_mm=y)["x_mm"].tolist() == x.tolist()
    x, y = tile_to_foil(np.array([2]), np.array([15.4]), np.array([11.6]), made.scan)
    with pytest.raises(BadInput, match="row 1: expected a place in a tile of scan F1-front"):
        anchor(store, **on_foil, x_mm=x, y_mm=y)
    anchor(store, foil=["F1"], side=["back"], x_mm=x, y_mm=y)  # no scan of that side to ask


def test_a_given_place_stays_where_the_tile_says_nearly_the_same(store, made):
    place = {"scan": ["F1-front"], "tile": [2], "x_px": [8.0], "y_px": [6.0]}
    x, y = tile_to_foil(np.array([2]), np.array([8.0]), np.array([6.0]), made.scan)
    near = anchor(store, **place, x_mm=x + 0.03, y_mm=y)
    assert near["x_mm"].tolist() == (x + 0.03).tolist()
    with pytest.raises(BadInput, match="Leave out the one that is wrong"):
        anchor(store, **place, x_mm=x + 0.05, y_mm=y)
