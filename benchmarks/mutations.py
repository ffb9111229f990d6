"""Mutate what the command line reads, and count how it ends: done, refused in one line, or badly.

    python benchmarks/mutations.py --inputs 10000 --seed 1

Each input runs the whole command line in a process of its own, on a copy of a small store. An end
is bad if it is a traceback or an unforeseen error, a signal, an exit status other than 0, 1 and 2,
more than 20 s of the processor or 2 GB, a message longer than 800 characters, a store that a
refused command changed, or a file outside the store and the folder for output. The exit status is
1 if any end is bad. An input of ``--kind`` and ``--only`` is run again as it was.
"""

import argparse
import hashlib
import os
import pkgutil
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
from collections import Counter
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

import etchscope
from etchscope.cli.app import main as etchscope_main
from mutation_kinds import KINDS, QUICK, make_base, prepare

MOST_S, MOST_BYTES, MOST_CHARACTERS = 20, 2 * 2**30, 800
_HANGS_S = 120
_QUICK_TO_IMPORT = ("cli", "foil", "files", "geometry", "store", "ingest", "evaluation")


def snapshot(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, and of the rows of a store's catalogue."""
    out = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and "catalogue.sqlite" not in name:
            out[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    catalogue = folder / "store/catalogue.sqlite"
    if not catalogue.is_file():  # SQLite would make one
        return out
    try:
        with closing(sqlite3.connect(catalogue)) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
            rows = "\n".join(connection.iterdump())
            out["store/catalogue"] = hashlib.sha256(rows.encode()).hexdigest()
    except sqlite3.Error:
        out["store/catalogue"] = "damaged"
    return out


def run_input(base: Path, work: Path, kind: str, seed: int) -> tuple[str, float, int]:
    """Run one mutated input; return its end, seconds of the processor, and bytes."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work)
    words = prepare(work, kind, np.random.default_rng(seed))
    before = snapshot(work)
    child = os.fork()
    if child == 0:
        _run_and_exit(work, words)
    _, status, usage = os.wait4(child, 0)
    seconds, size = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    return _end(work, before, status, seconds, size), seconds, size


def _run_and_exit(work: Path, words: list[str]) -> None:
    signal.alarm(_HANGS_S)
    os.chdir(work)
    output = os.open(said(work), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 99
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    with suppress(BaseException):
        code = etchscope_main(words)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def said(work: Path) -> Path:
    """Return the file with all that a command wrote to the terminal."""
    return work.with_suffix(".said")


def _end(work: Path, before: dict[str, str], status: int, seconds: float, size: int) -> str:
    lines = said(work).read_bytes().decode("utf-8", "replace").splitlines()
    after = snapshot(work)
    changed = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
    changed_store = {n for n in changed if n.startswith("store/")}
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return "BAD: hangs" if code == -signal.SIGALRM else f"BAD: {signal.Signals(-code).name}"
    if any("unforeseen" in line or "Traceback" in line for line in lines) or code not in (0, 1, 2):
        return "BAD: unforeseen"
    if seconds > MOST_S or size > MOST_BYTES:
        return "BAD: too large"
    if any(not name.startswith(("store/", "out/")) for name in changed):
        return "BAD: files elsewhere"
    if code and changed_store:
        return "BAD: store changed"
    if code and any(len(line) > MOST_CHARACTERS for line in lines):
        return "BAD: long message"
    return ("done", "failed", "refused")[code]


def mutate_all(
    seeds: list[tuple[str, int]], *, is_quick: bool, show: bool
) -> tuple[dict[str, Counter[str]], float, int]:
    """Return kind → number of ends of each sort, the longest time and the most bytes.

    Parameters
    ----------
    seeds : kind and seed of each input.
    is_quick : only kinds of ``QUICK`` are among them.
    show : print every end, not only the bad ones.
    """
    for module in pkgutil.walk_packages(etchscope.__path__, "etchscope."):
        folder = module.name.split(".")[1]
        is_slow = is_quick and folder not in _QUICK_TO_IMPORT
        if not (is_slow or "migrations" in module.name or folder == "__main__"):
            import_module(module.name)  # once, and not in each process
    counts: dict[str, Counter[str]] = {kind: Counter() for kind, _ in seeds}
    longest, largest = 0.0, 0
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        base, work = Path(folder) / "base", Path(folder) / "work"
        os.environ |= {"HOME": folder, "XDG_STATE_HOME": f"{folder}/state", "TMPDIR": folder}
        _make_base_aside(base, is_quick=is_quick)
        with suppress(KeyboardInterrupt):  # what was run until then is counted
            for kind, seed in seeds:
                end, seconds, size = run_input(base, work, kind, seed)
                counts[kind][end] += 1
                longest, largest = max(longest, seconds), max(largest, size)
                if show or end.startswith("BAD"):
                    last = said(work).read_bytes().decode("utf-8", "replace").strip()
                    print(f"{kind} {seed}: {end}: {last[-400:]}", flush=True)
    return counts, longest, largest


def _make_base_aside(base: Path, *, is_quick: bool) -> None:
    """Make the base in a process of its own, whose threads would not survive a fork."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            make_base(base, is_quick=is_quick)
            code = 0
        except Exception:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the files to mutate could not be made")


def main() -> int:
    """Run the inputs, print the counts by kind and the bad ones, and return the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--quick", action="store_true", help="only kinds that need no run")
    parser.add_argument("--only", type=int, action="append", help="seed of one input of --kind")
    parser.add_argument("--show", action="store_true", help="print every end")
    given = parser.parse_args()
    kinds = given.kind or (QUICK if given.quick else list(KINDS))
    shares = np.array([KINDS[kind].share for kind in kinds])
    drawn = np.random.default_rng(given.seed).choice(
        len(kinds), given.inputs, p=shares / shares.sum()
    )
    seeds = [(kinds[k], given.seed * 10**6 + i) for i, k in enumerate(drawn.tolist())]
    if given.only:
        seeds = [(kinds[0], seed) for seed in given.only]
    is_quick = {kind for kind, _ in seeds} <= set(QUICK)
    counts, longest, largest = mutate_all(seeds, is_quick=is_quick, show=given.show)
    ends = sorted({end for count in counts.values() for end in count})
    table = pd.DataFrame({kind: {e: count[e] for e in ends} for kind, count in counts.items()}).T
    table.loc["all"] = table.sum()
    print(table.to_string())
    print(f"longest {longest:.1f} s, largest {largest / 2**20:.0f} MB")
    return int(any(end.startswith("BAD") for end in ends))


if __name__ == "__main__":
    sys.exit(main())
