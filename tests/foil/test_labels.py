import numpy as np
import pandas as pd
import pytest

from etchscope.foil import (
    LABEL_COLUMNS,
    WITHDRAWN,
    BadInput,
    as_labels,
    event_digests,
    latest,
    one_of_each_place,
    region_corners,
    region_text,
    succession,
    with_ids,
)

DAY = "2026-05-0{}"


def said(*events, foil="F1"):
    """Events as (who, day, x_mm, class)."""
    return as_labels(
        {
            "foil": [foil] * len(events),
            "side": ["front"] * len(events),
            "x_mm": [e[2] for e in events],
            "y_mm": [0.0] * len(events),
            "class": [e[3] for e in events],
            "who": [e[0] for e in events],
            "when": [DAY.format(e[1]) for e in events],
        }
    )


def test_all_columns_in_order_and_dtype():
    for labels in (as_labels({}), said(("anna", 1, 0.0, "hip"))):
        assert list(labels.columns) == [c.name for c in LABEL_COLUMNS]
        assert [str(d) for d in labels.dtypes] == [c.dtype for c in LABEL_COLUMNS]


def test_times_are_utc():
    given = ["2026-05-01", "2026-05-01T12:00:00+02:00", "2026-05-01 12:00:00.25"]
    times = as_labels({"when": given})["when"]
    assert [t.isoformat() for t in times] == [
        "2026-05-01T00:00:00+00:00",
        "2026-05-01T10:00:00+00:00",
        "2026-05-01T12:00:00.250000+00:00",
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"colour": ["red"]}, "the columns of labels only, found 'colour'"),
        ({"when": ["2026-05-01", "soon"]}, "column when, row 2: expected a time .*, found 'soon'"),
        ({"when": [20260501]}, "column when: expected times as 2026-05-01T12:00:00Z"),
        ({"side": ["left"]}, "column side, row 1: expected front, back, found 'left'"),
        ({"source": ["dog"]}, "expected person, model, coincidence, found 'dog'"),
        ({"x_mm": [np.inf], "y_mm": [0.0]}, "column x_mm, row 1: expected a finite number"),
        ({"x_mm": [1.0]}, "column x_mm, y_mm, row 1: expected both or neither"),
        ({"x_mm": ["a"]}, "column x_mm: expected values of dtype float64"),
        ({"tile": [1.5]}, "column tile: expected whole numbers"),
        ({"region_mm": ["[[0,0],[1,1]]"]}, "region_mm, row 1: expected three corners or more"),
        ({"region_px": ["[[0,0],[1,1],[2]]"]}, "region_px, row 1: expected corners as"),
        ({"region_px": ["round"]}, "region_px, row 1: expected corners as"),
        ({"region_px": ["[[0,0],[1,1],[2,NaN]]"]}, "region_px, row 1: expected corners as"),
    ],
)
def test_what_is_no_label_is_named(columns, message):
    with pytest.raises(BadInput, match=f"mine.csv.*{message}"):
        as_labels(columns, where="mine.csv")


def test_regions_come_back():
    corners = np.array([[0, 0], [1.5, 0], [0.25, -3]])
    np.testing.assert_array_equal(region_corners(region_text(corners)), corners)


def test_the_input_is_not_changed():
    given = pd.DataFrame({"x_mm": [1], "y_mm": [2], "region_mm": ["[[0, 0], [1, 0], [0, 1]]"]})
    before = given.copy()
    as_labels(given)
    pd.testing.assert_frame_equal(given, before)


def test_an_event_is_the_same_whatever_its_id_and_note():
    labels = said(("anna", 1, 0.0, "hip"), ("anna", 1, 0.0, "top"), ("ben", 1, 0.0, "hip"))
    digests = event_digests(labels)
    assert len(set(digests)) == 3
    assert event_digests(labels.assign(id="x", note="y", scan="S", tile=4)) == digests
    assert event_digests(labels.assign(x_mm=1e-9)) == digests
    for changed in ({"foil": "F2"}, {"side": "back"}, {"x_mm": 1e-5}):
        assert not set(event_digests(labels.assign(**changed))) & set(digests)


def test_ids_that_are_given_stay():
    labels = said(("anna", 1, 0.0, "hip"), ("anna", 1, 1.0, "hip"))
    labels["id"] = pd.Series(["mine", None], dtype="str")
    ids = with_ids(labels)["id"].tolist()
    assert ids == ["mine", event_digests(labels)[1]]


def test_the_latest_of_each_person_and_place_stands():
    labels = said(
        ("anna", 2, 0.01, "top"),
        ("anna", 1, 0.0, "hip"),
        ("ben", 1, 0.0, "hip"),
        ("anna", 3, 0.5, "misc"),
    )
    assert latest(labels, tolerance_mm=0.02)["class"].tolist() == ["top", "hip", "misc"]
    assert succession(labels, tolerance_mm=0.02).tolist() == [pd.NA, 0, pd.NA, pd.NA]
    assert len(latest(labels, tolerance_mm=0.005)) == 4


def test_a_label_is_withdrawn_and_given_again():
    first = [("anna", 1, 0.0, "hip"), ("anna", 2, 0.0, WITHDRAWN)]
    assert len(latest(said(*first), tolerance_mm=0.02)) == 0
    again = latest(said(*first, ("anna", 3, 0.0, "top")), tolerance_mm=0.02)
    assert again["class"].tolist() == ["top"]


