"""What partners and surroundings say of an opening."""

import numpy as np
import pandas as pd
import pytest

from etchscope.ensemble import CONTEXT, beside_partner, measure_context, partner_rows
from etchscope.foil import PitFlag, as_pits

PITS = as_pits(
    pd.DataFrame(
        {
            "pit": [0, 1, 2, 3],
            "partner": pd.array([1, 0, pd.NA, pd.NA], dtype="Int64"),
            "surface": ["top", "bottom", "top", "unknown"],
            "x_px": [100.0, 108, 300, 50],
            "y_px": [100.0, 94, 300, 50],
            "radius_px": [5.0, 4, 6, 5],
            "ellipticity": [0.2, 0.1, 0.0, 0.0],
            "angle_deg": [36.87, 126.87, 0, 0],
            "depth_um": [30.0, 20, 25, np.nan],
            "contrast": [0.3, 0.2, 0.1, 0.1],
            "entry": [4.0, 4, 3, np.nan],
            "exit": [2.0, 2, np.nan, np.nan],
            "hip": [3.0, 3, -5, 0],
            "pair_dx_px": [8.0, 8, np.nan, np.nan],
            "pair_dy_px": [-6.0, -6, np.nan, np.nan],
            "pair_p": [0.01, 0.01, np.nan, np.nan],
            "density_per_mm2": [5.0] * 4,
            "flags": [0, 0, int(PitFlag.STEEP_PAIR), 0],
        }
    )
)


def measured(pits=PITS, scale=6.4516):
    table = measure_context(pits, pits[["x_px", "y_px"]].to_numpy(), scale)
    return pd.DataFrame(table, columns=list(CONTEXT))


def test_a_pair_is_known_from_both_its_openings():
    told = measured()
    assert told["is_top"].tolist() == [1, 0, 1, 0]
    assert told["is_steep"].tolist() == [0, 0, 1, 0]
    assert told["pair_ratio"].tolist() == [3, 3, -5, 0]
    assert told["log_chance"][:2].tolist() == pytest.approx([np.log(0.01)] * 2)
    assert told["distance"][:3].tolist() == [2, 2.5, 0]
    # The entry pit's long axis points along the displacement, the exit pit's across it.
    assert told["along"][:2].tolist() == pytest.approx([0.2, -0.1], abs=1e-4)
    assert told["partner_along"][:2].tolist() == pytest.approx([-0.1, 0.2], abs=1e-4)
    assert told["less_radius"][:3].tolist() == pytest.approx([np.log(1.25), -np.log(1.25), 0])
    assert told["less_depth"][0] == pytest.approx(np.log(1.5))
    assert told["odds"].tolist() == [4, 2, 3, 0]
    assert told["near_other"].tolist() == [1, 1, 0, 0]
    assert told["near_same"].tolist() == [0, 0, 0, 0]


def test_what_is_not_known_is_0():
    told = measured(scale=None)
    assert np.isfinite(told.to_numpy()).all()
    assert (told[["depth", "covered"]] == 0).all(axis=None)
    assert len(measured(PITS.iloc[:0])) == 0


def test_a_shift_of_the_scene_changes_nothing():
    moved = PITS.assign(x_px=PITS["x_px"] + 7, y_px=PITS["y_px"] - 5)
    np.testing.assert_allclose(measured(moved), measured())


def test_the_partner_s_experts_are_heard():
    said, around = np.arange(8.0).reshape(4, 2), np.zeros((4, 3))
    table = beside_partner(said, around, partner_rows(PITS))
    assert table.shape == (4, 7)
    assert table[:, 2:4].tolist() == [[2, 3], [0, 1], [0, 0], [0, 0]]
