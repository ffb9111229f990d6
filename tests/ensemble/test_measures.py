import numpy as np
import pytest
from tests.ensemble.candidates import make_openings

from etchscope.ensemble import AS_TRAINED, MEASURES, gather_measures, pair_evidence
from etchscope.foil import PitFlag


def test_partners_are_heard_by_how_likely_they_are_one_particle():
    pits = make_openings(
        surface=["top", "top", "top", "unknown", "top"],
        hip=[4.0, 0.0, -5.0, 3.0, 3.0],
        flags=[0, 0, 0, 0, int(PitFlag.STEEP_PAIR)],
    )
    told = pair_evidence(pits)
    assert told[0] == pytest.approx(np.log(0.2 + 0.8 * np.exp(4)))
    assert told[1] == 0
    assert told[2] == pytest.approx(np.log(0.2), abs=0.03)  # the exit pit is hidden
    assert told[3:].tolist() == [0, 0]  # no surface; two openings at one place


def test_partners_have_the_measures_of_the_entry_pit_and_the_mean_of_both_votes():
    pits = make_openings(
        surface=["bottom", "top", "top", "bottom", "top"],
        partner=[1, 0, 3, 2, None],
        pair_dx_px=[-5.0, 5.0, 30.0, -30.0, None],
        pair_dy_px=[0.0, 0.0, 0.0, 0.0, None],
        radius_px=[4.0, 6.0, 5.0, 7.0, 3.0],
        entry=[None, 3.0, 1.0, None, 2.0],
        exit=[1.5, 0.5, None, 2.5, None],
    )
    experts = np.array([2.0, -1.0, 0.5, 1.5, np.nan])
    told = gather_measures(pits, experts)
    assert list(told.columns) == list(MEASURES)
    np.testing.assert_array_equal(told.iloc[0], told.iloc[1])
    # Partners far apart speak for themselves.
    assert told["experts"].tolist()[:4] == [0.5, 0.5, 0.5, 1.5]
    assert told["experts_apart"].tolist() == [3, 3, 0, 0, 0]
    # Labels teach nothing of exit pits: such experts are heard where they are surer.
    heard = AS_TRAINED.score(told.assign(pair=0.0))
    np.testing.assert_allclose(heard[:4], [2, 2, 0.5, 1.5])
    np.testing.assert_allclose(np.exp(told["log_radius"]), [6, 6, 5, 7, 3])
    assert told["entry"].tolist() == [3, 3, 1, -6, 2]
    assert told["no_exit"].tolist() == [0, 0, 1, 0, 1]
    # Only what no expert judged, as a mark, has no score.
    assert np.isfinite(told.iloc[:4].to_numpy()).all()
    assert np.isnan(AS_TRAINED.score(told)).tolist() == [False] * 4 + [True]
