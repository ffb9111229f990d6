import numpy as np
import pandas as pd
from tests.foil.events import events_of

from etchscope.foil import (
    WITHDRAWN,
    as_labels,
    find_replacements,
    reconcile_labels,
    select_standing,
)


def test_the_latest_of_each_person_and_place_stands():
    labels = events_of(
        ("anna", 2, 0.01, "top"),
        ("anna", 1, 0.0, "hip"),
        ("ben", 1, 0.0, "hip"),
        ("anna", 3, 0.5, "misc"),
    )
    assert select_standing(labels, tolerance_mm=0.02)["class"].tolist() == ["top", "hip", "misc"]
    assert find_replacements(labels, tolerance_mm=0.02).tolist() == [pd.NA, 0, pd.NA, pd.NA]
    assert len(select_standing(labels, tolerance_mm=0.005)) == 4


def test_a_label_is_withdrawn_and_given_again():
    first = [("anna", 1, 0.0, "hip"), ("anna", 2, 0.0, WITHDRAWN)]
    assert len(select_standing(events_of(*first), tolerance_mm=0.02)) == 0
    again = select_standing(events_of(*first, ("anna", 3, 0.0, "top")), tolerance_mm=0.02)
    assert again["class"].tolist() == ["top"]


def test_neighbours_given_in_one_go_stand_and_only_the_nearest_is_replaced():
    crowd = [("anna", 1, 0.01 * i, "top") for i in range(5)]
    assert len(select_standing(events_of(*crowd), tolerance_mm=0.02)) == 5
    found = select_standing(events_of(*crowd, ("anna", 2, 0.021, "hip")), tolerance_mm=0.02)
    assert found["x_mm"].tolist() == [0.0, 0.01, 0.03, 0.04, 0.021]


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(4)
    events = [("anna", int(d), float(x), "top") for d, x in rng.uniform((1, 0), (9, 0.3), (60, 2))]
    labels = events_of(*events)
    one = select_standing(labels, tolerance_mm=0.02)["x_mm"].sort_values().tolist()
    mixed = labels.sample(frac=1, random_state=1)
    assert select_standing(mixed, tolerance_mm=0.02)["x_mm"].sort_values().tolist() == one
    assert len(one) < 60


def test_where_there_is_no_scale_the_tile_is_the_place():
    labels = as_labels(
        {
            "scan": ["S"] * 3,
            "tile": [1, 1, 2],
            "x_px": [5.0, 7.0, 7.0],
            "y_px": [5.0, 5.0, 5.0],
            "class": ["top", "hip", "misc"],
            "who": ["anna"] * 3,
            "when": ["2026-05-01", "2026-05-02", "2026-05-03"],
        }
    )
    assert select_standing(labels, tolerance_mm=1.0)["class"].tolist() == ["hip", "misc"]


def test_a_tolerance_may_be_of_the_foil():
    events = (("anna", 1, 0.0, "hip"), ("anna", 2, 0.01, "top"))
    labels = pd.concat([events_of(*events), events_of(*events, foil="F2")], ignore_index=True)
    found = select_standing(labels, tolerance_mm={"F1": 0.02, "F2": 0.005})
    assert found["foil"].tolist() == ["F1", "F2", "F2"]


# One label per place ---------------------------------------------------------------------------


def _labels(*rows):
    """Labels as (class, who, when, source, x in µm)."""
    class_, who, when, source, x = zip(*rows, strict=True)
    return as_labels(
        pd.DataFrame(
            {
                "foil": "F1",
                "side": "front",
                "x_mm": np.array(x) / 1000,
                "y_mm": 0.0,
                "class": class_,
                "who": who,
                "when": [f"2026-05-{day:02d}" for day in when],
                "source": source,
            }
        )
    )


def _standing(*rows):
    kept, conflicts = reconcile_labels(_labels(*rows), tolerance_mm=0.02)
    return list(zip(kept["class"], kept["who"], strict=True)), len(conflicts)


def test_a_later_label_of_another_person_corrects_one():
    """Twenty corrected labels were trained on beside the wrong ones: 2,018 labels, 1,998 places."""
    rng = np.random.default_rng(1)
    x = 50.0 * rng.permutation(1998)
    wrong = [("hip", "anna", 1, "person", v) for v in x]
    right = [("top", "ben", 2, "person", v + 3) for v in x[:20]]
    kept, conflicts = reconcile_labels(_labels(*wrong, *right), tolerance_mm=0.02)
    assert (len(kept), len(conflicts)) == (1998, 0)
    assert (kept["who"] == "ben").sum() == (kept["class"] == "top").sum() == 20


def test_a_person_stands_before_a_model_however_late():
    labels = ("top", "net", 9, "model", 0), ("hip", "anna", 1, "person", 2)
    assert _standing(*labels) == ([("hip", "anna")], 0)
    labels = ("top", "stack", 9, "coincidence", 0), ("hip", "net", 1, "model", 2)
    assert _standing(*labels) == ([("top", "stack")], 0)


def test_labels_of_the_same_time_that_disagree_are_left_out_and_counted():
    labels = ("top", "anna", 1, "person", 0), ("hip", "ben", 1, "person", 2)
    assert _standing(*labels, ("top", "anna", 1, "person", 500)) == ([("top", "anna")], 1)
    same = ("top", "anna", 1, "person", 0), ("top.spallation", "ben", 1, "person", 2)
    assert _standing(*same)[1] == 0
    assert len(_standing(*same)[0]) == 1


def test_one_of_the_labels_of_a_place_in_conflict_is_returned():
    labels = _labels(
        ("top", "anna", 1, "person", 0),
        ("hip", "ben", 1, "person", 2),
        ("misc", "cara", 1, "person", 4),
        ("hip", "net", 2, "model", 1),
    )
    kept, disputed = reconcile_labels(labels, tolerance_mm=0.02)
    assert len(kept) == 0
    assert disputed["who"].tolist() == ["anna"]


def test_what_one_person_labels_on_two_scans_at_once_is_of_one_place():
    labels = _labels(*[("hip", "anna", 1, "person", x) for x in (0, 8, 2, 9)])
    alike = labels.assign(scan=["first", "first", "again", "again"])
    kept, disputed = reconcile_labels(alike, tolerance_mm=0.02)
    assert kept["x_mm"].tolist() == [0.0, 0.008]
    assert len(disputed) == 0
    other = alike.assign(**{"class": ["hip", "hip", "top", "hip"]})
    kept, disputed = reconcile_labels(other, tolerance_mm=0.02)
    assert (kept["x_mm"].tolist(), disputed["x_mm"].tolist()) == ([0.008], [0.0])


def test_neighbours_in_a_crowd_keep_their_labels():
    labels = [
        (c, who, 1, "person", x) for who in ("anna", "ben") for c, x in (("hip", 0), ("top", 8))
    ]
    kept, conflicts = _standing(*labels)
    assert sorted(c for c, _ in kept) == ["hip", "top"]
    assert conflicts == 0


def test_who_cannot_decide_takes_the_place_too():
    labels = ("hip", "anna", 1, "person", 0), ("maybe", "ben", 2, "person", 2)
    assert _standing(*labels) == ([("maybe", "ben")], 0)
