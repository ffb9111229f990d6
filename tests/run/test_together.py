"""Several processes do the same at once: one does the work, the others wait and have it too."""

import json
import re
from pathlib import Path

import pytest
from tests.processes import run_codes

from etchscope.files.tables import read_table
from etchscope.ingest.write import write_smartscope
from etchscope.run import find
from etchscope.store import Store

_AROUND = """
import json, logging, time
from pathlib import Path
folder, number = Path({folder!r}), {number}
logging.basicConfig(filename=folder / f"said-{number}", format="%(message)s")
def among_waiting(real):
    def work(*given, **named):
        with (folder / "worked").open("a") as file:
            file.write(f"{number}\\n")
        deadline = time.monotonic() + 20  # until the others stand at the lock
        while sum(p.stat().st_size > 0 for p in folder.glob("said-*")) < 3:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        return real(*given, **named)
    return work
{code}
(folder / f"out-{number}").write_text(json.dumps(out))
"""


@pytest.fixture
def four_at_once(tmp_path):
    """Run a code that sets ``out`` in four processes at once.

    Returns the four ``out``, what the three that waited said, and who worked, once for each time.
    """
    folder = tmp_path / "four"
    folder.mkdir()

    def run(code: str) -> tuple[list, list[str], list[str]]:
        around = _AROUND.replace("{folder!r}", repr(str(folder))).replace("{code}", code)
        codes = [around.replace("{number}", str(number)) for number in range(4)]
        assert run_codes(codes) == [0] * 4
        out = [json.loads((folder / f"out-{n}").read_text()) for n in range(4)]
        first, *waited = sorted((folder / f"said-{n}").read_text() for n in range(4))
        assert first == ""
        return out, waited, (folder / "worked").read_text().split()

    return run


def hidden(folder: Path) -> list[str]:
    """Return the names of locks and of what is written aside."""
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


_FIND = """
from etchscope.run import find
from etchscope.store import Store
from etchscope.store.runs import Runs
Runs.write_part = among_waiting(Runs.write_part)
report = find(Store.open({store!r}), {scan!r}, executor="inline")
out = [report.run, report.pits, report.was_done]
"""


def test_of_four_searches_one_works_and_the_others_wait_and_say_for_whom(
    small, small_foil, four_at_once
):
    scan = small_foil.scan.name
    calm = find(small, scan, region=[[-9, -9], [9, -9], [0, 9]], executor="inline")  # fits it
    out, waited, worked = four_at_once(_FIND.format(store=str(small.path), scan=scan))
    assert len({(run, pits) for run, pits, _ in out}) == 1
    assert sorted(was_done for *_, was_done in out) == [False, True, True, True]
    assert len(worked) == 1  # one piece, done once
    run = out[0][0]
    for line in waited:
        assert re.fullmatch(rf"run {run} of scan {scan}: waiting for process \d+ on .*\n", line)
    assert small.check() == []
    assert hidden(small.path) == []
    assert small.runs.names(scan) == [run, calm.run]


_RUN = """
import etchscope as es
from etchscope.store.runs import Runs
Runs.write_part = among_waiting(Runs.write_part)
report = es.open({store!r}).run({scan!r}, model="first", executor="inline")
out = [report.run, report.counts, report.was_done]
"""


def test_of_four_runs_one_works_and_the_others_wait_and_say_for_whom(own, learnt, four_at_once):
    out, waited, worked = four_at_once(_RUN.format(store=str(own.path), scan=learnt.scan))
    assert [one[:2] for one in out[1:]] == [out[0][:2]] * 3
    assert sorted(was_done for *_, was_done in out) == [False, True, True, True]
    assert len(worked) == 1
    run = out[0][0]
    for line in waited:
        said = rf"run {run} of scan {learnt.scan}: waiting for process \d+ on .*\n"
        assert re.fullmatch(said, line)
    assert own.check() == []
    assert hidden(own.path) == []
    assert own.runs.names() == [run, learnt.search]


_ADD = """
import etchscope as es
from etchscope.store.pictures import PictureArray
PictureArray.write = among_waiting(PictureArray.write)
added = []
es.open({store!r}).add({scan!r}, each=added.append)
out = [added[0].scan, added[0].is_new]
"""


def test_of_four_additions_one_works_and_the_others_wait_and_say_for_whom(
    small_foil, tmp_path, four_at_once
):
    scan, store = small_foil.scan, Store.create(tmp_path / "store")
    write_smartscope(tmp_path / "scan", scan, small_foil.read_tile)
    code = _ADD.format(store=str(store.path), scan=str(tmp_path / "scan"))
    out, waited, worked = four_at_once(code)
    assert sorted(out) == [[scan.name, False]] * 3 + [[scan.name, True]]
    assert len(worked) == 2  # shards, each written once
    for line in waited:
        said = rf"{store.path}: adding scan {scan.name}: waiting for process \d+ on .*\n"
        assert re.fullmatch(said, line)
    assert store.check() == []
    assert hidden(store.path) == []


_SIMULATE = """
from etchscope.run.stages import simulating
from etchscope.simulation import Optics, Population, SimulatedScan
simulating.write_tile = among_waiting(simulating.write_tile)
small = Optics(image_size=(96, 128))
scan = SimulatedScan(seed=5, columns=2, rows=1, population=Population.of(40, 10), optics=small)
out = [str(p) for p in simulating.simulate([scan], Path({folder!r}), executor="inline")]
"""


def test_of_four_simulations_one_works_and_the_others_wait_and_say_for_whom(tmp_path, four_at_once):
    folder, name = tmp_path / "simulated", "simulated-front"
    out, waited, worked = four_at_once(_SIMULATE.format(folder=str(folder)))
    assert out == [[str(folder / f"{name}-truth.parquet")]] * 4
    assert len(worked) == 2  # tiles, each photographed once
    for line in waited:
        said = rf"{folder}: simulating {name}: waiting for process \d+ on .*\n"
        assert re.fullmatch(said, line)
    assert len(read_table(folder / f"{name}-truth.parquet")) > 0
    assert hidden(folder) == []


_REPORT = """
import etchscope as es
from etchscope.pages import report
def draw_mosaic_only(content, placement, form, paint):
    paint(report.Canvas.over(placement, report.MOSAIC_PX))
    return {{}}  # the other figures take seconds
report._draw_figures = among_waiting(draw_mosaic_only)
page = es.open({store!r}).report({scan!r}, {folder!r})
out = [str(page), page.read_text()]
"""


def test_of_four_reports_one_is_written_at_a_time_and_the_others_say_for_whom_they_wait(
    learnt, tmp_path, four_at_once
):
    folder = tmp_path / "report"
    code = _REPORT.format(store=str(learnt.store.path), scan=learnt.scan, folder=str(folder))
    out, waited, worked = four_at_once(code)
    assert out == [out[0]] * 4
    assert sorted(worked) == ["0", "1", "2", "3"]
    for line in waited:
        assert re.fullmatch(rf"{folder}: writing a report: waiting for process \d+ on .*\n", line)
    assert [p.name for p in folder.iterdir()] == ["report.html"]
