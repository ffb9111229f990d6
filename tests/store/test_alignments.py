import json

import pandas as pd
import pytest

from etchscope.foil import BadInput
from etchscope.store.alignments import read_alignment, write_alignment

TOLD = {"members": [{"name": "a"}], "tolerance_mm": 0.1}
TABLE = pd.DataFrame({"x_mm": [1.0], "pit.b": pd.array([None], "Int64")})


def test_what_was_written_is_read(tmp_path):
    path = write_alignment(tmp_path / "out", TOLD, {"a": TABLE, "places": TABLE})
    told, tables = read_alignment(path.parent)
    assert told == {"format": 1, **TOLD}
    assert list(tables) == ["a"]
    pd.testing.assert_frame_equal(tables["a"], TABLE)


def test_what_is_no_alignment_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"no alignment\.json there\. Make one with"):
        read_alignment(tmp_path)
    path = write_alignment(tmp_path, TOLD, {"a": TABLE})
    for text, message in (("{", "JSON"), ("[]", "format 1"), ('{"format": 2}', "format 1")):
        path.write_text(text)
        with pytest.raises(BadInput, match=message):
            read_alignment(tmp_path)
    path.write_text(json.dumps({"format": 1, "members": [{"name": "lost"}]}))
    with pytest.raises(BadInput, match=r"lost\.parquet"):
        read_alignment(tmp_path)
    with pytest.raises(BadInput, match="a folder, found a file"):
        write_alignment(path, TOLD, {})
