import math

import pytest

from etchscope.evaluation import (
    Requirement,
)
from etchscope.foil import BadInput


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({}, "working point: expected an efficiency or false candidates per tile, found not one"),
        ({"efficiency": 0.5, "false_per_tile": 1}, "expected an efficiency or false candidates"),
        ({"efficiency": 0.0}, "efficiency: expected above 0, at most 1, found 0"),
        ({"efficiency": math.nan}, "efficiency: expected above 0, at most 1, found nan"),
        (
            {"false_per_tile": 0.0},
            r"false candidates: expected above 0, found 0\.0\. A thresh",
        ),
        ({"false_per_tile": math.nan}, "false candidates: expected above 0, found nan"),
        ({"false_per_tile": math.inf}, "false candidates: expected above 0, found inf"),
    ],
)
def test_what_cannot_be_asked_for(wanted, message):
    with pytest.raises(BadInput, match=message):
        Requirement(**wanted)
