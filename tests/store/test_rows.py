import pytest
from sqlalchemy import text

from etchscope.foil import BadInput
from etchscope.store.rows import Picture, get_scan, scan_digest, with_tiles


def test_the_digest_sees_each_part_but_not_the_order_or_the_source(made):
    pictures = [Picture(1, 1, "aa", "f"), Picture(1, 2, "bb", "g")]
    digest = scan_digest(made.scan, pictures)
    assert digest == scan_digest(made.scan, [Picture(1, 2, "bb", "x"), pictures[0]])
    mixed = made.scan.model_copy(update={"tiles": made.scan.tiles[::-1]})
    assert digest == scan_digest(mixed, pictures)
    assert digest != scan_digest(made.scan, [Picture(1, 1, "ab", "f"), pictures[1]])
    for change in (
        {"pixel_size_um": 6.5},
        {"azimuth_sense": "cw"},
        {"datum": ()},
        {"channels": made.scan.channels[::-1]},
        {"tiles": made.scan.tiles[:-1]},
        {"metadata": {}},
    ):
        assert digest != scan_digest(made.scan.model_copy(update=change), pictures)


def test_tiles_are_kept_in_number_order(made):
    kept = with_tiles(made.scan, {7, 2, 5, 9})
    assert [t.number for t in kept.tiles] == [2, 5, 7, 9]
    with pytest.raises(BadInput, match="scan F1-front: expected at least one good tile"):
        with_tiles(made.scan, set())
    with pytest.raises(BadInput, match="scan F1-front: tile 2: expected the tiles of all datum"):
        with_tiles(made.scan, {5, 7})


def test_damaged_rows_are_bad_input(store):
    with store._catalogue.writing() as session:
        session.connection().exec_driver_sql("UPDATE scan SET side = 'left'")
    with (
        store._catalogue.reading() as session,
        pytest.raises(BadInput, match="catalogue: scan F1-front: expected intact rows"),
    ):
        get_scan(session, "F1-front")


@pytest.mark.sqlite
@pytest.mark.parametrize("table", ["channel", "tile", "picture", "left_out", "fit"])
def test_the_rows_of_a_scan_are_found_by_their_key(store, table):
    """And not by reading those of all scans, of which there may be forty million."""
    query = text(f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE scan = 'F1-front'")
    with store._catalogue.reading() as session:
        plan = [row[-1] for row in session.execute(query)]
    assert [step.split()[0] for step in plan] == ["SEARCH"]
