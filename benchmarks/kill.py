"""Kill `etchscope add` and `etchscope find` at random moments, repeat them, and compare.

    python benchmarks/kill.py --kills 20

After a command was killed and repeated, the store must have the same files, byte for byte, and the
same catalogue, apart from times, as a store whose command was not killed. The exit status is 1 if
anything differs, if a store is damaged, or if a repeated command fails.
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from etchscope.cli.app import main as etchscope_main
from etchscope.ingest.write import write_smartscope
from etchscope.simulation import Population, SimulatedScan
from etchscope.store import Store

_TIMES = ("added_at", "committed_at", "saved_at")


def take_snapshot(store: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a store, and the rows of its catalogue without times."""
    files = {
        p.relative_to(store).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(store.rglob("*"))
        if p.is_file() and not p.name.startswith("catalogue.sqlite")
    }
    folders = {f"{p.relative_to(store).as_posix()}/": "" for p in store.rglob("*") if p.is_dir()}
    return files | folders | _rows(store / "catalogue.sqlite")


def _rows(catalogue: Path) -> dict[str, str]:
    connection = sqlite3.connect(catalogue)
    try:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        out = {}
        for (name,) in names:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            kept = ", ".join(f'"{c}"' for c in columns if c not in _TIMES)
            rows = connection.execute(f"SELECT {kept} FROM {name}").fetchall()
            out[f"table {name}"] = repr(sorted(map(repr, rows)))
        return out
    finally:
        connection.close()


def find_differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Return the names of the files, folders and tables that differ."""
    keys = sorted(found.keys() | expected.keys())
    return [key for key in keys if found.get(key) != expected.get(key)]


@dataclass(frozen=True)
class Trial:
    """One kill and its result."""

    moment_s: float
    was_running: bool
    leftovers: int
    parts: int
    again_s: float
    wrong: tuple[str, ...]


def _command(*words: object) -> list[str]:
    return [sys.executable, "-m", "etchscope.cli.app", *map(str, words)]


def _run(*words: object) -> float:
    start = time.monotonic()
    subprocess.run(_command(*words), check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def _killed(moment_s: float, *words: object) -> bool:
    """Run a command, SIGKILL it and all its workers; return whether it was still running."""
    process = subprocess.Popen(_command(*words), stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(moment_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def _check(store: Path) -> tuple[list[str], int]:
    """Return the damages that `etchscope check` finds, and its number of other findings."""
    output = io.StringIO()
    with redirect_stdout(output):
        status = etchscope_main(["check", str(store), "--json"])
    if status not in (0, 2) or not output.getvalue():
        return [f"check: status {status}"], 0
    findings = json.loads(output.getvalue())["findings"]
    damaged = [f"{f['what']}: {f['detail']}" for f in findings if f["severity"] == "damaged"]
    return damaged, len(findings) - len(damaged)


def run_trial(store: Path, moment_s: float, expected: dict[str, str], *words: object) -> Trial:
    """Kill a command on a store, check it, repeat the command, compare and check again."""
    was_running = _killed(moment_s, *words)
    wrong, leftovers = _check(store)
    parts = len(list(store.glob("runs/.*.partial/part-*.parquet")))
    again_s = 0.0
    try:
        again_s = _run(*words)
    except subprocess.CalledProcessError as error:
        wrong.append(f"again: status {error.returncode}")
    damaged, left = _check(store)
    wrong += damaged + ["leftovers after the repetition"] * bool(left)
    wrong += [f"differs: {key}" for key in find_differences(take_snapshot(store), expected)]
    return Trial(moment_s, was_running, leftovers, parts, again_s, tuple(wrong))


def run_trials(
    name: str,
    fresh: Callable[[Path], None],
    words: Callable[[Path], list[object]],
    folder: Path,
    rng: np.random.Generator,
    kills: int,
) -> list[Trial]:
    """Kill one command at random moments of its duration, and print one line for each kill.

    Parameters
    ----------
    fresh : makes a store for the command to work on.
    words : the command, given its store.
    """
    calm = folder / f"{name}-calm"
    fresh(calm)
    duration_s = _run(*words(calm))
    expected = take_snapshot(calm)
    print(f"{name}: {duration_s:.1f} s undisturbed, {len(expected)} files, folders and tables")
    done = []
    for number, moment_s in enumerate(rng.uniform(0, duration_s, kills), 1):
        store = folder / f"{name}-{number}"
        fresh(store)
        one = run_trial(store, float(moment_s), expected, *words(store))
        shutil.rmtree(store)
        done.append(one)
        state = "killed" if one.was_running else "had ended"
        result = "same bytes" if not one.wrong else "; ".join(one.wrong)
        print(
            f"{name} {number:3d}: {state} at {one.moment_s:5.2f} s, {one.leftovers} leftovers,"
            f" {one.parts} parts; again {one.again_s:4.1f} s: {result}",
            flush=True,
        )
    return done


def _summary(name: str, done: list[Trial]) -> str:
    bad = sum(bool(t.wrong) for t in done)
    running = sum(t.was_running for t in done)
    left = sum(t.leftovers > 0 for t in done)
    resumed = sum(t.parts > 0 for t in done)
    return (
        f"{name}: {len(done)} kills, {running} while it ran, {left} left unfinished work,"
        f" {resumed} continued from parts; {bad} ended with a difference"
    )


def main() -> int:
    """Run the trials and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="kills of each command")
    parser.add_argument("--only", choices=("add", "find"), help="one of the two commands")
    parser.add_argument("--columns", type=int, default=8, help="of the scan's grid")
    parser.add_argument("--rows", type=int, default=5, help="of the scan's grid")
    parser.add_argument("--executor", choices=("threads", "processes", "inline"), default="threads")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    summaries, is_good = [], True
    with tempfile.TemporaryDirectory(prefix="etchscope-kill-") as name:
        folder = Path(name)
        pictures, added = folder / "scan", folder / "added"
        population = Population.of(30, 3)
        foil = SimulatedScan(seed=1, columns=given.columns, rows=given.rows, population=population)
        write_smartscope(pictures, foil.scan, foil.read_tile)
        Store.create(added)
        _run("add", added, pictures)
        commands = {
            "add": (lambda p: Store.create(p), lambda p: ["add", p, pictures]),
            "find": (
                lambda p: shutil.copytree(added, p),
                lambda p: ["find", p, "--executor", given.executor],
            ),
        }
        for command, (fresh, words) in commands.items():
            if given.only in (None, command):
                done = run_trials(command, fresh, words, folder, rng, given.kills)
                summaries.append(_summary(command, done))
                is_good &= not any(t.wrong for t in done)
    print("\n".join(summaries))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
