import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.simulation import Fragments, Hips, Marks, Optics, Population, SimulatedScan
from etchscope.simulation.marks import MARK_COLUMNS, draw_strokes, tabulate_strokes

STILL = Optics(image_size=(200, 240), texture=0.0, read_noise=0.2, unevenness=0.0, vignetting=0.0)


def _population(**marks):
    return Population(Hips(per_tile=0), Fragments(per_tile=0), marks=Marks(**marks))


def _marks_of_cell(cell, population, **more):
    return tabulate_strokes(draw_strokes(1, cell, population, **more))


def _scan(optics=STILL, side="front", seed=3, **marks):
    return SimulatedScan(seed, 1, 1, _population(**marks), optics=optics, side=side)


@pytest.mark.parametrize("kind", ["dust", "scratches", "fibres", "bubbles", "drops"])
def test_each_kind_is_drawn_where_the_truth_says_and_nowhere_else(kind):
    foil = _scan(**{f"{kind}_per_tile": 15.0})
    marks = foil.marks()
    name = {
        "dust": "dust",
        "scratches": "scratch",
        "fibres": "fibre",
        "bubbles": "bubble",
        "drops": "drop",
    }[kind]
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
        _marks_of_cell((i, 0), _population(dust_per_tile=9, fibres_per_tile=9), back=back)
        for i in (-1, 0, 1)
        for back in (False, True)
    ]
    numbers = [set(c["mark"]) for c in cells]
    assert sum(map(len, numbers)) == len(set().union(*numbers))
    assert list(cells[0].columns) == MARK_COLUMNS
    assert len(_marks_of_cell((0, 0), _population())) == 0


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ({"dust_per_tile": -1}, r"marks\.dust_per_tile: expected 0 to 1000, found -1"),
        ({"hole_radius_mm": 0}, r"marks\.hole_radius_mm: expected 0\.01 to 5"),
        ({"holes_mm": (1.0,)}, r"marks\.holes_mm: expected pairs of x and y, found 1"),
        ({"holes_mm": ((1.0,),)}, r"marks\.holes_mm: expected 2 numbers"),
    ],
)
def test_impossible_marks_are_refused(marks, message):
    with pytest.raises(BadInput, match=message):
        Marks(**marks)


CODES = {"dust": 1, "scratch": 2, "fibre": 3, "bubble": 4, "hole": 5, "drop": 6}


def test_the_map_of_marks_agrees_with_their_list():
    rates = {f"{k}_per_tile": 40.0 for k in ("dust", "scratches", "fibres", "bubbles", "drops")}
    foil = _scan(**rates, holes_mm=((0.1, -0.05),))
    codes, marks = foil.marked(1), foil.marks()
    assert codes.shape == STILL.image_size
    assert codes.dtype == np.uint8
    y, x = np.mgrid[:200, :240]
    for kind, code in CODES.items():
        own = marks[marks["class"] == f"misc.{kind}"]
        assert len(own)
        near = np.zeros(codes.shape, bool)
        for mark in own.itertuples():
            near |= np.hypot(x - mark.x_px, y - mark.y_px) < mark.radius_px + 1
        inside = np.s_[70:-70, 70:-70]  # where no mark of a neighbour reaches in
        assert not ((codes == code) & ~near)[inside].any()
        assert (codes == code).any()


def test_later_kinds_lie_over_earlier_ones_and_nothing_is_nothing():
    foil = _scan(bubbles_per_tile=40.0, holes_mm=((0.1, -0.05),), hole_radius_mm=0.4)
    assert 5 in foil.marked(1)
    ((_, x, y),) = foil.scan.datum
    v, u = np.mgrid[:200, :240]
    assert (foil.marked(1)[np.hypot(u - x, v - y) < 60] == 5).all()
    assert not _scan().marked(1).any()


def test_variety_makes_scratches_differ_in_width_and_depth():
    plain, varied = (
        _marks_of_cell((0, 0), _population(scratches_per_tile=60, variety=v)) for v in (0.0, 1.0)
    )
    for name in ("radius_mm", "height_um"):
        spread = [np.log(t[name].abs()).std() for t in (plain, varied)]
        assert spread[1] > 1.2 * spread[0]
    along = varied.groupby("mark")["radius_mm"].nunique()
    assert (along > 1).mean() > 0.8
    assert (plain.groupby("mark")["radius_mm"].nunique() == 1).all()
