import numpy as np
import pandas as pd
import pytest

from etchscope.evaluation import compare_methods, evaluate
from etchscope.foil import BadInput


def _px(x):
    return pd.DataFrame({"x_px": np.asarray(x, float), "y_px": np.zeros(len(x))})


TRUTH = _px([0, 100, 200, 300, 400])


def _judged(found, tolerance=5, rule="one-to-one", truth=TRUTH):
    return evaluate(truth, _px(found), rule=rule, tolerance_px=tolerance)


def test_who_finds_what():
    compared = compare_methods(_judged([0, 100, 200]), _judged([200, 300]))
    assert compared.counts == {"both": 1, "only_first": 2, "only_second": 1, "neither": 1}
    assert compared.either.value == 0.8
    assert compared.truths(TRUTH)["found_by"].tolist() == [
        "only_first",
        "only_first",
        "both",
        "only_second",
        "neither",
    ]
    assert compared.to_dict()["only_first"] == 2


def test_the_p_value_is_mcnemars():
    truth = _px(100 * np.arange(40))
    first, second = _judged(100 * np.arange(30), truth=truth), _judged([0], truth=truth)
    compared = compare_methods(first, second)
    assert compared.p_value == pytest.approx(2 * 0.5**29)
    assert compare_methods(first, first).p_value == 1


def test_only_judgements_of_one_truth_compare():
    for other in (_judged([0], 6), _judged([0], rule="nearest"), _judged([0], truth=_px([0]))):
        with pytest.raises(BadInput, match="comparison: "):
            compare_methods(_judged([0]), other)
