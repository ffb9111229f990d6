"""What is PostgreSQL's own; ``conftest`` runs the tests of stores with it, too."""

import os
import pickle
import time

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select, text

from etchscope.cli.app import main
from etchscope.foil import BadInput, MachineFailed, NotAStore, Tile
from etchscope.store import Store, database, postgresql
from etchscope.store.catalogue import VERSION, FoilRow, StackRow, TileRow
from etchscope.store.postgresql import PostgresSchema

pytest.importorskip("psycopg")


@pytest.fixture
def kept(address, tmp_path):
    return Store.create(tmp_path / "store", catalogue=address)


def put(store: Store, *names: str) -> None:
    with store._catalogue.writing() as session:
        session.add_all([StackRow(name=name, info={}) for name in names])


def test_a_store_is_found_by_its_folder_and_by_its_address(kept, address, made, take_snapshot):
    kept.scans.add(made.scan, made.foil, made.read)
    assert sorted(p.name for p in kept.path.iterdir()) == ["fits", "images", "runs", "store.json"]
    for place in (kept.path, str(kept.path), address):
        again = Store.open(place)
        assert again.path == kept.path
        np.testing.assert_array_equal(again.scans.read_tile("F1-front", 3), made.pixels[2])
    assert pickle.loads(pickle.dumps(kept)).scans.names() == ["F1-front"]
    assert kept.check() == []


def test_a_password_is_refused_and_said_nowhere(tmp_path, server, monkeypatch):
    for given in (
        "postgresql://ada:s3cret@localhost/foils",
        "postgresql://ada@localhost/foils?password=s3cret",
        "postgresql://ada:s3cret@localhost:port/foils",
        "postgresql:ada:s3cret",
    ):
        with pytest.raises(BadInput) as caught:
            Store.create(tmp_path / "store", catalogue=given)
        assert "s3cret" not in str(caught.value)
        with pytest.raises(BadInput) as caught:
            Store.open(given)
        assert "s3cret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    # The environment has it, and no file of the store.
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    store = Store.create(tmp_path / "store", catalogue=f"{server}&schema=secret")
    put(store, "S1")
    files = [p for p in store.path.rglob("*") if p.is_file()]
    assert not any(b"s3cret" in p.read_bytes() for p in files)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://ada@127.0.0.1:1/foils", (MachineFailed, "no connection: .*refused")),
        ("postgresql://ada@127.0.0.1:1/", (BadInput, "expected postgresql://user@host/database")),
        ("postgresql://ada@h/foils?schema=A b", (BadInput, "schema: expected lower-case letters")),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(tmp_path, address, expected):
    with pytest.raises(expected[0], match=expected[1]):
        Store.create(tmp_path / "store", catalogue=address)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_database_or_user_is_one_line(tmp_path, server):
    with pytest.raises(BadInput, match=r"a database that exists, found .* does not exist"):
        Store.create(tmp_path / "store", catalogue=server.replace("/postgres?", "/none?"))
    with pytest.raises(BadInput, match=r"found .*role \"eve\" does not exist\. Give the password"):
        Store.create(tmp_path / "store", catalogue=server.replace("tester@", "eve@"))
    with pytest.raises(NotAStore, match="a store, found none in the schema nothing"):
        Store.open(f"{server}&schema=nothing")


def test_one_schema_is_one_store(kept, address, server, tmp_path):
    put(kept, "S1")
    with pytest.raises(BadInput, match=f"an empty schema, found Etchscope store in {kept.path}"):
        Store.create(tmp_path / "other", catalogue=address)
    other = Store.create(tmp_path / "other", catalogue=f"{server}&schema=other")
    put(other, "S1", "S2")
    assert [len(s.scans.stacks()) for s in (kept, other)] == [1, 2]


def test_making_that_was_stopped_is_done_again(address, tmp_path, monkeypatch):
    root = tmp_path / "store"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr("etchscope.store.store._rename_store", stop)
        with pytest.raises(KeyboardInterrupt):
            Store.create(root, catalogue=address)
    assert Store.create(root, catalogue=address).check() == []
    assert Store.open(address).path == root


def test_a_later_store_of_the_same_folder_gets_no_taken_schema(kept, address):
    """Another machine, too, may have a store in a folder of that name."""
    root = kept.path
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(BadInput, match=f"an empty schema, found Etchscope store in {root}"):
        Store.create(root, catalogue=address)


def test_a_schema_in_which_another_store_has_begun_is_taken(address, tmp_path):
    PostgresSchema(address, tmp_path / "first", "ab" * 16).make()
    with pytest.raises(BadInput, match=r"an empty schema, found Etchscope store in .*first"):
        Store.create(tmp_path / "second", catalogue=address)


def test_a_store_whose_folder_is_gone_names_it(kept, address):
    kept.path.rename(kept.path.with_name("elsewhere"))
    with pytest.raises(BadInput, match=f"expected its folder {kept.path}, found no such folder"):
        Store.open(address)
    assert Store.open(kept.path.with_name("elsewhere")).scans.names() == []


def test_names_stand_in_the_order_that_sqlite_has(kept, tmp_path):
    names = ("b", "a", "B", "A", "Z", "a-b", "a_b", "a.b", "ab", "10", "9")
    other = Store.create(tmp_path / "sqlite")
    for store in (kept, other):
        put(store, *names)
    orders = [[s.name for s in store.scans.stacks()] for store in (kept, other)]
    assert orders[0] == orders[1] == sorted(names)


