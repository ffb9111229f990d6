import numpy as np
import pandas as pd
import pytest

from etchscope.foil import BadInput, Channel
from etchscope.geometry import tile_to_foil
from etchscope.simulation import (
    TRUTH_COLUMNS,
    Hips,
    Marks,
    Optics,
    Population,
    SimulatedScan,
    Stage,
)

SMALL = Optics(image_size=(64, 80))
APART = Stage(overlap_px=(-540, -400))
FEW = Population.of(background_per_tile=1500, pairs_per_tile=300)


def _scan(seed=1, side="front", optics=SMALL, **change):
    given = {"stage": APART, "population": FEW} | change
    return SimulatedScan(seed=seed, columns=3, rows=2, optics=optics, side=side, **given)


def test_seed_decides_everything():
    one, again, other = _scan(), _scan(), _scan(seed=2)
    np.testing.assert_array_equal(one.read_tile(2), again.read_tile(2))
    pd.testing.assert_frame_equal(one.truth(), again.truth())
    assert not np.array_equal(one.read_tile(2), other.read_tile(2))
    assert not np.array_equal(one.read_tile(2), one.read_tile(3))


def test_a_tile_does_not_depend_on_those_before_it():
    one, other = _scan(), _scan()
    forwards = [one.read_tile(n) for n in range(1, 7)]
    backwards = [other.read_tile(n) for n in range(6, 0, -1)]
    np.testing.assert_array_equal(forwards, backwards[::-1])


def test_scan_is_laid_out_column_by_column():
    scan = _scan().scan
    assert [t.number for t in scan.tiles] == [1, 2, 3, 4, 5, 6]
    x = np.array([t.stage_x_mm for t in scan.tiles])
    np.testing.assert_allclose(x, [0, 0, 4, 4, 8, 8], atol=1e-4)
    y = [t.stage_y_mm for t in scan.tiles]
    np.testing.assert_allclose(y, [0, -2.993542] * 3, atol=1e-4)
    back = _scan(side="back").scan
    np.testing.assert_array_equal([t.stage_x_mm for t in back.tiles], -x)
    assert (scan.name, back.name) == ("simulated-front", "simulated-back")
    assert _scan().read_tile(1).shape == (10, 64, 80)


def test_truth_lies_where_its_pixels_say():
    for side in ("front", "back"):
        foil = _scan(side=side)
        truth = foil.truth()
        x, y = tile_to_foil(
            truth["tile"].to_numpy(), truth["x_px"].to_numpy(), truth["y_px"].to_numpy(), foil.scan
        )
        np.testing.assert_allclose(truth["x_mm"], x, atol=1e-9)
        np.testing.assert_allclose(truth["y_mm"], y, atol=1e-9)
        assert truth["x_px"].between(-0.5, 79.5).all()
        assert truth["y_px"].between(-0.5, 63.5).all()


def test_the_back_shows_the_same_openings_turned_over():
    front, back = _scan(side="front").truth(), _scan(side="back").truth()
    # The reference pixel is half a pixel off the middle, so what x = −0.3 shows the other lacks.
    a, b = (
        t[t["x_px"].between(0.5, 79.5)]
        .assign(on_front=t["surface"].eq("top") == t["side"].eq("front"))
        .set_index(["tile", "particle", "on_front"])
        .sort_index()
        for t in (front, back)
    )
    assert len(a) > 100
    assert a.index.tolist() == b.index.tolist()
    np.testing.assert_allclose(b[["x_mm", "y_mm"]], a[["x_mm", "y_mm"]], atol=1e-9)
    np.testing.assert_allclose(b["x_px"], 80 - a["x_px"], atol=1e-6)
    np.testing.assert_allclose(b["y_px"], a["y_px"], atol=1e-6)
    assert b["surface"].tolist() == a["surface"].map({"top": "bottom", "bottom": "top"}).tolist()
    np.testing.assert_allclose(b["angle_deg"], (180 - a["angle_deg"]) % 180)
    assert b["radius_px"].tolist() == a["radius_px"].tolist()
    assert (set(front["side"]), set(back["side"])) == ({"front"}, {"back"})


