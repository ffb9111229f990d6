import pandas as pd

from etchscope.evaluation import CONFLICT_COLUMNS, find_conflicts
from etchscope.foil import Taxonomy, as_labels


def said(*events, **columns):
    """Events as (who, day, x_mm, class)."""
    n = len(events)
    return as_labels(
        {
            "foil": ["F1"] * n,
            "side": ["front"] * n,
            "x_mm": [e[2] for e in events],
            "y_mm": [0.0] * n,
            "class": [e[3] for e in events],
            "who": [e[0] for e in events],
            "when": [f"2026-05-0{e[1]}" for e in events],
        }
        | columns
    )


def pairs(labels, tolerance=0.02, **options):
    found = find_conflicts(labels, tolerance, **options)
    return [(r.who_1, r.class_1, r.who_2, r.class_2) for r in found.itertuples()]


def test_two_people_who_disagree():
    labels = said(("anna", 1, 0.0, "hip"), ("ben", 1, 0.01, "top"), ("cleo", 1, 0.5, "misc"))
    found = find_conflicts(labels, 0.02)
    assert list(found.columns) == list(CONFLICT_COLUMNS)
    assert pairs(labels) == [("anna", "hip", "ben", "top")]
    assert found["x_mm"].tolist() == [0.0]
    assert pairs(labels, 0.005) == []


def test_what_cannot_be_decided_is_no_conflict():
    labels = said(("anna", 1, 0.0, "hip"), ("ben", 1, 0.0, "maybe"), ("cleo", 1, 0.0, "withdrawn"))
    assert pairs(labels) == []
    taxonomy = Taxonomy(classes={"hip": "", "maybe": ""}, undecidable=())
    assert pairs(labels, taxonomy=taxonomy) == [("anna", "hip", "ben", "maybe")]


def test_a_class_and_its_subclass_agree_and_two_subclasses_do_not():
    one, two = ("anna", 1, 0.0, "misc.dust"), ("ben", 1, 0.0, "misc.scratch")
    assert pairs(said(one, ("ben", 1, 0.0, "misc"))) == []
    assert pairs(said(one, two)) == [("anna", "misc.dust", "ben", "misc.scratch")]


def test_one_who_changed_their_mind():
    labels = said(("anna", 1, 0.0, "hip"), ("anna", 2, 0.01, "top"), ("anna", 2, 0.9, "top"))
    assert pairs(labels) == [("anna", "hip", "anna", "top")]


def test_neighbours_in_a_crowd_are_no_conflict():
    crowd = [(0.0, "hip"), (0.01, "top"), (0.02, "misc")]
    labels = said(*((who, 1, x, name) for who in ("anna", "ben") for x, name in crowd))
    assert pairs(labels, 0.05) == []


def test_a_replaced_label_no_longer_counts_against_others():
    labels = said(("anna", 1, 0.0, "hip"), ("anna", 2, 0.0, "top"), ("ben", 1, 0.0, "top"))
    assert pairs(labels) == [("anna", "hip", "anna", "top")]


def test_sides_and_foils_are_kept_apart():
    two = (("anna", 1, 0.0, "hip"), ("ben", 1, 0.0, "top"))
    assert pairs(said(*two, side=["front", "back"])) == []
    assert pairs(said(*two, foil=["F1", "F2"])) == []
    assert len(pairs(said(*two), {"F1": 0.02})) == 1


def test_labels_without_a_scale_meet_in_their_tile():
    labels = as_labels(
        {
            "scan": ["S"] * 3,
            "tile": [1, 1, 2],
            "x_px": [5.0, 6.0, 5.0],
            "y_px": [5.0] * 3,
            "class": ["hip", "top", "top"],
            "who": ["anna", "ben", "cleo"],
        }
    )
    assert pairs(labels) == [("anna", "hip", "ben", "top")]


def test_no_labels_no_conflict_and_the_input_stays():
    empty = as_labels({})
    assert find_conflicts(empty, 0.02).empty
    labels = said(("anna", 1, 0.0, "hip"), ("ben", 1, 0.0, "top"))
    before = labels.copy()
    find_conflicts(labels, 0.02)
    pd.testing.assert_frame_equal(labels, before)
