"""Several processes do the same at once: one does the work, the others wait and have it too."""

import json
import re

from tests.processes import run_codes

from etchscope.run import find

_FIND = """
import json, logging, time
from pathlib import Path
from etchscope.run import find
from etchscope.store import Store
from etchscope.store.runs import Runs
folder, number, real = Path({folder!r}), {number}, Runs.write_part
logging.basicConfig(filename=folder / f"said-{number}", format="%(message)s")
def log(name):
    with (folder / name).open("a") as file:
        file.write(f"{number}\\n")
def write(*given):
    log("parts")
    deadline = time.monotonic() + 20  # until the others stand at the lock
    while sum(p.stat().st_size > 0 for p in folder.glob("said-*")) < 3:
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    real(*given)
Runs.write_part = write
report = find(Store.open({store!r}), {scan!r}, executor="inline")
(folder / f"out-{number}").write_text(json.dumps([report.run, report.pits, report.was_done]))
"""


def test_of_four_searches_one_works_and_the_others_wait_and_say_for_whom(
    small, small_foil, tmp_path
):
    scan = small_foil.scan.name
    calm = find(small, scan, region=[[-9, -9], [9, -9], [0, 9]], executor="inline")  # fits it
    codes = [
        _FIND.replace("{number}", str(number)).format(
            folder=str(tmp_path), store=str(small.path), scan=scan
        )
        for number in range(4)
    ]
    assert run_codes(codes) == [0] * 4
    out = [json.loads((tmp_path / f"out-{n}").read_text()) for n in range(4)]
    assert len({(run, pits) for run, pits, _ in out}) == 1
    assert sorted(was_done for *_, was_done in out) == [False, True, True, True]
    assert len((tmp_path / "parts").read_text().split()) == 1  # one piece, done once
    said = sorted((tmp_path / f"said-{n}").read_text() for n in range(4))
    run = out[0][0]
    assert said[0] == ""
    for line in said[1:]:
        assert re.fullmatch(rf"run {run} of scan {scan}: waiting for process \d+ on .*\n", line)
    assert small.check() == []
    assert [p.name for p in small.path.iterdir() if p.name.startswith(".")] == []
    assert small.runs.names(scan) == [run, calm.run]
