import numpy as np
import pandas as pd
import pytest

from etchscope.foil import BadInput, Channel, tile_to_foil
from etchscope.simulate import Optics, Population, SimulatedScan, isolated

SMALL = Optics(image_size=(64, 80))
FEW = Population.of(background_per_tile=30, pairs_per_tile=6)


def _scan(seed=1, side="front", optics=SMALL, **change):
    return SimulatedScan(
        seed=seed, columns=3, rows=2, population=FEW, optics=optics, side=side, **change
    )


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
    assert [t.stage_x_mm for t in scan.tiles] == [0, 0, 4, 4, 8, 8]
    assert [t.stage_y_mm for t in scan.tiles] == [0, -3, 0, -3, 0, -3]
    back = _scan(side="back").scan
    assert [t.stage_x_mm for t in back.tiles] == [0, 0, -4, -4, -8, -8]
    assert (scan.name, back.name) == ("demo-front", "demo-back")
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
        t[t["x_px"].between(0.5, 79.5)].set_index(["tile", "pit"]).sort_index()
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
    assert hips["partner"].notna().all()
    assert singles["partner"].isna().all()
    assert singles["class"].tolist() == singles["surface"].tolist()
    once = hips.drop_duplicates("pit").set_index("pit")
    there = once[once["partner"].isin(once.index)]
    assert len(there) > 10
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
        seed=5, columns=1, rows=1, population=Population.of(25, 0), optics=quiet, side="back"
    )
    backlit, truth = foil.read_tile(1)[8].astype(float), foil.truth()
    assert len(truth) > 10
    y, x = np.mgrid[:240, :320]
    distance = np.hypot(
        x[..., None] - truth["x_px"].to_numpy(), y[..., None] - truth["y_px"].to_numpy()
    )
    # Ellipses reach farther than the radius; the far surface is blurred.
    far = (distance / truth["radius_px"].to_numpy()).min(axis=2)
    far[[*range(30), *range(-30, 0)]] = 0  # neighbours outside reach in
    far[:, [*range(30), *range(-30, 0)]] = 0
    assert backlit[far > 2.5].min() > 180
    inside = distance < 0.6 * truth["radius_px"].to_numpy()
    means = np.array([backlit[inside[..., k]].mean() for k in range(len(truth))])
    assert np.median(means) < 160
    assert means.max() < 178


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


def test_isolated_openings_touch_nothing():
    pixel_mm = 0.0064516
    places = pd.DataFrame(
        {"x_mm": [0, 9, 30, 45.1], "y_mm": [0.0, 0, 0, 0], "radius_px": [5.0, 5, 7, 8]}
    )
    places["x_mm"] *= pixel_mm
    assert isolated(places).tolist() == [False, False, True, True]
    assert isolated(places[:1]).tolist() == [True]
    assert isolated(places[:0]).tolist() == []
