import numpy as np
import pandas as pd
import pytest

from etchscope.foil import Foil, PitFlag, has_flag
from etchscope.physics.cone import compute_opening
from etchscope.preselect.openings import Shapes
from etchscope.preselect.tracks import add_tracks

UM, REMOVED, THICKNESS = 6.5, 60.0, 500.0
FACTS = Foil(
    name="F", thickness_um=THICKNESS, material="CR-39", etch={"removed_um": REMOVED, "hours": 6}
)
PHYSICS = ["v", "dip_deg", "azimuth_deg", "rel_kev_per_um", "z_over_beta"]


def pairs(n, *, v=2.5, zenith_deg=10.0, azimuth_deg=40.0, depth_scale=(1.0, 1.0), seed=1):
    """Return the pit table of n particles, entries first, and the rows of entries and exits."""
    rng = np.random.default_rng(seed)
    zenith, azimuth = np.deg2rad(zenith_deg), np.deg2rad(azimuth_deg)
    ratio = 1 + (v - 1) * np.exp(rng.normal(0, 0.1, (2, n)))
    x, y = rng.uniform(0, 1e4, (2, n))
    tables, shift = [], 0.0
    for k, surface in enumerate(("top", "bottom")):
        pit = compute_opening(
            ratio[k], np.full(n, np.pi / 2 - zenith), np.full(n, REMOVED), np.full(n, np.inf)
        )
        shift = shift + pit.shift_um
        radius = np.sqrt(pit.major_um * pit.minor_um) / 2 * np.exp(rng.normal(0, 0.03, n))
        depth = pit.depth_um * depth_scale[k] * np.exp(rng.normal(0, 0.1, n))
        tables.append(
            pd.DataFrame(
                {
                    "surface": surface,
                    "radius_px": radius / UM,
                    "radius_px_err": 0.03 * radius / UM,
                    "ellipticity": (1 - pit.minor_um / pit.major_um),
                    "ellipticity_err": 0.03,
                    "angle_deg": azimuth_deg % 180,
                    "x_px_err": 0.3,
                    "depth_um": depth,
                    "depth_um_err": 0.1 * depth,
                    "hip": 5.0,
                    "flags": 0,
                }
            )
        )
    apart = (THICKNESS * np.tan(zenith) - shift) / UM
    place = [np.column_stack([x, y]), np.column_stack([x, y])]
    place[1] += apart[:, None] * np.array([np.cos(azimuth), -np.sin(azimuth)])
    place[1] += rng.normal(0, 0.3 * np.sqrt(2), (n, 2))
    table = pd.concat(tables, ignore_index=True)
    return table, np.concatenate(place), np.arange(n), np.arange(n, 2 * n), ratio


def done(made, foil=FACTS, um=UM, **columns):
    table, place, entry, exit_, _ = made
    table = table.assign(**columns)
    return add_tracks(table, Shapes.of(table, place, um), entry, exit_, foil, um)


def test_pairs_give_direction_and_etch_ratio_of_either_pit_back():
    made = pairs(400)
    out = done(made)
    top = out.iloc[:400]
    assert top["dip_deg"].median() == pytest.approx(80, abs=0.2)
    assert top["azimuth_deg"].median() == pytest.approx(40, abs=1)
    for k in range(2):
        got = out["v"].to_numpy()[400 * k : 400 * (k + 1)]
        assert np.median(np.log(got - 1) - np.log(made[4][k] - 1)) == pytest.approx(0, abs=0.05)
    assert (top["dip_deg"].to_numpy() == out["dip_deg"].to_numpy()[400:]).all()
    assert top["dip_deg_err"].median() == pytest.approx(top["dip_deg"].std(), rel=0.2)
    assert (out["flags"] != 0).mean() < 0.02
    assert (out["wall_slope"] > 0).all()
    # V = 2.5 is far above the threshold of CR-39: Z/β is well known, and the same at both pits.
    assert (top["z_over_beta"].to_numpy() == out["z_over_beta"].to_numpy()[400:]).all()
    assert (top["z_over_beta_err"] / top["z_over_beta"]).median() < 0.15