def test_neighbours_given_in_one_go_stand_and_only_the_nearest_is_replaced():
    crowd = [("anna", 1, 0.01 * i, "top") for i in range(5)]
    assert len(latest(said(*crowd), tolerance_mm=0.02)) == 5
    found = latest(said(*crowd, ("anna", 2, 0.021, "hip")), tolerance_mm=0.02)
    assert found["x_mm"].tolist() == [0.0, 0.01, 0.03, 0.04, 0.021]


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(4)
    events = [("anna", int(d), float(x), "top") for d, x in rng.uniform((1, 0), (9, 0.3), (60, 2))]
    labels = said(*events)
    one = latest(labels, tolerance_mm=0.02)["x_mm"].sort_values().tolist()
    mixed = labels.sample(frac=1, random_state=1)
    assert latest(mixed, tolerance_mm=0.02)["x_mm"].sort_values().tolist() == one
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
    assert latest(labels, tolerance_mm=1.0)["class"].tolist() == ["hip", "misc"]


def test_a_tolerance_may_be_of_the_foil():
    events = (("anna", 1, 0.0, "hip"), ("anna", 2, 0.01, "top"))
    labels = pd.concat([said(*events), said(*events, foil="F2")], ignore_index=True)
    found = latest(labels, tolerance_mm={"F1": 0.02, "F2": 0.005})
    assert found["foil"].tolist() == ["F1", "F2", "F2"]


# One label a place ----------------------------------------------------------------------------


def _told(*rows):
    """Labels as (class, who, when, source, x in µm)."""
    said, who, when, source, x = zip(*rows, strict=True)
    return as_labels(
        pd.DataFrame(
            {
                "foil": "F1",
                "side": "front",
                "x_mm": np.array(x) / 1000,
                "y_mm": 0.0,
                "class": said,
                "who": who,
                "when": [f"2026-05-{day:02d}" for day in when],
                "source": source,
            }
        )
    )


def _standing(*rows):
    kept, conflicts = one_of_each_place(_told(*rows), tolerance_mm=0.02)
    return list(zip(kept["class"], kept["who"], strict=True)), len(conflicts)


def test_a_later_label_of_another_person_corrects_one():
    """Twenty corrected labels were trained on beside the wrong ones: 2,018 labels, 1,998 places."""
    rng = np.random.default_rng(1)
    x = 50.0 * rng.permutation(1998)
    wrong = [("hip", "anna", 1, "person", v) for v in x]
    right = [("top", "ben", 2, "person", v + 3) for v in x[:20]]
    kept, conflicts = one_of_each_place(_told(*wrong, *right), tolerance_mm=0.02)
    assert (len(kept), len(conflicts)) == (1998, 0)
    assert (kept["who"] == "ben").sum() == (kept["class"] == "top").sum() == 20


def test_a_person_stands_before_a_model_however_late():
    told = ("top", "net", 9, "model", 0), ("hip", "anna", 1, "person", 2)
    assert _standing(*told) == ([("hip", "anna")], 0)
    told = ("top", "stack", 9, "coincidence", 0), ("hip", "net", 1, "model", 2)
    assert _standing(*told) == ([("top", "stack")], 0)


def test_labels_of_the_same_time_that_disagree_are_left_out_and_counted():
    told = ("top", "anna", 1, "person", 0), ("hip", "ben", 1, "person", 2)
    assert _standing(*told, ("top", "anna", 1, "person", 500)) == ([("top", "anna")], 1)
    same = ("top", "anna", 1, "person", 0), ("top.spallation", "ben", 1, "person", 2)
    assert _standing(*same)[1] == 0
    assert len(_standing(*same)[0]) == 1


def test_one_of_the_labels_of_a_place_in_conflict_is_told():
    told = _told(
        ("top", "anna", 1, "person", 0),
        ("hip", "ben", 1, "person", 2),
        ("misc", "cara", 1, "person", 4),
        ("hip", "net", 2, "model", 1),
    )
    kept, disputed = one_of_each_place(told, tolerance_mm=0.02)
    assert len(kept) == 0
    assert disputed["who"].tolist() == ["anna"]


def test_what_one_person_said_on_two_scans_at_once_is_of_one_place():
    told = _told(*[("hip", "anna", 1, "person", x) for x in (0, 8, 2, 9)])
    alike = told.assign(scan=["first", "first", "again", "again"])
    kept, disputed = one_of_each_place(alike, tolerance_mm=0.02)
    assert kept["x_mm"].tolist() == [0.0, 0.008]
    assert len(disputed) == 0
    other = alike.assign(**{"class": ["hip", "hip", "top", "hip"]})
    kept, disputed = one_of_each_place(other, tolerance_mm=0.02)
    assert (kept["x_mm"].tolist(), disputed["x_mm"].tolist()) == ([0.008], [0.0])


def test_neighbours_in_a_crowd_keep_their_labels():
    told = [
        (c, who, 1, "person", x) for who in ("anna", "ben") for c, x in (("hip", 0), ("top", 8))
    ]
    kept, conflicts = _standing(*told)
    assert sorted(c for c, _ in kept) == ["hip", "top"]
    assert conflicts == 0


def test_who_cannot_decide_takes_the_place_too():
    told = ("hip", "anna", 1, "person", 0), ("maybe", "ben", 2, "person", 2)
    assert _standing(*told) == ([("maybe", "ben")], 0)
