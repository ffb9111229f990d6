import numpy as np
import pytest
from tests.evaluation.drawn_searches import (
    TEN,
    drawn,
    expected_false,
)

from etchscope.evaluation import (
    Requirement,
    choose_thresholds,
)
from etchscope.foil import BadInput


def test_a_threshold_that_allows_a_count_on_its_own_foil_lets_more_pass_on_others():
    # This is what 0.1 false a tile were before: on 10 tiles twice as many.
    rng = np.random.default_rng(6)
    foils = [drawn(rng, 10) for _ in range(400)]
    allowed = np.array([expected_false(f.threshold_for(false_per_tile=0.1)) for f in foils])
    assert allowed.mean() > 0.17
    (chosen,) = zip(
        *(choose_thresholds(f, Requirement(false_per_tile=0.1)) for f in foils), strict=True
    )
    now = expected_false(np.array(chosen))
    assert now.mean() == pytest.approx(0.1, abs=3 * now.std() / 20)


@pytest.mark.parametrize(
    ("rate", "threshold"),
    [
        (0.25, 7),  # one in four tiles
        (0.375, 6),  # halfway to the second, at 5
        (0.5, 5),
        (0.75, 4),
        (1.0, 2),
        (1.5, 0),  # all six
        (100, 0),
    ],
)
def test_thresholds_by_hand(rate, threshold):
    assert choose_thresholds(TEN, Requirement(false_per_tile=rate)) == (threshold,)


def test_an_efficiency_that_is_never_reached():
    with pytest.raises(BadInput, match="found 4 of 5 particles have a candidate at all"):
        choose_thresholds(TEN, Requirement(efficiency=0.9))
    assert choose_thresholds(TEN, Requirement(efficiency=0.8)) == (3,)
    assert str(Requirement(efficiency=0.8)) == "efficiency 0.8"
