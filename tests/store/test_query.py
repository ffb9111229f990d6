import gc
import tracemalloc

import pandas as pd
import pytest
from sqlalchemy import Engine, event

from etchscope.foil import BadInput, Tile
from etchscope.store import rows
from etchscope.store.foil_rows import put_foil
from etchscope.store.query import TILE_COLUMNS, rows_where
from etchscope.store.rows import Picture, put_scan

BASE = list(TILE_COLUMNS)


def test_one_row_a_tile_with_metadata_as_columns(store):
    table = store.scans.tiles()
    assert table.columns.tolist() == [*BASE, "exposure_ms", "remark"]
    assert table["tile"].tolist() == list(range(1, 12))
    assert table["exposure_ms"].tolist() == [i / 2 for i in range(11)]
    assert table["stage_x_mm"].tolist() == [0.1 * i for i in range(11)]
    assert set(table["stack"]) == {"S1"}


@pytest.mark.parametrize(
    ("where", "tiles"),
    [
        ("tile between 3 and 5", [3, 4, 5]),
        ("exposure_ms > 4 and foil = 'F1'", [10, 11]),
        ("EXPOSURE_MS > 4.5", [11]),
        ("remark = 'it''s 3'", [4]),
        ("tile in (7, 2) or stage_x_mm > 0.95", [2, 7, 11]),
        ("excluded", []),
        ("tile = (select 4)", [4]),
        (None, list(range(1, 12))),
    ],
)
def test_conditions(store, where, tiles):
    assert store.scans.tiles(where)["tile"].tolist() == tiles


@pytest.mark.parametrize(
    "where",
    [
        "nope > 3",
        "tile >",
        "",
        "tile = 1; drop table t",
        "tile in (select 1 from read_csv('/etc/passwd'))",
        "tile > (select count(*) from '/etc/passwd')",
        "tile = 'three'",
    ],
)
def test_a_wrong_condition_names_itself_and_the_columns(store, take_snapshot, where):
    before = take_snapshot(store.path)
    with pytest.raises(BadInput, match=r"condition .*columns foil, stack, .*exposure_ms, remark"):
        store.scans.exclude(where, "x")
    assert take_snapshot(store.path) == before


def test_metadata_of_all_kinds(empty, make_scan):
    made = make_scan(tiles=3)
    kinds = {
        "is_good": [True, None, False],
        "count": [1, None, 3],
        "mixed": [1, "a", None],
        "nested": [{"b": 1, "a": 2}, None, [1]],
        "Tile": ["x", "y", "z"],
        "big": [2**40, 0.5, None],
    }
    tiles = tuple(
        t.model_copy(update={"metadata": {k: v[i] for k, v in kinds.items() if v[i] is not None}})
        for i, t in enumerate(made.scan.tiles)
    )
    empty.scans.add(made.scan.model_copy(update={"tiles": tiles}), made.foil, made.read)
    table = empty.scans.tiles().set_index("tile")
    assert str(table["is_good"].dtype) == "boolean"
    assert str(table["count"].dtype) == "Int64"
    assert table["mixed"].tolist()[:2] == ["1", '"a"']
    assert table["nested"].tolist()[0] == '{"a":2,"b":1}'
    assert table["metadata_Tile"].tolist() == ["x", "y", "z"]
    assert table["big"].tolist()[:2] == [2.0**40, 0.5]
    assert empty.scans.tiles("is_good and \"count\" = 1 and metadata_Tile = 'x'")[
        "tile"
    ].tolist() == [1]
    assert empty.scans.get("F1-front").tiles == tiles


def test_an_empty_store_has_an_empty_table(empty):
    assert empty.scans.tiles().columns.tolist() == BASE
    assert len(empty.scans.tiles("tile = 1")) == 0


