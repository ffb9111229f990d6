import pytest

from etchscope.files.strict_json import canonical_json, read_json
from etchscope.foil import BadInput


def test_values_come_back(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('\ufeff{"a": [1, -9223372036854775807, 2.5, null, true, "é"]}')
    assert read_json(path) == {"a": [1, -(2**63) + 1, 2.5, None, True, "é"]}
    assert canonical_json({"b": 1, "a": 2}) == '{"a":2,"b":1}'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1, "a": 2}', "'a' twice"),
        ("[NaN]", "NaN"),
        ("[1" + "0" * 30 + "]", "31 digits"),
        ("[9" + "9" * 5000 + "]", "5001 digits"),
        ("[9223372036854775808]", "more than 64 bits"),
        ("[" * 900 + "]" * 900, "nested more than 100 deep"),
        ("[" * 100_000 + "]" * 100_000, "nested too deep"),
        ('["\\ud800"]', "no Unicode"),
        ('{"\\udfff": 1}', "no Unicode"),
        ("{", "Expecting property name"),
    ],
)
def test_what_no_store_can_hold_is_one_error(tmp_path, text, found):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_json(path)
    assert caught.value.where.startswith(str(path))
    assert found in caught.value.found
    assert len(str(caught.value)) < 500


def test_other_encodings_are_named(tmp_path):
    (tmp_path / "a.json").write_bytes('{"é": 1}'.encode("latin-1"))
    with pytest.raises(BadInput, match="byte 2 is not UTF-8"):
        read_json(tmp_path / "a.json")


def test_a_file_of_more_values_than_memory_holds_is_refused_unread(tmp_path):
    (tmp_path / "a.json").write_text("[" + "[]," * 10_000_000 + "[]]")
    with pytest.raises(BadInput, match=r"a\.json: expected at most 20,000,000 values, found ab"):
        read_json(tmp_path / "a.json")
