import numpy as np
import pytest

from etchscope.ensemble import ExpertKind, default_kinds, multiclass_kind, read_kinds
from etchscope.foil import BadInput


def test_each_two_classes_of_pits_have_an_expert_and_misc_has_one_of_its_own():
    kinds = default_kinds(["hip", "top", "bottom", "misc"])
    assert {k.name: k.groups for k in kinds} == {
        "hip-top": (("hip",), ("top",)),
        "hip-bottom": (("hip",), ("bottom",)),
        "top-bottom": (("top",), ("bottom",)),
        "pit-misc": (("hip", "top", "bottom"), ("misc",)),
    }
    assert [k.name for k in default_kinds(["misc", "b", "a"])] == ["b-a", "pit-misc"]
    assert [k.name for k in default_kinds(["top", "bottom"])] == ["top-bottom"]
    assert len(default_kinds(["a", "b", "c", "d", "misc"])) == 7
    assert default_kinds(["hip"]) == ()


def test_a_target_is_the_first_group_or_the_group_s_number():
    said = np.array(["hip", "misc", "bottom", "top"])
    pit = ExpertKind("pit-misc", (("hip", "top", "bottom"), ("misc",)))
    assert pit.target(said).tolist() == [True, False, True, True]
    assert pit.target(said).dtype == np.bool_
    assert multiclass_kind(["top", "hip", "misc", "bottom"]).target(said).tolist() == [1, 2, 3, 0]
    some = ExpertKind("three", (("misc",), ("hip",), ("bottom", "top")))
    assert some.target(said).tolist() == [1, 0, 2, 2]
    assert some.classes == ("misc", "hip", "bottom", "top")


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ((("hip",),), "expert x: expected two or more groups of classes"),
        ((), "expert x: expected two or more groups of classes"),
        ((("hip",), ()), "expert x: expected two or more groups of classes"),
        ((("hip", "top"), ("top",)), "expert x: expected each class in one group"),
        ((("hip", "hip"), ("top",)), "expert x: expected each class in one group"),
    ],
)
def test_groups_that_cannot_be_told_apart_are_refused(groups, told):
    with pytest.raises(BadInput, match=told):
        ExpertKind("x", groups)


def test_experts_come_from_a_file():
    record = {"hip-single": [["hip"], ["top", "bottom"]], "s": [["top"], ["bottom"], ["misc"]]}
    assert read_kinds(record) == (
        ExpertKind("hip-single", (("hip",), ("top", "bottom"))),
        ExpertKind("s", (("top",), ("bottom",), ("misc",))),
    )


@pytest.mark.parametrize("record", [{}, [], "hip", None, {"a": "hip"}, {"a": ["hip", "top"]}])
def test_what_is_no_list_of_experts_is_refused(record):
    with pytest.raises(BadInput, match=r'own\.json.*: expected \{"hip-top": \[\["hip"\], \["top"'):
        read_kinds(record, where="own.json")
    with pytest.raises(BadInput, match=r"experts: a: expected .*, found "):
        read_kinds({"a": [["hip"], [1]]})
