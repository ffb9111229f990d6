import itertools
import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.run.test_stage import NUMBERS, Squares, done_pieces, square

from etchscope.foil import BadInput, PartMissing
from etchscope.run.executors.inline import run_inline
from etchscope.run.shares import Share, do_share, joiner
from etchscope.run.stage import carry_out

SQUARES = [n * n for n in NUMBERS]


@dataclass(frozen=True)
class Divided(Squares):
    """The toy of a stage, which keeps numbers of shares."""

    title = "the squares"

    def note_shares(self, count: int) -> None:
        (self.folder / f"of-{count}").touch()

    def share_counts(self) -> list[int]:
        return [int(path.name[3:]) for path in self.folder.glob("of-*")]


def join(stage):
    return carry_out(stage, joiner(stage))


def numbers_of(share: str) -> list[int]:
    return list(Share.parse(share).choose(Squares(Path()).pieces))


def test_shares_are_all_pieces_once():
    for count in (1, 2, 3, 4, 9):
        chosen = [Share(n, count).choose(range(10)) for n in range(1, count + 1)]
        assert sorted(itertools.chain(*chosen)) == list(range(10))


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "1", "1/2/3", "-1/3", "1/x", " 1/2", "1/2\n", "²/3"]
)
def test_what_is_no_share_is_refused(text):
    with pytest.raises(BadInput, match=r"^part: expected a number from 1 and how many parts"):
        Share.parse(text)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_shares_in_any_order_and_again_are_joined(tmp_path, count):
    shares = [Share(number, count) for number in range(1, count + 1)]
    random.Random(count).shuffle(shares)
    for share in [*shares, shares[0]]:
        units: list[int] = []
        totals: list[int] = []
        done = do_share(
            Divided(tmp_path), share, run_inline, progress=units.append, total=totals.append
        )
        assert done == (sum(units), False)
        assert [sum(units)] == totals
        assert not Divided(tmp_path).is_committed()
    assert join(Divided(tmp_path)) == (SQUARES, False)
    assert sorted(done_pieces(tmp_path)) == [0, 1, 2, 3]
    assert join(Divided(tmp_path)) == (SQUARES, True)


def test_a_share_after_the_whole_is_done_does_nothing(tmp_path):
    carry_out(Divided(tmp_path), run_inline)
    assert do_share(Divided(tmp_path), Share(1, 2), run_inline) == (4, True)
    assert done_pieces(tmp_path) == [0, 1, 2, 3]


def test_missing_shares_are_named_and_nothing_is_done(tmp_path):
    with pytest.raises(PartMissing, match=r"^the squares: expected parts that were done, found no"):
        join(Divided(tmp_path))
    do_share(Divided(tmp_path), Share(1, 3), run_inline)  # pieces 0 and 3
    with pytest.raises(PartMissing, match=r"expected all 3 parts, found parts 2/3, 3/3 missing$"):
        join(Divided(tmp_path))
    do_share(Divided(tmp_path), Share(2, 3), run_inline)
    with pytest.raises(PartMissing, match=r"expected all 3 parts, found part 3/3 missing$"):
        join(Divided(tmp_path))
    assert sorted(done_pieces(tmp_path)) == [0, 1, 3]
    do_share(Divided(tmp_path), Share(3, 4), run_inline)  # the same piece
    assert join(Divided(tmp_path)) == (SQUARES, False)


def test_of_many_missing_shares_some_are_named(tmp_path):
    many = Divided(tmp_path, tuple(range(40)))
    do_share(many, Share(1, 20), run_inline)
    with pytest.raises(PartMissing, match=r"parts 2/20, 3/20, 4/20, 5/20, 6/20 and 14 more missi"):
        join(many)


def test_a_share_that_was_joined_meanwhile_leaves_nothing(tmp_path):
    def late(tasks, *, workers, done):
        for task in tasks:
            carry_out(Divided(tmp_path), run_inline)
            done(task())

    assert do_share(Divided(tmp_path), Share(1, 9), late) == (2, False)
    assert json.loads((tmp_path / "whole").read_text()) == SQUARES


def test_a_damaged_part_is_done_again_by_its_share(tmp_path):
    do_share(Divided(tmp_path), Share(1, 1), run_inline)
    square(tmp_path, None, Divided(tmp_path, (8, 8)).pieces[0])  # of other numbers
    with pytest.raises(PartMissing, match=r"expected all 1 parts, found part 1/1 missing"):
        join(Divided(tmp_path))
    do_share(Divided(tmp_path), Share(1, 1), run_inline)
    assert join(Divided(tmp_path)) == (SQUARES, False)