@pytest.mark.parametrize("value", ["a\x00b", "\ud800"])
def test_text_that_one_database_cannot_hold_is_refused_by_both(kept, tmp_path, value):
    for store in (kept, Store.create(tmp_path / "sqlite")):
        with store._catalogue.writing() as session:
            session.add(FoilRow(name="F1", material="CR-39", etch=[None], info={"a": "a\x00b"}))
        with pytest.raises(BadInput, match="expected Unicode without NUL"):
            put(store, value)
        with store._catalogue.reading() as session:
            assert session.get_one(FoilRow, "F1").info == {"a": "a\x00b"}


def test_large_numbers_signs_of_zero_and_time_come_back_alike(kept, make_scan, tmp_path):
    made = make_scan(tiles=2)
    tiles = (
        Tile(number=1, stage_x_mm=-0.0, stage_y_mm=0.1 + 0.2, metadata={"n": 2**63 - 1, "z": -0.0}),
        Tile(number=2**40, stage_x_mm=1e-308, stage_y_mm=-1 / 3, metadata={"t": [None, True]}),
    )
    scan = made.scan.model_copy(update={"tiles": tiles})
    stores = (kept, Store.create(tmp_path / "sqlite"))
    for store in stores:
        store.scans.add(scan, made.foil, lambda n: made.read(min(n, 2)))
    digests = {store.scans.digest("F1-front") for store in stores}
    tables = [store.scans.tiles() for store in stores]
    assert len(digests) == 1
    pd.testing.assert_frame_equal(*tables)
    with kept._catalogue.reading() as session:
        assert session.scalar(select(func.max(TileRow.number))) == 2**40
    assert [store.check() for store in stores] == [[], []]


def test_a_reader_sees_one_state_and_keeps_no_writer_out(kept):
    with kept._catalogue.reading() as session:
        assert session.scalars(select(StackRow.name)).all() == []
        put(kept, "S1")
        assert session.scalars(select(StackRow.name)).all() == []
    assert [s.name for s in kept.scans.stacks()] == ["S1"]


def test_a_reader_cannot_write(kept):
    def write() -> None:
        with kept._catalogue.reading() as session:
            session.add(StackRow(name="S1", info={}))

    with pytest.raises(BadInput, match="a store that can be written to"):
        write()


def test_a_writer_that_waits_too_long_says_so(address, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_S", 0.2)
    first = Store.create(tmp_path / "store", catalogue=address)
    second = Store.open(first.path)
    with first._catalogue.writing(), pytest.raises(MachineFailed, match="another process is writ"):
        put(second, "S1")
    put(second, "S1")


def test_a_lost_connection_is_one_line_and_the_next_try_succeeds(kept):
    def lose() -> None:
        with kept._catalogue.writing() as session:
            session.add(StackRow(name="S1", info={}))
            session.flush()
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(MachineFailed, match="no connection: terminating connection"):
        lose()
    assert kept.scans.stacks() == []
    put(kept, "S1")


def test_a_full_disk_of_the_server_is_one_line(kept):
    def fill() -> None:
        with kept._catalogue.writing() as session:
            session.execute(
                text("DO $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$")
            )

    with pytest.raises(MachineFailed, match=r"no space left.*Nothing was changed"):
        fill()


def test_a_copy_has_all_tables_as_they_were(kept):
    put(kept, "S1", "S2")
    with kept._catalogue.writing() as session:
        said = kept._catalogue.database.copy(session, "0004")
    schema = said.removeprefix("the schema ")
    with kept._catalogue.reading() as session:
        names = session.execute(text(f'SELECT name FROM "{schema}".stack ORDER BY name')).scalars()
        assert list(names) == ["S1", "S2"]
        version = session.execute(text(f'SELECT version_num FROM "{schema}".alembic_version'))
        assert version.scalar() == VERSION
    assert Store.migrate(kept.path).backup is None


def test_a_catalogue_that_lost_its_tables_is_not_intact(kept):
    with kept._catalogue.writing() as session:
        session.execute(text("DROP TABLE alembic_version"))
    with pytest.raises(BadInput, match="expected an intact Etchscope catalogue"):
        Store.open(kept.path)


def test_connections_are_few_and_closed_with_the_store(kept, server):
    others = text("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    database = PostgresSchema(server)
    with database.open_engine().connect() as watcher:

        def connected():
            with watcher.begin():  # a transaction of its own, which sees the list as it is now
                return set(watcher.scalars(others))

        before = connected()
        stores = [Store.open(kept.path) for _ in range(5)]
        for _ in range(3):
            assert [store.scans.names() for store in stores] == [[]] * 5
        added = connected() - before
        assert len(added) == 5
        del stores
        last = time.monotonic() + 5  # the server ends a closed connection by itself, a little later
        while connected() & added and time.monotonic() < last:
            time.sleep(0.05)
        assert not connected() & added
    assert postgresql.is_address(server)
    assert os.environ.get("PGPASSWORD") is None


def test_the_commands_take_the_address_in_place_of_the_folder(address, tmp_path, capsys):
    root = tmp_path / "plate7"
    assert main(["init", address, "--folder", str(root)]) == 0
    assert main(["ls", address]) == 0
    assert main(["check", address]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "sound"
    assert main(["init", address]) == 2
    assert main(["ls", "postgresql://ada:s3cret@h/foils"]) == 2
    said = capsys.readouterr().err
    assert "the address of a database together with --folder" in said
    assert "s3cret" not in said
    assert "PGPASSWORD" in said
