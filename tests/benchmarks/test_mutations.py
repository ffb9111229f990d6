import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mutations
from mutators import mutate_csv, mutate_json

BENCHMARKS = Path(mutations.__file__).parent


def test_mutated_inputs_are_done_or_refused_in_one_line(tmp_path):
    # In a process of its own, since threads of other tests would not survive its forks.
    words = [sys.executable, "mutations.py", "--quick", "--inputs", "40", "--seed", "5"]
    done = subprocess.run(words, cwd=BENCHMARKS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (total,) = (line.split() for line in done.stdout.splitlines() if line.startswith("all "))
    assert sum(map(int, total[1:])) == 40
    assert min(map(int, total[1:])) > 0  # some are done, some are refused


def _killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


def _writes(name, code):
    def main(_):
        Path(name).write_text("x")
        return code

    return main


def _says(text, code):
    def main(_):
        sys.stdout.write(text)
        return code

    return main


@pytest.mark.parametrize(
    ("main", "end"),
    [
        (_says("fine", 0), "done"),
        (_says("Error: no", 2), "refused"),
        (_says("Error: full", 1), "failed"),
        (_says("Error: unforeseen KeyError", 1), "BAD: unforeseen"),
        (_says("", 3), "BAD: unforeseen"),
        (_says("x" * 900, 2), "BAD: long message"),
        (lambda _: 1 // 0, "BAD: unforeseen"),
        (_killed, "BAD: SIGKILL"),
        (_writes("store/new", 2), "BAD: store changed"),
        (_writes("store/new", 0), "done"),
        (_writes("new", 0), "BAD: files elsewhere"),
        (_writes("out/new", 2), "refused"),
    ],
)
def test_bad_ends_are_seen(tmp_path, monkeypatch, main, end):
    base = tmp_path / "base"
    for folder in ("store", "out", "scan"):
        (base / folder).mkdir(parents=True)
    (base / "scan/positions.json").write_text('{"1": [0, 1]}')
    monkeypatch.setattr(mutations, "etchscope_main", main)
    assert mutations.run_input(base, tmp_path / "work", "positions", 1)[0] == end
    shutil.rmtree(tmp_path / "work")


def test_equal_seeds_give_equal_mutations_that_differ_from_the_file():
    table, value = b"x_mm,y_mm\n1,2\n", b'{"a": [1, {"b": 2}], "c": "d"}'
    for mutate, data in ((mutate_csv, table), (mutate_json, value)):
        made = [mutate(data, np.random.default_rng(i)) for i in range(40)]
        assert made == [mutate(data, np.random.default_rng(i)) for i in range(40)]
        assert len(set(made) - {data}) > 25
