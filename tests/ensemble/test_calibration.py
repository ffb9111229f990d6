import numpy as np
import pytest
from tests.ensemble.candidates import draw_candidates, make_openings

from etchscope.ensemble import (
    AS_TRAINED,
    Calibration,
    fit_calibration,
    gather_measures,
    pair_evidence,
)
from etchscope.foil import BadInput
from etchscope.run.experts import SHIPPED
from etchscope.store import read_model


def test_the_score_of_taught_experts_adds_a_share_of_the_pair():
    pits = make_openings(surface=["top"], hip=[2.0])
    told = gather_measures(pits, np.array([1.25]))
    assert AS_TRAINED.score(told) == pytest.approx(1.25 + 0.38 * pair_evidence(pits))


def test_a_calibration_is_kept_as_json():
    measures, is_signal, _ = draw_candidates(2000, share=0.2)
    done = fit_calibration(measures, is_signal, fitted_on="drawn candidates")
    assert Calibration.from_record(done.to_record()) == done
    assert Calibration.from_record(AS_TRAINED.to_record()) == AS_TRAINED
    record = done.to_record()
    record["weights"]["colour"] = 1.0
    with pytest.raises(BadInput, match=r"model: calibration: expected .* found colour"):
        Calibration.from_record(record)
    with pytest.raises(ValueError, match="not known"):
        AS_TRAINED.log_abundance(measures)


def test_the_card_that_is_shipped_was_calibrated_on_random_foils():
    card = read_model(SHIPPED)[1]
    done = Calibration.from_record(card["calibration"])
    assert done.to_record() == card["calibration"]
    # Size and contrast say what they say for one kind of foil only.
    assert set(done.weights) == {"experts", "experts_apart", "pair", "log_density"}
    assert done.slopes == {}
    assert min(done.weights["experts"], done.weights["pair"]) > 0
    assert "random foils" in done.fitted_on
    assert done.spread > 0
    at, odds = np.array(done.abundance).T
    slope = np.polyfit(at, odds, 1)[0]
    assert slope == pytest.approx(-1, abs=0.15)  # signal is as abundant in crowds as elsewhere
