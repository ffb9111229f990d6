"""Run every command that writes on a disk that becomes full, free it, repeat, and compare.

    python benchmarks/full_disk.py

The commands are those of `kill.py`. Each works on a small disk (a tmpfs, which only root may mount)
that has room for none, a third, two thirds and nearly all of what it writes. It must say so in one
line, with status 1; every file must be as it was before, or as after a command on a larger disk;
nothing written aside may be left; and the store must be sound. The exit status is 1 otherwise.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from chaos import small_disk
from kill import Case, Stores, check, find_differences, list_cases, run, take_snapshot

_SHARES = (0.0, 0.33, 0.67, 0.95)


def _bytes_in(folder: Path) -> int:
    return sum(p.stat().st_blocks * 512 + 4096 for p in folder.rglob("*"))


def leave_free(disk: Path, free: int) -> Path:
    """Write a file that leaves so many bytes free; return its path."""
    filler = disk / "filler"
    here = os.statvfs(disk)
    blocks = max(0, here.f_bavail - -(-free // here.f_frsize))
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, blocks * here.f_frsize))
    return filler


def _halves(folder: Path, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return what is neither as before nor as after, but for parts of work that goes on.

    Of two scans one may be in the catalogue, whole: its rows are checked with the store.
    """
    found = take_snapshot(folder)
    wrong = [f"aside: {k}" for k in found if k.rstrip("/").endswith(".aside")]
    for key, digest in found.items():
        is_part = ".partial/" in key or ".training/" in key or key.startswith("twin/.")
        is_part |= ": table " in key
        if not is_part and digest not in (before.get(key), after.get(key)):
            wrong.append(f"half: {key}")
    return wrong


def try_case(name: str, case: Case, disk: Path, log: Path) -> list[str]:
    """Run a command with each room on a disk; return what is wrong."""
    trial, wrong = disk / "trial", []
    shutil.copytree(case.begin(), trial)
    before, size = take_snapshot(trial), _bytes_in(trial)
    words = [str(word) for word in case.words(trial)]
    status, _ = run(words, log)
    if status:
        raise SystemExit(f"{name}: {log.read_text()}")
    after, growth = take_snapshot(trial), max(0, _bytes_in(trial) - size)
    for share in _SHARES:
        shutil.rmtree(trial)
        shutil.copytree(case.begin(), trial)
        filler = leave_free(disk, int(share * growth))
        status, _ = run(words, log)
        filler.unlink()
        said = [line for line in log.read_text().splitlines() if line.startswith("Error: ")]
        one = [f"status {status}: {log.read_text()[-500:]}"] if status not in (0, 1) else []
        one += [f"{len(said)} lines of errors: {said}"] if len(said) != (status == 1) else []
        one += _halves(trial, before, after) + check(trial / "store")[0]
        again, _ = run(words, log)
        if again and not (again == 2 and case.may_refuse and status == 0):
            one.append(f"again: status {again}: {log.read_text()[-300:]}")
        one += [f"differs: {k}" for k in find_differences(take_snapshot(trial), after)]
        wrong += [f"{name}, room for {share:.0%}: {text}" for text in one]
        print(f"{name}, room for {share:.0%}: status {status} {(said or [''])[0]}", flush=True)
    shutil.rmtree(trial)
    return wrong


def main() -> int:
    """Run the commands and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", help="a command; may be repeated")
    given, wrong = parser.parse_args(), []
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="etchscope-full-") as name:
        cases = list_cases(Stores(Path(name), 4, 2), "threads")
        with small_disk(Path(name) / "disk", 64) as is_small:
            if not is_small:
                raise SystemExit("no small disk can be mounted here")
            for command in given.only or cases:
                wrong += try_case(command, cases[command], Path(name) / "disk", Path(name) / "log")
    print("\n".join(wrong) if wrong else "nothing half is left")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
