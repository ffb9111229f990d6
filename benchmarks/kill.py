"""Kill every command that writes at random moments, repeat it, and compare.

    python benchmarks/kill.py --kills 10
    python benchmarks/kill.py --kills 3 --only find --only "runs rm"

After a command was killed and repeated, its folder must have the same files, byte for byte, and the
same catalogue, apart from times, as after a command that was not killed; and the store must be
sound, right after the kill too, apart from unfinished work. The exit status is 1 if anything
differs, if a store is damaged, or if a repeated command fails.

Commands are forked from a server that has loaded the package, and killed with all their workers.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from etchscope.cli.app import main as etchscope_main
from etchscope.ingest.write import write_smartscope
from etchscope.simulation import Optics, Population, SimulatedScan, Stage
from etchscope.store import Store

_TIMES = ("added_at", "committed_at", "saved_at")
_LOADED = ["etchscope.cli.app", "etchscope.run", "etchscope.api.training", "etchscope.pages"]
_OLD = Path(__file__).parents[1] / "tests"


def take_snapshot(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder; rows without times of each catalogue."""
    found, paths = {}, sorted(folder.rglob("*"))
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            found[f"{name}/"] = ""
        elif path.name.endswith((".sqlite-wal", ".sqlite-shm", ".sqlite-journal")):
            continue
        elif path.suffix == ".sqlite":
            found |= {f"{name}: {table}": rows for table, rows in _rows(path).items()}
        elif path.is_file():
            found[name] = hashlib.sha256(_without_times(path)).hexdigest()
    return found


def _without_times(path: Path) -> bytes:
    """Return the bytes of a file; those of an alignment that a store keeps without its time."""
    content = path.read_bytes()
    return re.sub(rb'"when": "[^"]*"', b"", content) if path.match("alignments/*.json") else content


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


# Commands in processes ------------------------------------------------------------------------


def _command(words: list[str], log: str, begun: Connection) -> None:
    """Run a command as a program does; a process of its own that can be killed with its workers."""
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    begun.send(True)
    status = etchscope_main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run(words: list[str], log: Path, kill_after_s: float | None = None) -> tuple[int, float]:
    """Run a command, and SIGKILL it at a moment; return its status and its duration in seconds."""
    context = get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    ours, its = context.Pipe(duplex=False)
    process = context.Process(target=_command, args=(words, str(log), its))
    process.start()
    ours.recv()
    begin = time.monotonic()
    process.join(kill_after_s)
    if process.is_alive():
        os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
    status, duration = process.exitcode, time.monotonic() - begin
    process.close()
    return 1 if status is None else status, duration


def _must_run(*words: object) -> None:
    with tempfile.NamedTemporaryFile() as log:
        status, _ = run([str(word) for word in words], Path(log.name))
        if status:
            raise SystemExit(f"{words}: {Path(log.name).read_text()}")


# Stores to begin with --------------------------------------------------------------------------