def test_depths_of_each_surface_are_brought_to_the_scale_that_radii_ask_for():
    true, wrong = pairs(100), pairs(100, depth_scale=(1.4, 0.6))
    right, mended = done(true), done(wrong)
    assert mended["depth_um"].to_numpy() == pytest.approx(right["depth_um"].to_numpy(), rel=0.05)
    assert mended["v"].to_numpy() == pytest.approx(right["v"].to_numpy(), rel=0.1)
    # The scale is known no better than that of the radii.
    assert (mended["depth_um_err"] / mended["depth_um"] > 0.15).all()


def test_too_few_pairs_say_nothing_of_the_scale_of_depths():
    made = pairs(5, depth_scale=(1.4, 0.6))
    out = done(made)
    assert out["depth_um"].tolist() == made[0]["depth_um"].tolist()
    assert out["v"].notna().all()


@pytest.mark.parametrize(
    ("foil", "um", "flag"),
    [
        (FACTS.model_copy(update={"thickness_um": None}), UM, PitFlag.NO_THICKNESS),
        (FACTS, None, PitFlag.NO_THICKNESS),
    ],
)
def test_without_thickness_or_scale_the_columns_are_empty_and_say_why(foil, um, flag):
    out = done(pairs(30), foil, um)
    assert not {"v", "dip_deg"} & set(out.columns) or out[["v", "dip_deg"]].isna().all(axis=None)
    assert has_flag(out, flag).all()


@pytest.mark.parametrize("material", [None, "Kapton"])
def test_without_a_response_there_is_v_but_no_energy_loss(material):
    out = done(pairs(30), FACTS.model_copy(update={"material": material}))
    assert out["v"].notna().all()
    assert "rel_kev_per_um" not in out
    assert has_flag(out, PitFlag.NO_RESPONSE).all()


def test_a_pair_that_is_likelier_unrelated_or_cut_has_no_track():
    hip = np.full(60, 5.0)
    hip[[0, 30]] = -2.0
    flags = np.zeros(60, np.int64)
    flags[31] = int(PitFlag.EDGE)
    out = done(pairs(30), hip=hip, flags=flags)
    assert out.loc[[0, 30, 1, 31], PHYSICS].isna().all(axis=None)
    assert has_flag(out.loc[[0, 30]], PitFlag.UNLIKELY_PAIR).all()
    assert has_flag(out.loc[[1, 31]], PitFlag.NO_TRACK).all()
    assert out.loc[2:29, PHYSICS].notna().all(axis=None)


def test_the_wrong_thickness_is_flagged_where_tracks_are_slanted():
    slanted = pairs(100, zenith_deg=35.0, v=3.0)
    wrong = FACTS.model_copy(update={"thickness_um": 2.5 * THICKNESS})
    assert has_flag(done(slanted), PitFlag.POOR_TRACK).mean() < 0.05
    assert has_flag(done(slanted, wrong), PitFlag.POOR_TRACK).mean() > 0.5


def test_without_the_bulk_removed_etch_ratios_say_that_they_are_known_badly():
    made = pairs(100)
    error = [
        (out["v_err"] / (out["v"] - 1)).median()
        for out in (done(made), done(made, FACTS.model_copy(update={"etch": "6 h in NaOH"})))
    ]
    assert error[1] > 1.5 * error[0]


def test_tables_without_depths_or_pairs_pass():
    made = pairs(30)
    plain = (made[0].drop(columns=["depth_um", "depth_um_err"]), *made[1:])
    out = done(plain)
    assert "wall_slope" not in out
    assert out["v"].notna().all()
    none = np.empty(0, np.int64)
    empty = done((made[0], made[1], none, none, made[4]))
    assert empty["v"].isna().all()
