import numpy as np
import pandas as pd
import pytest

from etchscope.candidates import VOTE_COLUMNS, as_candidates, is_voted
from etchscope.foil import COLUMNS, BadInput

PIT_COLUMNS = [c.name for c in COLUMNS]


def test_the_columns_come_in_the_declared_order_and_dtype():
    given = {"logit_b": [1, 2], "anomaly": [3, 4], "score": [2, 1], "logit_a": [0.5, np.nan]}
    table = as_candidates(pd.DataFrame(given | {"distance": [1, 1]}, index=[7, 5]))
    assert list(table.columns) == [*PIT_COLUMNS, "distance", "anomaly", "logit_b", "logit_a"]
    assert table[["distance", "anomaly", "logit_b", "logit_a"]].dtypes.tolist() == ["float64"] * 4
    assert table["anomaly"].tolist() == [3, 4]
    assert table["score"].tolist() == [2, 1]


def test_what_the_model_said_may_be_absent():
    assert list(as_candidates({"score": [1.0]}).columns) == PIT_COLUMNS
    empty = as_candidates({"anomaly": [], "score": []})
    assert (len(empty), list(empty.columns)) == (0, [*PIT_COLUMNS, "anomaly"])


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"score": [1.0], "colour": ["red"]}, "the columns of the pit table only, found 'colour'"),
        ({"score": [1.0, np.nan]}, "expected a score in each row, found 1 null"),
        ({"score": [1.0], "anomaly": ["much"]}, "columns anomaly: expected float64"),
    ],
)
def test_another_table_is_refused(columns, text):
    with pytest.raises(BadInput, match=text):
        as_candidates(columns)


def test_the_columns_of_a_model_s_judgement_are_the_declared_ones(learnt):
    judged = learnt.done.model.score_columns
    voted = [name for name in judged if is_voted(name)]
    assert voted[:2] == [c.name for c in VOTE_COLUMNS]
    assert all(name.startswith("logit_") for name in voted[2:])
    assert set(judged) - set(voted) == {"score", *(n for n in judged if n.startswith("log_p_"))}
