import json
import signal
import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.processes import run_code

from etchscope.files.locks import hold_lock
from etchscope.foil import BadInput
from etchscope.foil.debugging import DEBUG
from etchscope.run.executors import choose_executor
from etchscope.run.executors.inline import run_inline
from etchscope.run.stage import Piece, carry_out, run_name, tile_pieces

NUMBERS = [3, 1, 4, 1, 5, 9, 2]


def square(folder: Path, bad: int | None, piece: Piece) -> None:
    """Write the squares of a piece; ``work.log`` says which pieces were done."""
    if piece.index == bad:
        raise BadInput(f"piece {bad}", "numbers", "damage")
    with (folder / "work.log").open("a") as log:
        log.write(f"{piece.index}\n")
    part = {"of": piece.covers, "squares": [n * n for n in piece.covers]}
    aside = folder / f".{piece.index}.aside"
    aside.write_text(json.dumps(part))
    aside.replace(folder / f"{piece.index}.part")


@dataclass(frozen=True)
class Squares:
    """A toy: the squares of some numbers, two a piece, joined in one file."""

    folder: Path
    numbers: tuple[int, ...] = tuple(NUMBERS)
    bad: int | None = None

    @property
    def pieces(self) -> list[Piece]:
        pairs = [list(self.numbers[i : i + 2]) for i in range(0, len(self.numbers), 2)]
        return [Piece(index, pair, len(pair)) for index, pair in enumerate(pairs)]

    @property
    def work(self) -> Callable[[Piece], None]:
        return partial(square, self.folder, self.bad)

    def parts(self) -> Mapping[int, list[int]]:
        return {i: part["of"] for i, part in self._parts().items()}

    def _parts(self) -> dict[int, dict[str, list[int]]]:
        return {int(p.stem): json.loads(p.read_text()) for p in self.folder.glob("*.part")}

    def hold(self) -> AbstractContextManager[object]:
        return hold_lock(self.folder / ".lock", "the squares")

    def is_committed(self) -> bool:
        return (self.folder / "whole").exists()

    def commit(self) -> tuple[list[int], bool]:
        parts = self._parts()
        try:
            squares = [n for piece in self.pieces for n in parts[piece.index]["squares"]]
        except KeyError as error:
            raise BadInput(self.folder, "all parts", f"no part {error}") from error
        (self.folder / "whole").write_text(json.dumps(squares))
        for path in self.folder.glob("*.part"):
            path.unlink()
        return squares, False

    def renew(self) -> tuple[list[int], bool]:
        return json.loads((self.folder / "whole").read_text()), True


def done_pieces(folder):
    return [int(line) for line in (folder / "work.log").read_text().splitlines()]


@pytest.mark.parametrize("name", ["inline", "threads", "processes"])
def test_every_executor_gives_the_same(tmp_path, name):
    units, totals = [], []
    report = carry_out(
        Squares(tmp_path),
        choose_executor(name),
        workers=2,
        progress=units.append,
        total=totals.append,
    )
    assert report == ([n * n for n in NUMBERS], False)
    assert (sum(units), totals) == (7, [7])
    assert sorted(done_pieces(tmp_path)) == [0, 1, 2, 3]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["whole", "work.log"]


def test_in_debug_a_stage_whose_work_pickles_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv(DEBUG, "1")
    assert carry_out(Squares(tmp_path), run_inline)[0] == [n * n for n in NUMBERS]


def test_in_debug_a_stage_whose_work_does_not_pickle_fails(tmp_path, monkeypatch):
    class Closed(Squares):
        @property
        def work(self):
            return lambda piece: square(self.folder, None, piece)

    assert carry_out(Closed(tmp_path), run_inline)[0] == [n * n for n in NUMBERS]
    (tmp_path / "whole").unlink()
    monkeypatch.setenv(DEBUG, "1")
    with pytest.raises(Exception, match="pickle"):
        carry_out(Closed(tmp_path), run_inline)


def test_only_pieces_without_a_part_are_done(tmp_path):
    square(tmp_path, None, Piece(0, [3, 1], 2))
    square(tmp_path, None, Piece(2, [8, 8], 2))  # of other numbers
    (tmp_path / "work.log").unlink()
    units: list[int] = []
    report = carry_out(Squares(tmp_path), run_inline, progress=units.append)
    assert done_pieces(tmp_path) == [1, 2, 3]
    assert units == [2, 2, 2, 1]
    assert report == ([n * n for n in NUMBERS], False)


