import pytest
from tests.processes import run_codes

WRITE = """
import pandas as pd
from etchscope.store import Store

store = Store.open({path!r})
for number in range({count}):
    label = {{"id": f"{who}-{{number}}", "scan": "F1-front", "tile": 1 + number % 11, "x_px": 8.0,
        "y_px": 6.0, "class": "hip", "who": {who!r}, "source": "person",
        "when": f"2026-05-01T00:{{number // 60:02d}}:{{number % 60:02d}}Z"}}
    table = pd.DataFrame([label])
    assert store.labels.add(table) == 1
"""


@pytest.mark.parametrize("count", [10])
def test_no_label_of_eight_writers_is_lost_or_there_twice(store, count):
    people = [f"p{k}" for k in range(8)]
    codes = [WRITE.format(path=str(store.path), who=who, count=count) for who in people]
    assert run_codes(codes) == [0] * 8
    table = store.labels.table(latest=False)
    assert sorted(table["id"]) == sorted(f"{who}-{n}" for who in people for n in range(count))
    for _, own in table.groupby("who"):
        assert own["when"].is_monotonic_increasing  # in the order of arrival
    assert store.check() == []