class Stores:
    """Stores in all states that a command can begin with, each made when it is first needed."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        self.folder = folder
        optics, stage = Optics(image_size=(144, 192)), Stage(overlap_px=(-60, -60))
        given = {"columns": columns, "rows": rows, "population": Population.of(150, 60)}
        self.foils = [
            SimulatedScan(seed=11, optics=optics, stage=stage, side=side, **given)  # type: ignore[arg-type]
            for side in ("front", "back")
        ]

    def _from(self, before: Path, name: str) -> Path:
        return Path(shutil.copytree(before, self.folder / name))

    @cached_property
    def pictures(self) -> list[Path]:
        """The scan directories."""
        for foil in self.foils:
            write_smartscope(self.folder / foil.scan.name, foil.scan, foil.read_tile)
        return [self.folder / foil.scan.name for foil in self.foils]

    @cached_property
    def nothing(self) -> Path:
        """A folder without a store."""
        (self.folder / "nothing").mkdir()
        return self.folder / "nothing"

    @cached_property
    def bare(self) -> Path:
        """A folder with an empty store, ``store``."""
        Store.create(self.folder / "bare" / "store")
        return self.folder / "bare"

    @cached_property
    def added(self) -> Path:
        """The store has a front and a back."""
        path = self._from(self.bare, "added")
        _must_run("add", path / "store", *self.pictures)
        return path

    @cached_property
    def found(self) -> Path:
        """They have been searched."""
        path = self._from(self.added, "found")
        _must_run("find", path / "store")
        return path

    @cached_property
    def compressed(self) -> Path:
        """Their white space is compressed."""
        path = self._from(self.found, "compressed")
        _must_run("compress", path / "store", "--margin-px", 2)
        return path

    @cached_property
    def labels(self) -> Path:
        """A table of the true openings of the front."""
        truth = self.foils[0].truth()
        table = truth[["tile", "x_px", "y_px", "class"]].assign(scan=self.foils[0].scan.name)
        table.to_csv(self.folder / "labels.csv", index=False)
        return self.folder / "labels.csv"

    def label_words(self, store: Path) -> list[object]:
        """Return the command that imports them."""
        return ["label", "import", store, self.labels, "--who", "anna", "--when", "2026-05-01"]

    @cached_property
    def labelled(self) -> Path:
        """The front has labels."""
        path = self._from(self.found, "labelled")
        _must_run(*self.label_words(path / "store"))
        return path

    @cached_property
    def trained(self) -> Path:
        """There is a model, and a copy of it in a folder."""
        path = self._from(self.labelled, "trained")
        _must_run(*train_words(path / "store"))
        _must_run("model", "export", path / "store", "first", "-o", path / "exported")
        return path

    @cached_property
    def scored(self) -> Path:
        """The front has been scored."""
        path = self._from(self.trained, "scored")
        scan = self.foils[0].scan.name
        _must_run("run", path / "store", "--model", "first", "--scan", scan)
        return path

    @cached_property
    def old(self) -> Path:
        """The searched store as an earlier version of Etchscope has left its catalogue."""
        sys.path.insert(0, str(_OLD.parent))
        from tests.store.test_migration import make_old

        path = self._from(self.labelled, "old")
        make_old(Store.open(path / "store"), 2)
        return path


def train_words(store: Path) -> list[object]:
    """Return the command that trains a small model."""
    quick = ["--network", "plain", "--epochs", 2, "--folds", 2, "--size", 20, "--lights", "all"]
    return ["train", store, "--name", "first", *quick]


@dataclass(frozen=True)
class Case:
    """A command: the folder it begins with, its words, given that folder's copy.

    ``may_refuse``: the repetition may find that all is done, and say so with status 2.
    """

    begin: Callable[[], Path]
    words: Callable[[Path], list[object]]
    may_refuse: bool = False


def list_cases(s: Stores, executor: str) -> dict[str, Case]:
    """Return name → every command that writes."""
    front, back = (foil.scan.name for foil in s.foils)
    small = ["--columns", 2, "--rows", 2, "--set", "optics.image_size=[96,128]"]

    def remove_run(path: Path) -> list[object]:
        (run, *_) = Store.open(s.found / "store").runs.names(front)
        return ["runs", "rm", path / "store", run, "--yes"]

    def import_model(path: Path) -> list[object]:
        return ["model", "import", path / "store", s.trained / "exported", "--name", "second"]

    def calibrate(path: Path) -> list[object]:
        store = path / "store"
        return ["model", "calibrate", store, "first", "--scan", front, "--truth", s.labels]

    def of(state: str, *words: object, refuse: bool = False) -> Case:
        """Return a case; ``@name`` in the words stands for a path in the folder."""

        def filled(path: Path) -> list[object]:
            return [path / w[1:] if str(w)[0] == "@" else w for w in words]  # type: ignore[index]

        return Case(lambda: getattr(s, state), filled, refuse)

    aligned = ["-o", "@aligned", "--name", "both", "--mirror", "find", "--surface", "any"]
    outputs = ["-o", "@pits.csv", "--candidates", "@c.csv", "--sheet", "@sheet"]
    return {
        "init": of("nothing", "init", "@store", refuse=True),
        "add": Case(lambda: s.bare, lambda p: ["add", p / "store", *s.pictures]),
        "simulate": of("bare", "simulate", "@twin", "--store", "@store", *small, refuse=True),
        "find": of("added", "find", "@store", "--executor", executor, "-o", "@pits.root"),
        "label import": Case(lambda: s.found, lambda p: s.label_words(p / "store")),
        "label export": of(
            "labelled", "label", "export", "@store", "-o", "@l.csv", "--patches", "@p.npz"
        ),
        "train": Case(lambda: s.labelled, lambda p: train_words(p / "store"), may_refuse=True),
        "run": of("trained", "run", "@store", "--model", "first", "--scan", front, *outputs),
        "report": of(
            "scored", "report", "@store", "--scan", front, "-o", "@report", "--format", "svg"
        ),
        "export": of("found", "export", "@store", "--scan", front, "-o", "@pits.parquet"),
        "compress": of("found", "compress", "@store", "--margin-px", 2),
        "add again": Case(lambda: s.compressed, lambda p: ["add", p / "store", *s.pictures]),
        "align": of("found", "align", front, back, "--store", "@store", *aligned),
        "exclude": of("found", "exclude", "@store", "--tile", 2, "--why", "a fibre"),
        "include": of("found", "include", "@store", "--tile", 2),
        "rm": of("found", "rm", "@store", "--scan", front, "--tile", 3, "--yes", refuse=True),
        "rm scan": of("found", "rm", "@store", "--scan", front, "--yes", refuse=True),
        "runs rm": Case(lambda: s.found, remove_run, may_refuse=True),
        "model import": Case(lambda: s.bare, import_model),
        "model export": of(
            "trained", "model", "export", "@store", "first", "-o", "@e", refuse=True
        ),
        "model rm": of("trained", "model", "rm", "@store", "first", refuse=True),
        "model calibrate": Case(lambda: s.scored, calibrate),
        "migrate": of("old", "migrate", "@store"),
    }


# Trials ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """One kill and its result."""

    moment_s: float
    was_running: bool
    leftovers: int
    again_s: float
    wrong: tuple[str, ...]


def check(store: Path) -> tuple[list[str], int]:
    """Return the damages that `etchscope check` finds, and its number of other findings."""
    if not store.exists():
        return [], 0
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        status = etchscope_main(["check", str(store), "--json"])
    if "which can be migrated" in errors.getvalue():
        return [], 0
    if status not in (0, 2) or not output.getvalue():
        return [f"check: status {status} {errors.getvalue()}"], 0
    findings = json.loads(output.getvalue())["findings"]
    damaged = [f"{f['what']}: {f['detail']}" for f in findings if f["severity"] == "damaged"]
    return damaged, len(findings) - len(damaged)


def run_trial(case: Case, folder: Path, moment_s: float, expected: dict[str, str]) -> Trial:
    """Kill a command in a folder, check its store, repeat it, compare, and check again."""
    words, log = [str(word) for word in case.words(folder)], folder.with_name("log")
    status, _ = run(words, log, moment_s)
    wrong, leftovers = check(folder / "store")
    again, again_s = run(words, log)
    if again and not (again == 2 and case.may_refuse):
        wrong.append(f"again: status {again}: {log.read_text().strip()[-300:]}")
    damaged, left = check(folder / "store")
    wrong += damaged + ["leftovers after the repetition"] * bool(left)
    wrong += [f"differs: {key}" for key in find_differences(take_snapshot(folder), expected)]
    return Trial(moment_s, status == -signal.SIGKILL, leftovers, again_s, tuple(wrong))


def run_trials(
    name: str, case: Case, folder: Path, rng: np.random.Generator, kills: int
) -> list[Trial]:
    """Kill a command at random moments of its duration, and print one line for each kill."""
    trial = folder / "trial"  # always the same, since files may name it

    def begin() -> None:
        shutil.rmtree(trial, ignore_errors=True)
        shutil.copytree(case.begin(), trial)

    begin()
    words, log = [str(word) for word in case.words(trial)], folder / "log"
    status, duration_s = run(words, log)
    expected = take_snapshot(trial)
    if status:
        raise SystemExit(f"{name}: {log.read_text()}")
    done = []
    for moment_s in rng.uniform(0, duration_s, kills):
        begin()
        one = run_trial(case, trial, float(moment_s), expected)
        done.append(one)
        if one.wrong:
            print(f"{name}, killed at {one.moment_s:.3f} s: {'; '.join(one.wrong)}", flush=True)
    running = sum(t.was_running for t in done)
    left, bad = sum(t.leftovers > 0 for t in done), sum(bool(t.wrong) for t in done)
    print(
        f"{name}: {duration_s:.2f} s; {len(done)} kills, {running} while it ran,"
        f" {left} left unfinished work; {bad} ended with a difference",
        flush=True,
    )
    return done


def main() -> int:
    """Run the trials and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="kills of each command")
    parser.add_argument("--only", action="append", help="a command; may be repeated")
    parser.add_argument("--columns", type=int, default=4, help="of the scan's grid")
    parser.add_argument("--rows", type=int, default=2, help="of the scan's grid")
    parser.add_argument("--executor", choices=("threads", "processes", "inline"), default="threads")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # small networks train fastest so
    rng, done = np.random.default_rng(given.seed), []
    with tempfile.TemporaryDirectory(prefix="etchscope-kill-") as name:
        cases = list_cases(Stores(Path(name), given.columns, given.rows), given.executor)
        for command in given.only or cases:
            done += run_trials(command, cases[command], Path(name), rng, given.kills)
    bad = sum(bool(t.wrong) for t in done)
    print(f"{len(done)} kills, {sum(t.was_running for t in done)} while a command ran: {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