def test_what_is_committed_is_renewed_and_not_done_again(tmp_path):
    first = carry_out(Squares(tmp_path), run_inline)
    totals: list[int] = []
    again = carry_out(
        Squares(tmp_path),
        run_inline,
        progress=lambda _: pytest.fail("did a piece"),
        total=totals.append,
    )
    assert again == (first[0], True)
    assert totals == [7]
    assert done_pieces(tmp_path) == [0, 1, 2, 3]


def test_an_error_in_a_piece_keeps_the_parts_before_it(tmp_path):
    with pytest.raises(BadInput, match="piece 2: expected numbers, found damage"):
        carry_out(Squares(tmp_path, bad=2), run_inline)
    assert set(Squares(tmp_path).parts()) == {0, 1}
    assert carry_out(Squares(tmp_path), run_inline) == ([n * n for n in NUMBERS], False)
    assert done_pieces(tmp_path) == [0, 1, 2, 3]


@pytest.mark.parametrize(("moment", "was_done"), [(0, False), (2, True), (3, True)])
def test_without_locks_two_at_once_agree(tmp_path, moment, was_done, without_locks):
    """Meanwhile another process does all of it, and drops the parts that are there by then."""
    squares = [n * n for n in NUMBERS]

    def executor(tasks, *, workers, done):
        for index, task in enumerate(tasks):
            if index == moment:
                assert carry_out(Squares(tmp_path), run_inline) == (squares, False)
            done(task())

    assert carry_out(Squares(tmp_path), executor) == (squares, was_done)


_KILLED = """
import os, signal, sys
from pathlib import Path
from etchscope.run.executors import choose_executor
from etchscope.run.stage import carry_out
from tests.run.test_stage import Squares
if __name__ == "__main__":
    done = []
    def stop(units):
        done.append(units)
        if len(done) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    carry_out(Squares(Path({folder!r})), choose_executor({name!r}), workers=1, progress=stop)
"""


@pytest.mark.parametrize("name", ["inline", pytest.param("threads", marks=pytest.mark.slow)])
def test_a_kill_between_parts_loses_none_of_them(tmp_path, name):
    code = _KILLED.format(folder=str(tmp_path), name=name)
    assert run_code(code) == -signal.SIGKILL
    before = done_pieces(tmp_path)
    kept = {int(part.stem) for part in tmp_path.glob("*.part")}
    assert len(kept) >= 2
    assert carry_out(Squares(tmp_path), run_inline) == ([n * n for n in NUMBERS], False)
    again = done_pieces(tmp_path)[len(before) :]
    assert sorted(set(before) | set(again)) == [0, 1, 2, 3]
    assert not set(again) & kept


def test_a_run_s_name_is_its_record_whatever_the_order_of_keys():
    name = run_name("find", {"scan": "a", "tiles": [1, 2]})
    assert name == run_name("find", {"tiles": [1, 2], "scan": "a"})
    assert name.startswith("find-")
    assert len(name) == len("find-") + 16
    assert name != run_name("find", {"scan": "a", "tiles": [2, 1]})


def test_tiles_are_cut_into_pieces_in_their_order():
    pieces = tile_pieces(tuple(range(1, 36)))
    assert [p.index for p in pieces] == [0, 1, 2]
    assert [p.units for p in pieces] == [16, 16, 3]
    assert [n for p in pieces for n in p.covers] == list(range(1, 36))


class Empty:
    """A toy: pieces without work."""

    def __init__(self, count: int) -> None:
        self.pieces = tile_pieces(range(16 * count))

    work = staticmethod(lambda piece: None)
    hold = staticmethod(nullcontext)

    def parts(self) -> dict[int, list[int]]:
        return {}

    def is_committed(self) -> bool:
        return False

    def commit(self) -> int:
        return len(self.pieces)

    renew = commit


def test_many_pieces_are_made_when_their_turn_comes():
    units = 0

    def count(n: int) -> None:
        nonlocal units
        units += n

    tracemalloc.start()
    try:
        assert carry_out(Empty(20_000), run_inline, progress=count) == 20_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert units == 320_000
    assert peak < 2e6  # a list of the pieces takes 20 MB


def test_tiles_of_a_shard_are_one_piece():
    pieces = tile_pieces([3, 4, 7, 9, 12], np.array([0, 0, 0, 2, 5]))
    assert list(pieces) == [Piece(0, [3, 4, 7], 3), Piece(1, [9], 1), Piece(2, [12], 1)]
    assert list(tile_pieces([], np.array([], np.int64))) == []


def test_pieces_are_a_sequence():
    pieces = tile_pieces(range(35))
    assert pieces[-1] == pieces[2] == Piece(2, [32, 33, 34], 3)
    assert list(pieces[1:]) == [pieces[1], pieces[2]]
    with pytest.raises(IndexError):
        pieces[3]