def test_truth_partners_are_mutual():
    truth = _scan().truth()
    hips = truth[truth["class"] == "hip"]
    singles = truth[truth["class"] != "hip"]
    assert len(hips) > 20
    assert singles["partner"].isna().all()
    assert singles["class"].tolist() == singles["surface"].tolist()
    once = hips.drop_duplicates("pit").set_index("pit")
    there = once[once["partner"].isin(once.index)]
    # A tile shows few of the partners that lie across its edge.
    assert len(there) == once["partner"].notna().sum() > 20
    partner = once.loc[there["partner"].astype(int)]
    assert partner["partner"].astype(int).tolist() == there.index.tolist()
    assert (partner["surface"].to_numpy() != there["surface"].to_numpy()).all()


def test_overlap_shows_the_same_openings_in_both_tiles():
    foil = SimulatedScan(seed=3, columns=2, rows=2, population=Population.of(300, 20))
    truth = foil.truth()
    twice = truth[truth.duplicated("pit", keep=False)]
    assert twice["pit"].nunique() > 30
    for column in ("x_mm", "y_mm", "radius_px", "angle_deg"):
        assert np.ptp(twice.groupby("pit")[column].agg(["min", "max"]), axis=1).max() < 1e-9
    assert len(twice[["pit", "surface"]].drop_duplicates()) == twice["pit"].nunique()
    left, right = twice[twice["tile"] == 1], twice[twice["tile"] == 3]
    both = left.merge(right, on="pit")
    # 4.0 mm of stage are 620.0 pixels.
    np.testing.assert_allclose(both["x_px_x"] - both["x_px_y"], 620, atol=0.01)
    np.testing.assert_allclose(both["y_px_x"], both["y_px_y"], atol=1e-6)


def test_overlap_pixels_agree():
    quiet = Optics(texture=0.0, read_noise=0.3, unevenness=0.0)
    foil = SimulatedScan(seed=4, columns=2, rows=1, population=Population.of(400, 20), optics=quiet)
    left, right = (foil.read_tile(n)[8].astype(float) for n in (1, 2))
    inner = np.s_[:, 3:17]  # the blur needs neighbours
    here, there = left[:, 620:][inner], right[:, :20][inner]
    assert np.corrcoef(here.ravel(), there.ravel())[0, 1] > 0.99
    assert np.corrcoef(here.ravel(), there[::-1].ravel())[0, 1] < 0.5


def test_pictures_show_the_truth():
    quiet = Optics(image_size=(240, 320), texture=0.0, read_noise=0.1, unevenness=0.0)
    foil = SimulatedScan(
        seed=5, columns=1, rows=1, population=Population.of(100, 0), optics=quiet, side="back"
    )
    backlit, truth = foil.read_tile(1)[8].astype(float), foil.truth()
    truth = truth[truth["radius_px"] > 2.5]
    assert len(truth) > 10
    y, x = np.mgrid[:240, :320]
    distance = np.hypot(
        x[..., None] - truth["x_px"].to_numpy(), y[..., None] - truth["y_px"].to_numpy()
    )
    # Ellipses reach farther than the radius; the far surface is blurred.
    far = (distance / truth["radius_px"].to_numpy()).min(axis=2)
    far[[*range(30), *range(-30, 0)]] = 0  # neighbours outside reach in
    far[:, [*range(30), *range(-30, 0)]] = 0
    bulk = np.median(backlit)
    assert backlit[far > 3].min() > 0.8 * bulk
    inside = distance < 0.6 * truth["radius_px"].to_numpy()
    means = np.array([backlit[inside[..., k]].mean() for k in range(len(truth))])
    assert np.median(means) < 0.6 * bulk
    assert means.max() < 0.95 * bulk


@pytest.mark.parametrize("number", [0, 7, -1])
def test_unknown_tile_is_refused(number):
    with pytest.raises(BadInput, match=f"simulation: tile: expected 1 to 6, found {number}"):
        _scan().read_tile(number)


@pytest.mark.parametrize(("name", "bad"), [("seed", -1), ("columns", 0), ("rows", -3)])
def test_bad_scans_are_refused(name, bad):
    with pytest.raises(BadInput, match=f"simulation: {name}: expected"):
        SimulatedScan(**({"seed": 0} | {name: bad}))


