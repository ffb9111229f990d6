import pytest
import yaml

from etchscope.files.yaml_files import write_yaml_files
from etchscope.foil import BadInput


def test_documents_come_back_in_their_order(tmp_path):
    files = {"a.yaml": [{"z": 1, "a": "β ≥ 0.1"}, {"list": [1.5, "x"]}], "b.yaml": [{"n": None}]}
    written = write_yaml_files(tmp_path / "new", files)
    assert written == [tmp_path / "new" / name for name in files]
    assert {p.name: list(yaml.safe_load_all(p.read_text("utf-8"))) for p in written} == files
    assert written[0].read_text("utf-8").startswith("z: 1\na: β ≥ 0.1\n---\n")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.yaml", "b.yaml"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(BadInput, match="expected a folder, found a file"):
        write_yaml_files(tmp_path / "taken", {"a.yaml": [{}]})
