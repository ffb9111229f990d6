from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from etchscope.background.star_model import tabulate_prongs
from etchscope.background.stars import find_apart, find_stars, scramble
from etchscope.foil import BadInput, as_pits
from etchscope.foil.stars import PRONG_COLUMNS, STAR_COLUMNS
from etchscope.preselect.openings import Shapes
from etchscope.simulation import Sheet, Stars

UM = 6.4516
SIZE = 1200.0
RECTANGLE = np.array([[0.0, SIZE, 0.0, SIZE]])
SHEET = Sheet()
CENTRES = np.array([[200.0, 250.0], [600.0, 600.0], [900.0, 300.0], [300.0, 900.0]])


def table(x, y, radius, e, angle, surface="top"):
    """Pits with known errors; the depth is that of a cone with the same slope."""
    n = len(x)
    pits = as_pits(
        {
            "x_px": x,
            "y_px": y,
            "surface": [surface] * n,
            "radius_px": radius,
            "radius_px_err": 0.06 * radius,
            "ellipticity": e,
            "ellipticity_err": np.full(n, 0.04),
            "angle_deg": angle % 180,
            "x_px_err": np.full(n, 0.4),
            "pit": np.arange(n),
            "tile": np.ones(n, int),
        }
    )
    return pits, np.column_stack([x, y])


def unrelated(rng, n=300):
    e = rng.choice([0.05, 0.1, 0.2, 0.4], n)
    x, y = rng.uniform(0, SIZE, (2, n))
    return [x, y, rng.uniform(2.5, 7, n), e, rng.uniform(0, 180, n)]


def planted(rng, centres=CENTRES, prongs=4, turned=0.0):
    """Unrelated pits, and stars of long openings whose long axes point to one place."""
    azimuth = (np.arange(prongs) * 360 / prongs + 10.0)[None, :] + np.zeros((len(centres), 1))
    distance = 14.0 + 2 * np.arange(prongs)[None, :] + np.zeros((len(centres), 1))
    a = np.deg2rad(azimuth)
    stars = [
        (centres[:, :1] + distance * np.cos(a)).ravel(),
        (centres[:, 1:] - distance * np.sin(a)).ravel(),
        np.full(a.size, 4.5),
        np.full(a.size, 0.45),
        (azimuth + turned).ravel(),
    ]
    return table(*(np.r_[u, s] for u, s in zip(unrelated(rng), stars, strict=True)))


def search(pits, place, **options):
    return find_stars(pits, place, RECTANGLE, sheet=SHEET, pixel_size_um=UM, copies=4, **options)


def test_planted_stars_are_found_where_they_are():
    pits, place = planted(np.random.default_rng(1))
    before = pits.copy()
    found = search(pits, place)
    assert list(found.stars) == [c.name for c in STAR_COLUMNS]
    assert list(found.prongs) == [c.name for c in PRONG_COLUMNS]
    best = found.stars[found.stars["selected"]]
    assert len(best) == 4
    assert (best["prongs"] == 4).all()
    gap = np.hypot(*(best[["x_px", "y_px"]].to_numpy()[:, None] - CENTRES).transpose(2, 0, 1))
    assert gap.min(0).max() < 2.5
    assert sorted(gap.argmin(1)) == [0, 1, 2, 3]
    members = found.prongs[found.prongs["star"].isin(best["star"])]
    assert set(members["pit"]) == set(range(300, 316))
    assert (members["class"] == "top.spallation").all()
    assert members["distance_px"].between(10, 24).all()
    pd.testing.assert_frame_equal(pits, before)


def test_the_direction_of_long_axes_decides():
    rng = np.random.default_rng
    right = search(*planted(rng(1))).stars
    across = search(*planted(rng(1), turned=90.0)).stars
    assert right["score"].head(4).min() > across["score"].max() + 3
    assert not across["selected"].any()


def test_scrambled_pits_have_as_many_stars_as_expected_by_accident():
    rng = np.random.default_rng(3)
    found = search(*table(*unrelated(rng, 2500)))
    of_copy = len(found.accidental) / found.copies
    assert of_copy > 60
    assert abs(len(found.stars) - of_copy) < 4 * np.sqrt(of_copy)
    good = found.accidental["score"].quantile(0.75)
    assert (found.stars["score"] > good).sum() < 0.25 * of_copy + 4 * np.sqrt(0.25 * of_copy)
    counts = found.count()
    assert counts["found"].sum() == found.stars["selected"].sum() <= 2


