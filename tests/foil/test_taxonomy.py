import pytest
from pydantic import ValidationError

from etchscope.foil import (
    DEFAULT_TAXONOMY,
    WITHDRAWN,
    BadInput,
    Taxonomy,
    parent_class,
)


def test_the_default_has_the_classes_of_the_field():
    roots = [c for c in DEFAULT_TAXONOMY.classes if parent_class(c) == c]
    assert roots == ["hip", "top", "bottom", "misc", "maybe"]
    assert {"top.spallation", "misc.scratch", "misc.dust"} <= set(DEFAULT_TAXONOMY.classes)


def test_parents():
    assert parent_class("top.spallation") == "top"
    assert parent_class("top") == "top"


def test_only_maybe_and_what_was_withdrawn_cannot_be_decided():
    assert not DEFAULT_TAXONOMY.is_decidable("maybe")
    assert not DEFAULT_TAXONOMY.is_decidable(WITHDRAWN)
    assert all(DEFAULT_TAXONOMY.is_decidable(c) for c in DEFAULT_TAXONOMY.classes if c != "maybe")


def test_a_subclass_of_what_is_undecidable_is_undecidable():
    own = Taxonomy(classes={"hip": "", "odd": "", "odd.blur": ""}, undecidable=("odd",))
    assert not own.is_decidable("odd.blur")
    assert own.is_decidable("hip")


@pytest.mark.parametrize("name", ["top.fission", "Hip", "", "withdrawn"])
def test_an_unknown_class_is_named_with_the_known_ones(name):
    assert not DEFAULT_TAXONOMY.is_known(name)
    with pytest.raises(BadInput, match=rf"taxonomy \(hip, top, .*maybe\), found '{name}'"):
        DEFAULT_TAXONOMY.require("labels", name)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"classes": {"top.a": "", "hip": ""}}, "'top.a' is a subclass of 'top'"),
        ({"classes": {"a b": ""}}, "'a b' cannot be the name"),
        ({"classes": {"a": "", "a.b.c": ""}}, "'a.b.c' cannot be the name"),
        ({"classes": {WITHDRAWN: ""}}, "'withdrawn' cannot be the name"),
        ({"classes": {"hip": ""}, "undecidable": ["may"]}, "undecidable 'may' is not among"),
        ({"classes": {"hip": ""}, "no_pit": ["dust"]}, "no_pit 'dust' is not among"),
        ({"classes": {"maybe": ""}}, "at least one class must be decidable"),
        ({"classes": {}}, "at least 1 item"),
        ({"classes": {"hip": 1}}, "valid string"),
        ({"classes": {"hip": ""}, "colour": 1}, "colour"),
    ],
)
def test_what_is_no_taxonomy_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        Taxonomy.model_validate(values)


@pytest.mark.parametrize("classes", [{"hip": ""}, {"hip": "", "maybe": ""}])
def test_maybe_is_undecidable_unless_stated_otherwise(classes):
    assert Taxonomy(classes=classes).undecidable == tuple(c for c in classes if c == "maybe")
    assert Taxonomy(classes=classes, undecidable=()).undecidable == ()


@pytest.mark.parametrize(
    "taxonomy",
    [
        DEFAULT_TAXONOMY,
        Taxonomy(classes={"hip": "", "top.a": "", "top": "t"}),
        Taxonomy(classes={"hip": "", "maybe": ""}, undecidable=()),
    ],
)
def test_it_comes_back_from_json(taxonomy):
    assert Taxonomy.model_validate_json(taxonomy.model_dump_json()) == taxonomy


def test_misc_is_no_pit_unless_stated_otherwise():
    classes = {"hip": "", "misc": "", "misc.dust": "", "ground": ""}
    usual = Taxonomy(classes=classes)
    assert [usual.is_pit(name) for name in classes] == [True, False, False, True]
    own = Taxonomy(classes=classes, no_pit=("ground",))
    assert [own.is_pit(name) for name in classes] == [True, True, True, False]
