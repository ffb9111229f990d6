import numpy as np
import pandas as pd
import pytest
from tests.foil.events import events_of

from etchscope.foil import (
    LABEL_COLUMNS,
    BadInput,
    as_labels,
    digest_events,
    fill_ids,
    format_region,
    parse_region,
)


def test_all_columns_in_order_and_dtype():
    for labels in (as_labels({}), events_of(("anna", 1, 0.0, "hip"))):
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
    np.testing.assert_array_equal(parse_region(format_region(corners)), corners)


def test_the_input_is_not_changed():
    given = pd.DataFrame({"x_mm": [1], "y_mm": [2], "region_mm": ["[[0, 0], [1, 0], [0, 1]]"]})
    before = given.copy()
    as_labels(given)
    pd.testing.assert_frame_equal(given, before)


def test_an_event_is_the_same_whatever_its_id_and_note():
    labels = events_of(("anna", 1, 0.0, "hip"), ("anna", 1, 0.0, "top"), ("ben", 1, 0.0, "hip"))
    digests = digest_events(labels)
    assert len(set(digests)) == 3
    assert digest_events(labels.assign(id="x", note="y", scan="S", tile=4)) == digests
    assert digest_events(labels.assign(x_mm=1e-9)) == digests
    for changed in ({"foil": "F2"}, {"side": "back"}, {"x_mm": 1e-5}):
        assert not set(digest_events(labels.assign(**changed))) & set(digests)


def test_ids_that_are_given_stay():
    labels = events_of(("anna", 1, 0.0, "hip"), ("anna", 1, 1.0, "hip"))
    labels["id"] = pd.Series(["mine", None], dtype="str")
    ids = fill_ids(labels)["id"].tolist()
    assert ids == ["mine", digest_events(labels)[1]]
