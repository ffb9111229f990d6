import pandas as pd
import pytest

from etchscope.foil import BadInput, as_pits
from etchscope.store import run_files


def test_a_run_is_prepared_aside_and_published_at_once(tmp_path):
    pits = as_pits({"x_px": [1.0], "y_px": [2.0]})
    aside, files = run_files.prepare_run(tmp_path, "r1", pits, {"b": 1, "a": "ä"})
    assert aside.match(".r1.*.aside")
    assert sorted(files) == ["pits.parquet", "record.json"]
    assert (aside / "record.json").read_text("utf-8") == '{\n "a": "ä",\n "b": 1\n}\n'
    (tmp_path / "r1").mkdir()  # left by a killed commit
    (tmp_path / "r1/half").touch()
    run_files.publish_run(tmp_path, "r1", aside)
    assert sorted(p.name for p in (tmp_path / "r1").iterdir()) == sorted(files)
    assert [p.name for p in tmp_path.iterdir()] == ["r1"]


def test_a_table_that_is_no_pit_table_leaves_nothing(tmp_path):
    with pytest.raises(BadInput, match="pit table: column tile: expected int64"):
        run_files.prepare_run(tmp_path, "r1", pd.DataFrame({"tile": ["x"]}), {})
    assert list(tmp_path.iterdir()) == []


def test_parts_of_different_runs_stay_apart(tmp_path):
    table = pd.DataFrame({"a": [1]})
    run_files.write_part(tmp_path, "r1", 0, table, {"n": 1})
    run_files.write_part(tmp_path, "r2", 123456, table, {"n": 2})
    assert run_files.read_parts(tmp_path, "r1") == {0: {"n": 1}}
    assert run_files.read_parts(tmp_path, "r2") == {123456: {"n": 2}}
    run_files.drop_partial(tmp_path, "r1")
    assert run_files.read_parts(tmp_path, "r1") == {}
    assert not run_files.partial_folder(tmp_path, "r1").exists()
