import numpy as np

from etchscope.pages.content import ledger


def test_the_ledger_adds_up(make):
    content = make()
    rows = len(content.pits)
    counts = {"raw": rows + 30, "merged": 20, "outside_region": 10}
    lines = ledger(make(record={"counts": counts}))
    assert lines[:4] == [
        ("detections in all tiles", rows + 30, ""),
        ("− merged", 20, ""),
        ("− outside region", 10, ""),
        ("= rows of the pit table", rows, "adds up"),
    ]


def test_a_ledger_that_does_not_add_up_says_so(make):
    rows = len(make().pits)
    lines = ledger(make(record={"counts": {"raw": rows + 3, "merged": 1}}))
    assert lines[2] == ("= rows of the pit table", rows, f"does not add up: {rows + 2} expected")


def test_flagged_pits_are_counted_and_kept(make):
    pits = make().pits.assign(flags=lambda t: np.where(t["pit"] < 3, 1 | 4, 0))
    assert ledger(make(pits=pits)) == [
        ("rows of the pit table", len(pits), ""),
        ("of them flagged: edge", 3, "kept in the table"),
        ("of them flagged: merged duplicate", 3, "kept in the table"),
    ]
