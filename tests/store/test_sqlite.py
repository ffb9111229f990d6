import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from etchscope.foil import BadInput
from etchscope.store.sqlite import copy_file, find_damage, named_errors, open_engine


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(
            "CREATE TABLE foil (name TEXT PRIMARY KEY);"
            "CREATE TABLE scan (name TEXT, foil TEXT REFERENCES foil (name));"
        )
    return path


def test_a_copy_has_the_same_rows_and_both_are_sound(file, tmp_path):
    with Session(open_engine(file)) as session, session.begin():
        session.execute(text("INSERT INTO foil VALUES ('F1')"))
    copy_file(file, tmp_path / "b.sqlite")
    with Session(open_engine(tmp_path / "b.sqlite")) as session:
        assert session.execute(text("SELECT name FROM foil")).scalars().all() == ["F1"]
        assert list(find_damage(session)) == []


def test_a_row_without_its_parent_is_found(file):
    with closing(sqlite3.connect(file)) as careless:  # without foreign keys enforced
        careless.execute("INSERT INTO scan VALUES ('a', 'F1')")
        careless.commit()
    with Session(open_engine(file)) as session:
        assert list(find_damage(session)) == [("scan", "a row without its parent")]


def test_an_error_names_the_file(file):
    file.write_bytes(b"no database, and long enough to be looked at")
    with pytest.raises(BadInput, match=r"a\.sqlite.*not a database"):  # noqa: SIM117
        with named_errors(file), Session(open_engine(file)) as session:
            session.execute(text("SELECT 1 FROM foil"))
