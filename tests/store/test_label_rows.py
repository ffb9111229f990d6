import numpy as np
import pandas as pd
import pytest

from etchscope.foil import (
    BadInput,
    as_labels,
    digest_events,
    fill_ids,
)
from etchscope.store.label_rows import (
    are_known,
    as_rows,
    class_counts,
    damaged_labels,
    get_labels,
    label_counts,
    put_rows,
)


def events(*kinds, x_mm=1.0):
    n = len(kinds)
    columns = {
        "foil": ["F1"] * n,
        "side": ["front"] * n,
        "x_mm": [x_mm] * n,
        "y_mm": [1 / 3] * n,
        "region_mm": ["[[0,0],[1,0],[0,1]]"] + [None] * (n - 1),
        "class": kinds,
        "who": ["anna"] * n,
        "source": ["person"] * n,
        "when": ["2026-05-01T10:00:00.123456Z"] * n,
        "tile": [4] + [None] * (n - 1),
    }
    return fill_ids(as_labels(columns))


@pytest.fixture
def session(store):
    with store._catalogue.writing() as session:
        yield session


def test_events_come_back_in_their_order(session):
    labels = events("hip", "top", "withdrawn")
    assert put_rows(session, as_rows(labels), "here") == 3
    pd.testing.assert_frame_equal(get_labels(session), labels)
    assert len(get_labels(session, foil="F1", side="back", who=None)) == 0
    assert label_counts(session, ["F1", "F2"]) == {"F1": 3}
    assert class_counts(session) == {"hip": 1, "top": 1, "withdrawn": 1}
    assert damaged_labels(session) == []


def test_what_is_known_is_not_added_again(session):
    labels = events("hip", "top")
    assert are_known(session, labels).tolist() == [False, False]
    put_rows(session, as_rows(labels.iloc[:1]), "here")
    assert are_known(session, labels).tolist() == [True, False]
    assert put_rows(session, as_rows(labels.assign(id=["new", "other"])), "here") == 1
    assert get_labels(session)["id"].tolist() == [digest_events(labels)[0], "other"]


def test_one_id_has_one_event(session):
    twice = events("hip", "top").assign(id="mine")
    with pytest.raises(BadInput, match=r"here: expected a new event.*of the same id 'mine'"):
        put_rows(session, as_rows(twice), "here")


def test_more_events_than_one_query_takes(session):
    labels = events(*["top"] * 1201).assign(x_mm=np.arange(1201.0), id=None)
    labels = fill_ids(labels)
    assert put_rows(session, as_rows(labels), "here") == 1201
    assert are_known(session, labels).all()
    assert put_rows(session, as_rows(labels), "here") == 0
