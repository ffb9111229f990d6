from types import SimpleNamespace

import numpy as np
import pytest
import torch

from etchscope.imaging import Planes
from etchscope.learn.finder import FinderNetwork
from etchscope.preselect.classifier import Trees
from etchscope.preselect.finder import CLASSIFIED, Finder
from etchscope.preselect.gauge import Gauge
from etchscope.run.lessons import Finds, Lesson, Lessons, classes_of, draw_lessons, search_with

NONE = np.zeros((100, 100), bool)


def lesson_of(rows, marked=NONE):
    """A lesson of openings (x, y, is_top, particle, kind), each 5 px in radius."""
    x, y, top, particle, kind = zip(*rows, strict=True)
    return Lesson(
        np.zeros((10, *marked.shape), np.uint8),
        np.array(x, float),
        np.array(y, float),
        np.full(len(x), 5.0),
        np.array(top, bool),
        np.array(particle),
        np.array(kind),
        marked,
        6.45,
        500.0,
    )


def finds_of(*rows):
    x, y, surface = zip(*rows, strict=True)
    return Finds(np.array(x, float), np.array(y, float), np.full(len(x), 5.0), np.array(surface))


PAIR = [(20, 20, True, 1, "hip"), (35, 20, False, 1, "hip")]


def test_a_find_is_what_it_lies_on():
    lesson = lesson_of([*PAIR, (70, 20, True, 2, "top"), (70, 60, False, 3, "bottom")])
    finds = finds_of(
        (21, 21, "top"),
        (34, 20, "bottom"),
        (28, 21, "unknown"),  # between the two
        (71, 19, "top"),
        (70, 61, "bottom"),
        (20, 80, "top"),  # nothing
        (73.5, 60, "top"),  # of the other surface
    )
    wanted = ["hip", "hip", "hip", "top", "bottom", "misc", "misc"]
    assert classes_of(lesson, finds).tolist() == wanted


def test_without_a_surface_a_find_is_the_nearest_opening():
    lesson = lesson_of([*PAIR, (70, 20, True, 2, "top"), (70, 60, False, 3, "bottom")])
    finds = finds_of((70, 21, "unknown"), (71, 60, "unknown"), (20, 22, "unknown"))
    assert classes_of(lesson, finds).tolist() == ["top", "bottom", "hip"]


def test_of_a_pair_too_wide_to_be_seen_together_the_entry_teaches_nothing():
    wide = lesson_of([(20, 20, True, 1, "hip"), (60, 20, False, 1, "hip")])
    said = classes_of(wide, finds_of((20, 20, "top"), (60, 20, "bottom")))
    assert said.tolist() == ["", "bottom"]
    assert wide.partner.tolist() == [-1, -1]
    # Nor does what lies between its two belong to it.
    assert classes_of(wide, finds_of((40, 20, "top"))).tolist() == ["misc"]


def test_one_opening_is_one_find_and_what_is_over_is_no_pit():
    lesson = lesson_of([(70, 20, True, 2, "top")])
    assert sorted(classes_of(lesson, finds_of((70, 20, "top"), (71, 21, "top")))) == ["misc", "top"]


def test_what_cannot_be_told_teaches_nothing():
    marked = NONE.copy()
    marked[15:25, 60:80] = True
    rows = [(70, 20, True, 2, "top"), (30, 60, True, 4, "maybe"), (70, 70, True, 5, "top")]
    lesson = lesson_of(rows, marked)
    finds = finds_of((70, 20, "top"), (30, 61, "top"), (70, 70, "top"), (62, 18, "bottom"))
    assert classes_of(lesson, finds).tolist() == ["", "", "top", "misc"]


def test_no_finds_and_no_openings():
    lesson = lesson_of([(70, 20, True, 2, "top")])
    none = Finds(np.empty(0), np.empty(0), np.empty(0), np.empty(0, "<U7"))
    assert classes_of(lesson, none).tolist() == []
    empty = Lesson(
        lesson.raw, *[np.empty(0)] * 3, *[np.empty(0, int)] * 2, np.empty(0, str), NONE, 1, 500.0
    )
    assert classes_of(empty, finds_of((5, 5, "top"))).tolist() == ["misc"]


def test_a_finder_s_search_gives_places_in_the_picture():
    judges = dict.fromkeys(CLASSIFIED, Trees.constant(1.0))
    network = FinderNetwork.seeded((2, 2, 2, 2, 2), 0)
    with torch.no_grad():
        network.head.bias += 4
    finder = Finder(network.plain(), judges, 0.0, Gauge.plain(), "")
    planes = Planes(
        np.random.default_rng(0).normal(0, 1, (8, 64, 64)).astype(np.float32),
        np.ones(5, np.float32),
    )
    finds = search_with(finder)(SimpleNamespace(), planes)
    assert len(finds.x_px) > 5
    assert ((finds.x_px > -4) & (finds.x_px < 68)).all()
    assert set(finds.surface) <= {"top", "bottom", "unknown"}
    dark = Planes(planes.pictures, np.float32([0, 0, 0, 1, 0]))
    assert set(search_with(finder)(SimpleNamespace(), dark).surface) == {"unknown"}


@pytest.mark.slow
def test_lessons_are_drawn_once_and_have_signal(tmp_path):
    told = []
    lessons = draw_lessons(tmp_path, 32, 3, progress=told.append)
    assert told == [32]
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns
    assert draw_lessons(tmp_path, 20, 3) == lessons
    assert path.stat().st_mtime_ns == before
    assert isinstance(lessons, Lessons)
    kinds = np.concatenate([lessons[k].kind for k in range(len(lessons))])
    assert (kinds == "hip").sum() > 32
    assert {"top", "bottom"} <= set(kinds)
    lesson = lessons[1]
    assert lesson.raw.shape == (10, 256, 256)
    assert lesson.marked.shape == (256, 256)
    assert 3 < lesson.pixel_size_um < 14
    assert lesson.area_mm2 == pytest.approx((0.256 * lesson.pixel_size_um) ** 2)
