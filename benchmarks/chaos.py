"""Search on a Dask cluster whose workers, scheduler and disk fail, and compare the table.

    python benchmarks/chaos.py --columns 10 --rows 8 --every 3

While `find` runs on a cluster, a worker is killed every few seconds; the scheduler is killed once,
and the disk is full once, where this user may mount a small one. After each of these two the search
is repeated. In the end the store must have the same files, byte for byte, and the same catalogue,
apart from times, as after a search in one process, and no piece may have been done more than twice.
The exit status is 1 otherwise.
"""

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from distributed import Client, WorkerPlugin

from etchscope.foil import Foil, MachineFailed
from etchscope.preselect import FindSettings
from etchscope.run import find, stage
from etchscope.simulation import Optics, Population, SimulatedScan, Stage
from etchscope.store import Store, TilePictures
from kill import find_differences, take_snapshot

_SETTINGS = FindSettings(finder="classical")  # needs no PyTorch, which takes seconds to load


@dataclass(frozen=True)
class Logged(WorkerPlugin):
    """Makes a worker write a line to a file after each piece, and work for a while at each."""

    path: str
    pause_s: float
    name = "logged"

    def setup(self, worker: Any) -> None:
        """Do it now; a new worker in the place of a killed one does it again."""
        from etchscope.store.runs import Runs

        write = Runs.write_part
        if getattr(write, "is_logged", False):
            return

        def logged(runs: Runs, run: str, index: int, *rest: Any) -> None:
            time.sleep(self.pause_s)
            write(runs, run, index, *rest)
            with Path(self.path).open("a") as file:
                file.write(f"{index}\n")

        logged.is_logged = True  # type: ignore[attr-defined]
        Runs.write_part = logged  # type: ignore[method-assign]