def test_counts_add_up_and_have_intervals():
    found = search(*planted(np.random.default_rng(1)))
    for by in ("kind", "prongs"):
        counts = found.count(by)
        assert counts["found"].sum() == 4
        assert (counts["net"] == counts["found"] - counts["accidental"]).all()
        assert (counts["low"] <= counts["high"]).all()
        assert (counts["high"] > 3).all()
    four = found.count("prongs").set_index("prongs").loc[4]
    assert four["low"] == pytest.approx(1.0899 - four["accidental"], abs=1e-3)


def test_both_surfaces_are_searched_and_the_seed_decides_the_copies():
    pits, place = planted(np.random.default_rng(1))
    both = pd.concat([pits, pits.assign(surface="bottom", pit=pits["pit"] + 1000)])
    twice = search(both.reset_index(drop=True), np.concatenate([place, place]))
    best = twice.stars[twice.stars["selected"]]
    assert best["surface"].value_counts().to_dict() == {"top": 4, "bottom": 4}
    assert (twice.prongs["class"].str.startswith("bottom") == (twice.prongs["pit"] >= 1000)).all()
    one, again, other = (search(pits, place, seed=s) for s in (0, 0, 1))
    pd.testing.assert_frame_equal(one.accidental, again.accidental)
    assert len(one.accidental) != len(other.accidental) or not np.allclose(
        one.accidental["score"], other.accidental["score"]
    )


@pytest.mark.parametrize("rows", [0, 1])
def test_without_pits_there_are_no_stars(rows):
    pits, place = planted(np.random.default_rng(1))
    found = search(pits.head(rows), place[:rows])
    assert len(found.stars) == len(found.prongs) == len(found.accidental) == 0
    assert list(found.stars) == [c.name for c in STAR_COLUMNS]
    assert found.count()["found"].tolist() == [0, 0, 0, 0]


def test_a_wrong_purity_and_no_copies_are_refused():
    pits, place = planted(np.random.default_rng(1))
    with pytest.raises(BadInput, match=r"stars: purity: expected 0 to 1, found 1\.5"):
        search(pits, place, purity=1.5)
    with pytest.raises(BadInput, match="stars: copies: expected 1 or more, found 0"):
        find_stars(pits, place, RECTANGLE, sheet=SHEET, pixel_size_um=UM, copies=0)


def test_openings_within_a_larger_one_are_one_with_it():
    x = np.array([10.0, 14.0, 30.0, 36.5])
    pits, place = table(x, np.zeros(4), np.array([5.0, 4.0, 5.0, 4.0]), np.zeros(4), np.zeros(4))
    assert find_apart(Shapes.of(pits, place, UM)).tolist() == [0, 2, 3]


def test_a_scrambled_copy_keeps_shapes_and_moves_within_reach():
    pits, place = planted(np.random.default_rng(1))
    shapes = Shapes.of(pits, place, UM)
    moved = scramble(shapes, 30.0, np.random.default_rng(0))
    gap = np.hypot(moved.x - shapes.x, moved.y - shapes.y)
    assert gap.max() < 30
    assert np.median(gap) == pytest.approx(30 / np.sqrt(2), rel=0.1)
    assert np.allclose(moved.ellipticity, shapes.ellipticity)
    assert abs(np.corrcoef(moved.e_cos, shapes.e_cos)[0, 1]) < 0.2
    assert (moved.log_radius == shapes.log_radius).all()


def test_the_table_of_prongs_counts_every_opening_once():
    tables = {
        surface: tabulate_prongs(
            "forward", surface, SHEET, Stars(), pixel_size_um=UM, least_radius_px=2.0
        )
        for surface in ("entry", "exit")
    }
    for one in tables.values():
        edges = np.arange(one.log_density.shape[1] + 1) * one.step_px
        area = np.pi * np.diff(edges**2)
        assert np.allclose((np.exp(one.log_density) * area).sum(1), one.seen, rtol=0.05)
        assert one.weight.sum() == pytest.approx(1)
        assert ((one.mean[:, :, 2] >= 0) & (one.mean[:, :, 2] < 0.9)).all()
    # Forward prongs leave the surface of entry, so deep vertices are seen on the other one only.
    assert tables["entry"].seen[-1] == 0
    assert tables["exit"].seen[6] > 0.2
    # The farther an opening from a deep vertex, the flatter its track, the longer it is.
    far = tables["exit"].mean[8, :, 2]
    assert far[20] > far[5] + 0.1
    with pytest.raises(BadInput, match="max_prongs"):
        replace(Stars(), max_prongs=1)
