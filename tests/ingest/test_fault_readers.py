"""Files that were damaged at random, each of which once ended in a traceback."""

from pathlib import Path

import pytest

from etchscope.api.given import as_polygon
from etchscope.files import read_table
from etchscope.foil import BadInput, as_labels
from etchscope.ingest import read_class_map
from etchscope.ingest.labels import read_label_table, read_yolo_boxes
from etchscope.ingest.pit_lists import read_pit_list
from etchscope.run.alignments import load_alignment

FAULTS = Path(__file__).parents[3] / "shared/data/faults/readers"
needs_faults = pytest.mark.skipif(not FAULTS.is_dir(), reason="the shared faults are absent")
READABLE = {
    **dict.fromkeys(("label-01/t.parquet", "label-06/t.csv", "label-08/t.parquet"), 14),
    **dict.fromkeys(("label-09/t.csv", "label-10/t.parquet"), 14),
    **dict.fromkeys(("list-02/t.csv", "list-03/t.csv", "list-04/t.parquet"), 7),
    **dict.fromkeys(("list-10/t.csv", "list-12/t.parquet"), 7),
    "list-10/t.json": 12,
    **dict.fromkeys(("table-01/t.csv", "table-02/t.csv", "table-10/t.csv"), 12),
    **dict.fromkeys(("table-03/t.json", "table-10/t.json"), 12),
    **dict.fromkeys(("table-06/t.parquet", "table-09/t.parquet", "table-10/t.parquet"), 12),
}
"""File → number of its rows, of those whose damage leaves a table; all others are refused."""


def read_labels(path):
    return as_labels(read_label_table(path)[0], where=str(path))


def read_boxes(path):
    return read_yolo_boxes(path, read_class_map(path.parent / "cm.json"), (480, 640))


def read_members(path):
    return load_alignment(path).members


READERS = {
    "align": read_members,
    "table": read_table,
    "root": read_table,
    "label": read_labels,
    "list": lambda path: read_pit_list(path).pits,
    "region": as_polygon,
    "yolo": read_boxes,
}
DESCRIBE = ("SIG.txt", "positions.json", "cm.json")


@needs_faults
@pytest.mark.parametrize("kind", READERS)
def test_each_is_read_or_refused_in_one_line(kind):
    found, messages = {}, {}
    for path in sorted(p for p in FAULTS.glob(f"{kind}-*/*") if p.name not in DESCRIBE):
        name = f"{path.parent.name}/{path.name}"
        try:
            found[name] = len(READERS[kind](path))
        except BadInput as error:
            messages[name] = str(error)
    assert found == {name: rows for name, rows in READABLE.items() if name.startswith(kind)}
    assert messages
    for name, message in messages.items():
        assert message.startswith(str(FAULTS / name.split("/")[0]))
        assert message.isprintable()
        assert len(message) < 600