def test_rows_keep_their_order():
    table = pd.DataFrame({"tile": [5, 1, 3]})
    assert rows_where(table, "tile > 1")["tile"].tolist() == [5, 3]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("length(repeat('x', 3000000000)) > 1", "repeat"),
        ("tile in (select * from range(1000000000000))", "range"),
        ("length(rpad('x', 3000000000, 'x')) > 1", "rpad"),
        ("len(list_transform([tile], t -> t)) > 0", "len"),
        ("row_number() over () > 1", "window"),
        ("tile > 1) union select 1 from x where (1 = 1", "more than a condition"),
        ("tile > 1; drop table x", "syntax error"),
        ("tile = '\ud800'", "surrogate"),
        ("(" * 3000 + "true" + ")" * 3000, "depth"),
    ],
)
def test_a_condition_cannot_take_the_memory_or_the_time_of_the_machine(store, where, found):
    with pytest.raises(BadInput, match=r"^condition") as caught:
        store.scans.tiles(where)
    assert found in caught.value.found
    assert len(str(caught.value)) < 1500


def test_a_condition_that_takes_too_long_is_interrupted(monkeypatch):
    monkeypatch.setattr("etchscope.store.query._SECONDS", 0.2)
    table = pd.DataFrame({"tile": range(1_000_000)})
    slow = " or ".join(f"regexp_matches(tile::varchar, '(a|b)*{i}c')" for i in range(200))
    with pytest.raises(BadInput, match=r"at most 0\.2 s"):
        rows_where(table, slow)


@pytest.fixture
def statements():
    """The statements that any catalogue is given."""
    found = []

    def note(_connection, _cursor, statement, _parameters, _context, _is_many):
        found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


def test_scans_are_listed_without_their_tiles(store, make_scan, statements):
    def listed():
        statements.clear()
        table = store.scans.table()
        return table, len(statements)

    store.scans.exclude("tile < 3", "dirt")
    one, few = listed()
    assert one[["scan", "stack", "tiles", "excluded", "left_out"]].to_numpy().tolist() == [
        ["F1-front", "S1", 11, 2, 0]
    ]
    for name in ("F2-front", "F2-back"):
        made = make_scan(name, tiles=2)
        store.scans.add(made.scan, made.foil, made.read)
    three, as_few = listed()
    assert three["scan"].tolist() == ["F1-front", "F2-back", "F2-front"]
    assert three["tiles"].tolist() == [11, 2, 2]
    assert as_few == few


def _peak_bytes(call):
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _put_scans(store, make_scan, scans, tiles, pictures=()):
    """Add the rows of scans without their pixels."""
    for number in scans:
        made = make_scan(f"G{number}-front", tiles=1)
        numbers = range(1, tiles + 1)
        of = tuple(Tile(number=n, stage_x_mm=0.5 * n, metadata={"lamp": f"l{n}"}) for n in numbers)
        scan = made.scan.model_copy(update={"tiles": of})
        with store.scans._catalogue.writing() as session:
            put_foil(session, made.foil)
            put_scan(
                session,
                scan,
                places={n: n for n in numbers},
                pictures=pictures,
                left_out=(),
                array_sha256="",
            )


def test_the_rows_of_one_scan_are_in_memory_at_a_time(empty, make_scan):
    """Of the others the table has a number and some texts."""
    _put_scans(empty, make_scan, range(1), 1500)
    one = _peak_bytes(empty.scans.tiles)
    _put_scans(empty, make_scan, range(1, 7), 1500)
    peak = _peak_bytes(empty.scans.tiles)
    assert len(empty.scans.tiles()) == 7 * 1500
    assert peak < 4 * one


def test_pictures_are_put_in_batches(empty, make_scan, monkeypatch):
    monkeypatch.setattr(rows, "_BATCH", 500)
    texts = f"{1:064d}", "1_1.tga"
    pictures = [Picture(tile, step, *texts) for tile in range(1, 301) for step in range(40)]
    peak = _peak_bytes(lambda: _put_scans(empty, make_scan, range(1), 300, pictures))
    assert peak / len(pictures) < 800
    table = empty.scans.sources("G0-front")
    assert (len(table), {len(files) for files in table.values()}) == (300, {40})