def test_an_empty_foil_has_an_empty_truth():
    foil = SimulatedScan(seed=1, columns=1, rows=1, population=Population.of(0, 0), optics=SMALL)
    assert len(foil.truth()) == 0
    assert foil.read_tile(1).std(axis=(1, 2)).max() < 20


def test_other_optics_give_other_channels():
    one = Optics(image_size=(32, 40), channels=(Channel(step=1, role="backlit"),))
    foil = SimulatedScan(seed=1, columns=1, rows=1, optics=one)
    assert foil.read_tile(1).shape == (1, 32, 40)
    assert [c.role for c in foil.scan.channels] == ["backlit"]


def test_rotation_offset_and_jitter_move_the_pictures_and_not_the_truth():
    """The frame of a scan with datum holes is the sheet's, however the foil lay on the stage."""
    population = Population(
        Hips(per_tile=300), marks=Marks(holes_mm=((0, 0), (0.1, -0.2), (0.25, 0.0)))
    )
    change = {"population": population, "stage": Stage(overlap_px=(10, 10))}
    straight = _scan(**change)
    moved = _scan(
        **change | {"stage": Stage(rotation_deg=5, offset_mm=(0.02, -0.03), overlap_px=(10, 10))}
    )
    assert len(straight.scan.datum) == len(moved.scan.datum) == 3
    one, other = (
        f.truth().drop_duplicates(["particle", "surface"]).set_index(["particle", "surface"])
        for f in (straight, moved)
    )
    both = one.merge(other, left_index=True, right_index=True, suffixes=("", "_moved"))
    assert len(both) > 20
    # Datum holes are recorded to a thousandth of a pixel.
    np.testing.assert_allclose(both["x_mm"], both["x_mm_moved"], atol=1e-4)
    np.testing.assert_allclose(both["y_mm"], both["y_mm_moved"], atol=1e-4)
    turned = (both["azimuth_deg_moved"] - both["azimuth_deg"]) % 360
    np.testing.assert_allclose(turned, 5, atol=1e-6)
    assert (both["x_px"] - both["x_px_moved"]).abs().max() > 2
    shaken = _scan(stage=Stage(jitter_um=13.0, overlap_px=(-540, -400)))
    still, truth = _scan().truth(), shaken.truth()
    both = still.merge(truth, on=["tile", "particle", "surface"], suffixes=("", "_moved"))
    np.testing.assert_allclose(both["x_mm"], both["x_mm_moved"], atol=1e-9)
    shift = (both["x_px_moved"] - both["x_px"]).groupby(both["tile"])
    assert shift.std().max() < 1e-6
    assert 0.5 < shift.mean().std() < 6


def test_another_magnification_is_the_same_foil():
    wide = _scan(optics=Optics(image_size=(64, 80)))
    fine = _scan(
        optics=Optics(image_size=(128, 160), pixel_size_um=6.4516 / 2),
        stage=Stage(overlap_px=(-1080, -800)),
    )
    one, other = wide.truth(), fine.truth()
    keys = ["tile", "particle", "surface"]
    both = one.merge(other, on=keys, suffixes=("", "_fine"))
    assert len(both) > 0.9 * len(one)
    np.testing.assert_allclose(both["radius_px_fine"], 2 * both["radius_px"])
    np.testing.assert_allclose(both["x_mm"], both["x_mm_fine"], atol=1e-4)
    np.testing.assert_allclose(both["v"], both["v_fine"])


def test_a_foil_of_a_stack_has_the_same_ions_and_other_pictures():
    first, next_ = (_scan(exposure=n) for n in (0, 1))
    ions = [set(f.truth().query("`class` == 'hip'")["particle"]) for f in (first, next_)]
    assert ions[0] == ions[1] != set()
    rest = [f.truth().query("`class` != 'hip'")["x_mm"].tolist() for f in (first, next_)]
    assert rest[0] != rest[1]
    assert (first.read_tile(1) != next_.read_tile(1)).any()


def test_truth_can_be_had_tile_by_tile():
    foil = _scan()
    whole, part = foil.truth(), foil.truth([2, 5])
    assert set(part["tile"]) == {2, 5}
    columns = ["x_px", "y_px", "particle", *TRUTH_COLUMNS]
    expected = whole[whole["tile"].isin([2, 5])].reset_index(drop=True)
    pd.testing.assert_frame_equal(part[columns], expected[columns])
