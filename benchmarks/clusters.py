"""What it costs to hand out the pieces of a stage, and how much sooner several workers end.

    python benchmarks/clusters.py plan
    python benchmarks/clusters.py work --tiles 64

`plan` carries out stages of a million empty pieces, each executor in a process of its own, and
prints seconds and the largest memory of that process. Processes and the cluster get fewer.
`work` searches a simulated scan with one, two and four workers, alternately and several times, and
prints the medians of the seconds and of the processor time, and the load of the machine. What the
scan needs once is fitted before, and a piece is two tiles, so that all workers end together.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

from distributed import Client, LocalCluster

from etchscope.foil import Foil
from etchscope.run import find, stage
from etchscope.run.executors import choose_executor
from etchscope.run.stage import Piece, carry_out, tile_pieces
from etchscope.simulation import Population, SimulatedScan
from etchscope.store import Store, TilePictures

PIECES = {"inline": 10**6, "threads": 10**6, "processes": 10**5, "cluster": 2000}


def leave(piece: Piece) -> None:
    """Do nothing."""


class Empty:
    """A stage whose pieces are no work and leave nothing."""

    def __init__(self, count: int) -> None:
        self.pieces = tile_pieces(range(16 * count))
        self.work: Callable[[Piece], None] = leave
        self.hold = nullcontext

    def parts(self) -> dict[int, Any]:
        return {}

    def is_committed(self) -> bool:
        return False

    def commit(self) -> None:
        return None

    renew = commit


@contextmanager
def workers_of(executor: str, workers: int) -> Iterator[str | Client]:
    """Yield the name of an executor, or the client of a cluster of processes on this machine."""
    if executor != "cluster":
        yield executor
        return
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(workers)
        yield client


def plan_one(executor: str) -> None:
    """Print the time and memory of one executor."""
    count = PIECES[executor]
    with workers_of(executor, 2) as given:
        begun = time.monotonic()
        carry_out(Empty(count), choose_executor(given), workers=2)
        seconds = time.monotonic() - begun
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{executor:10} {count:9,} pieces {seconds:6.1f} s {memory_mb:6.0f} MB", flush=True)


def plan() -> None:
    """Print the time and memory of each executor, in a process of its own."""
    for executor in PIECES:
        subprocess.run([sys.executable, __file__, "plan", "--only", executor], check=True)


def processor_s() -> float:
    """Return the processor time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def work(tiles: int, repeats: int, executor: str) -> None:
    """Print how long a search takes with one, two and four workers."""
    stage._BATCH = 2
    foil = SimulatedScan(seed=3, columns=tiles // 4, rows=4, population=Population.of(40, 3))
    with tempfile.TemporaryDirectory(prefix="etchscope-clusters-") as folder:
        store = Store.create(Path(folder) / "store")
        names = tuple(f"step {c.step}" for c in foil.scan.channels)
        store.scans.add(
            foil.scan, Foil(name=foil.scan.foil), lambda n: TilePictures(foil.read_tile(n), names)
        )
        seconds: dict[int, list[float]] = {1: [], 2: [], 4: []}
        used: dict[int, list[float]] = {1: [], 2: [], 4: []}
        find(store, foil.scan.name, executor="inline")  # compiles and fits
        store.runs.remove(store.runs.names())
        for _ in range(repeats):
            for workers in seconds:
                with workers_of(executor, workers) as given:
                    if executor == "cluster":  # so that each worker has loaded the finder
                        store.runs.remove(
                            [find(store, foil.scan.name, executor=given, workers=workers).run]
                        )
                    begun, before = time.monotonic(), processor_s()
                    done = find(store, foil.scan.name, executor=given, workers=workers)
                    seconds[workers].append(time.monotonic() - begun)
                    used[workers].append(processor_s() - before)
                store.runs.remove([done.run])
    for workers, all_s in seconds.items():
        ratio = median(seconds[1]) / median(all_s)
        print(
            f"{executor} {workers} workers: {median(all_s):6.2f} s of {min(all_s):.2f} to"
            f" {max(all_s):.2f}, processor {median(used[workers]):.2f} s, {ratio:.2f} times one"
        )
    print(
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {foil.scan.name}, {tiles} tiles"
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("plan", "work"))
    parser.add_argument("--only", choices=tuple(PIECES), help="one executor")
    parser.add_argument("--executor", choices=tuple(PIECES), default="processes", help="of work")
    parser.add_argument("--tiles", type=int, default=64, help="of the scan, a multiple of 4")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    if given.what == "work":
        work(given.tiles, given.repeats, given.executor)
    elif given.only:
        plan_one(given.only)
    else:
        plan()


if __name__ == "__main__":
    main()
