import pandas as pd
import pytest

from etchscope.api import TrainReport
from etchscope.foil import BadInput


def test_labels_that_are_probably_wrong_are_written(learnt, tmp_path):
    report = TrainReport("first", learnt.done, learnt.gathered.left_out)
    count = report.write_wrong_labels(tmp_path / "wrong.csv")
    written = pd.read_csv(tmp_path / "wrong.csv")
    assert len(written) == count
    assert written["id"].tolist() == report.list_wrong_labels()["id"].tolist()
    with pytest.raises(BadInput, match=r"expected a name that ends in \.csv, \.parquet or \.root"):
        report.write_wrong_labels(tmp_path / "wrong.txt")