def make_store(folder: Path, columns: int, rows: int) -> str:
    """Make a store with one simulated scan of small tiles; return the scan's name."""
    foil = SimulatedScan(
        seed=5,
        columns=columns,
        rows=rows,
        population=Population.of(100, 25),
        optics=Optics(image_size=(96, 128)),
        stage=Stage(overlap_px=(-60, -60)),
    )
    names = tuple(f"step {c.step}" for c in foil.scan.channels)
    store = Store.create(folder)
    store.scans.add(
        foil.scan, Foil(name=foil.scan.foil), lambda n: TilePictures(foil.read_tile(n), names)
    )
    return foil.scan.name


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[bool]:
    """Mount a small disk at a folder; yields whether it could be mounted."""
    folder.mkdir()
    if not size_mb:
        yield False
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)]
    done = shutil.which("mount") and not subprocess.run(mount, capture_output=True).returncode
    try:
        yield bool(done)
    finally:
        if done:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def cluster(workers: int, folder: Path) -> Iterator[tuple[Client, int, list[int]]]:
    """Yield a client of a scheduler and workers in processes of their own, with their numbers.

    The last are those of the processes that start a worker again when it is killed.
    """
    file, programs = folder / f"scheduler-{time.monotonic_ns()}.json", []
    common = ["--scheduler-file", str(file)]

    def start(program: str, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *common, *words]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)

    try:
        programs = [start("scheduler", "--port", "0", "--no-dashboard")]
        one = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
        programs += [start("worker", *one) for _ in range(workers)]
        with Client(scheduler_file=str(file), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
            yield client, programs[0].pid, [p.pid for p in programs[1:]]
    finally:
        for program in programs:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()


@dataclass
class Chaos:
    """Kills workers while a search runs, and the scheduler or the disk once so much is done."""

    log: Path
    rng: np.random.Generator
    every_s: float
    killed: int = 0
    once: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    @contextmanager
    def among(self, nannies: list[int]) -> Iterator[None]:
        """Kill workers in the block."""
        end = threading.Event()
        thread = threading.Thread(target=self._kill, args=(nannies, end))
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _kill(self, nannies: list[int], end: threading.Event) -> None:
        next_s, before = time.monotonic() + self.every_s, 0
        while not end.wait(0.05):
            done = sum(count_done(self.log).values())
            if self.once and done >= self.once[0][0]:
                self.once.pop(0)[1]()
            # A worker takes seconds to begin: none is killed before some piece was done again.
            if time.monotonic() > next_s and done > before:
                next_s, before = time.monotonic() + self.every_s, done
                self._kill_one(int(self.rng.choice(nannies)))

    def _kill_one(self, nanny: int) -> None:
        with suppress(psutil.Error, IndexError):
            busy = [p for p in psutil.Process(nanny).children() if "spawn_main" in str(p.cmdline())]
            busy[0].kill()
            self.killed += 1


def count_done(log: Path) -> Counter[int]:
    """Return index → how often a piece was done."""
    return Counter(int(line) for line in log.read_text().split()) if log.exists() else Counter()


def fill(disk: Path) -> None:
    """Fill a disk to the last byte."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def search(store: Path, scan: str, given: argparse.Namespace, folder: Path) -> tuple[Chaos, list]:
    """Search until it succeeds; return what was killed, and the errors on the way."""
    errors: list[str] = []
    chaos = Chaos(folder / "done", np.random.default_rng(given.seed), given.every)
    pieces = given.columns * given.rows
    filler = store.parent / "filler"
    if os.path.ismount(store.parent):
        chaos.once.append((pieces // 3, lambda: fill(store.parent)))
    scheduler = [0]
    chaos.once.append((2 * pieces // 3, lambda: os.kill(scheduler[0], signal.SIGKILL)))
    while len(errors) < given.repeats:
        with cluster(given.workers, folder) as (client, scheduler[0], nannies):
            client.register_plugin(Logged(str(chaos.log), given.pause))
            try:
                with chaos.among(nannies):
                    find(Store.open(store), scan, settings=_SETTINGS, executor=client)
                return chaos, errors
            except MachineFailed as error:
                errors.append(str(error))
                print(f"stopped: {error}", flush=True)
                filler.unlink(missing_ok=True)
    raise SystemExit(f"not done after {len(errors)} repetitions")


def main() -> int:
    """Run the search and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--columns", type=int, default=10, help="of the scan's grid")
    parser.add_argument("--rows", type=int, default=8, help="of the scan's grid")
    parser.add_argument("--workers", type=int, default=4, help="of the cluster")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two kills")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds of work at each piece")
    parser.add_argument("--repeats", type=int, default=10, help="most repetitions of the search")
    parser.add_argument("--size", type=int, default=64, help="of the small disk, MB; 0: none")
    parser.add_argument("--seed", type=int, default=1, help="of the kills")
    given = parser.parse_args()
    logging.disable()  # what is lost here is meant to be
    stage._BATCH = 1  # pieces of one tile each
    with tempfile.TemporaryDirectory(prefix="etchscope-chaos-") as name:
        folder = Path(name)
        with small_disk(folder / "disk", given.size) as is_small:
            calm, store = folder / "calm", folder / "disk" / "store"
            scan = make_store(calm, given.columns, given.rows)
            shutil.copytree(calm, store)
            find(Store.open(calm), scan, settings=_SETTINGS, executor="inline")
            begin = time.monotonic()
            chaos, errors = search(store, scan, given, folder)
            took_s = time.monotonic() - begin
            wrong = find_differences(take_snapshot(store), take_snapshot(calm))
            wrong += [f"{f.what}: {f.detail}" for f in Store.open(store).check()]
        done = count_done(chaos.log)
    pieces, most = given.columns * given.rows, max(done.values())
    wrong += ["the search was done before all was killed"] * bool(chaos.once)
    wrong += ["a piece was lost"] * (len(done) != pieces) + ["done too often"] * (most > 2)
    full = "full once" if is_small else "never full, since none was mounted"
    print(
        f"{pieces} pieces in {took_s:.0f} s on {given.workers} workers: {chaos.killed} workers"
        f" killed, the scheduler once, the disk {full}; {len(errors)} repetitions;"
        f" {sum(n > 1 for n in done.values())} pieces done again, none more than {most} times"
    )
    print("; ".join(wrong) if wrong else "the same bytes as without")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
