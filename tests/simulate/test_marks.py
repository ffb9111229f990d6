import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.simulate import Fragments, Hips, Marks, Optics, Population, SimulatedScan
from etchscope.simulate.marks import MARK_COLUMNS, draw_marks

STILL = Optics(image_size=(200, 240), texture=0.0, read_noise=0.2, unevenness=0.0, vignetting=0.0)


def _population(**marks):
    return Population(Hips(per_tile=0), Fragments(per_tile=0), marks=Marks(**marks))


def _scan(optics=STILL, side="front", seed=3, **marks):
    return SimulatedScan(seed, 1, 1, _population(**marks), optics=optics, side=side)


@pytest.mark.parametrize("kind", ["dust", "scratches", "fibres", "bubbles"])
def test_each_kind_is_drawn_where_the_truth_says_and_nowhere_else(kind):
    foil = _scan(**{f"{kind}_per_tile": 15.0})
    marks = foil.marks()
    name = {"dust": "dust", "scratches": "scratch", "fibres": "fibre", "bubbles": "bubble"}[kind]
    assert set(marks["class"]) == {f"misc.{name}"}
    assert len(foil.truth()) == 0
    stack = foil.read_tile(1).astype(float)
    changed = np.abs(stack - np.median(stack, axis=(1, 2), keepdims=True)).max(axis=0) > 8
    assert changed.any()
    y, x = np.mgrid[:200, :240]
    # Marks of neighbouring tiles may reach in from the edge.
    inside = np.zeros_like(changed)
    for mark in marks.itertuples():
        inside |= np.hypot(x - mark.x_px, y - mark.y_px) < mark.radius_px + 3
    middle = np.s_[60:-60, 60:-60]
    assert (changed[middle] & ~inside[middle]).sum() <= 0.05 * max(changed[middle].sum(), 20)


def test_dust_is_dark_backlit_and_bright_in_the_halo():
    foil = _scan(dust_per_tile=40.0)
    dark, bright = foil.read_tile(1)[8], foil.read_tile(1)[9]
    assert dark.min() < 0.4 * np.median(dark)
    assert bright.max() > 1.5 * np.median(bright)


def test_dust_lies_on_one_side_and_bubbles_are_seen_from_both():
    sides = {}
    for side in ("front", "back"):
        marks = _scan(side=side, dust_per_tile=20.0, bubbles_per_tile=20.0).marks()
        marks = marks[marks["x_px"].between(2, 237)]
        sides[side] = {
            c: set(np.round(marks.loc[marks["class"] == c, "x_mm"], 6))
            for c in ("misc.dust", "misc.bubble")
        }
    assert sides["front"]["misc.bubble"] == sides["back"]["misc.bubble"] != set()
    assert not sides["front"]["misc.dust"] & sides["back"]["misc.dust"]


def test_a_datum_hole_is_where_the_scan_says_on_both_sides():
    for side in ("front", "back"):
        foil = _scan(side=side, holes_mm=((0.1, -0.05),))
        ((tile, x, y),) = foil.scan.datum
        assert tile == 1
        assert foil.marks()["class"].tolist() == ["misc.hole"]
        backlit = foil.read_tile(1)[8].astype(float)
        directional = foil.read_tile(1)[0].astype(float)
        v, u = np.mgrid[:200, :240]
        hole = np.hypot(u - x, v - y) < 250 / 6.4516 - 4
        assert backlit[hole].min() > np.median(backlit)
        assert directional[hole].max() < 0.2 * np.median(directional)


def test_marks_are_numbered_apart():
    cells = [
        draw_marks(1, (i, 0), _population(dust_per_tile=9, fibres_per_tile=9), back=back)
        for i in (-1, 0, 1)
        for back in (False, True)
    ]
    numbers = [set(c["mark"]) for c in cells]
    assert sum(map(len, numbers)) == len(set().union(*numbers))
    assert list(cells[0].columns) == MARK_COLUMNS
    assert len(draw_marks(1, (0, 0), _population())) == 0


@pytest.mark.parametrize(
    ("marks", "told"),
    [
        ({"dust_per_tile": -1}, r"marks\.dust_per_tile: expected 0 to 1000, found -1"),
        ({"hole_radius_mm": 0}, r"marks\.hole_radius_mm: expected 0\.01 to 5"),
        ({"holes_mm": (1.0,)}, r"marks\.holes_mm: expected pairs of x and y, found 1"),
        ({"holes_mm": ((1.0,),)}, r"marks\.holes_mm: expected 2 numbers"),
    ],
)
def test_impossible_marks_are_refused(marks, told):
    with pytest.raises(BadInput, match=told):
        Marks(**marks)
