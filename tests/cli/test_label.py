import json
import shlex

import numpy as np
import pandas as pd
import pytest
import typer.main

from etchscope.cli.app import main
from etchscope.cli.label import app
from etchscope.foil import (
    DEFAULT_TAXONOMY,
    Channel,
    Foil,
    Scan,
    Tile,
)
from etchscope.geometry import tile_to_foil
from etchscope.store import Store, TilePictures

TABLE = (
    "scan,tile,x_px,y_px,class,who,when\n"
    "F1-front,1,10,10,hip,anna,2026-05-01\n"
    "F1-front,1,30,10,top,anna,2026-05-01\n"
    "F1-front,2,10,10,top.spallation,anna,2026-05-01\n"
    "F1-front,2,50,10,maybe,anna,2026-05-01\n"
    "F1-front,1,11,10,top,ben,2026-05-02\n"
    "F1-front,2,10,40,misc,ben,2026-05-02\n"
    "F1-front,2,10,41,bottom,ben,2026-05-03\n"
)


@pytest.fixture
def store(tmp_path):
    made = Store.create(tmp_path / "store")
    scan = Scan(
        name="F1-front",
        foil="F1",
        layout="pictures",
        pixel_size_um=10.0,
        image_size=(48, 64),
        channels=(Channel(step=1, role="backlit"),),
        tiles=tuple(Tile(number=n, stage_x_mm=0.6 * n, stage_y_mm=0.0) for n in (1, 2)),
    )
    pixels = np.zeros((1, 48, 64), np.uint8)
    made.scans.add(scan, Foil(name="F1"), lambda n: TilePictures(pixels, (f"p{n}.png",)))
    return made


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture
def labelled(store, table, capsys):
    assert main(["label", "import", str(store.path), str(table)]) == 0
    assert capsys.readouterr().out == "7 labels added, 0 were there already\n"
    return store


def answer(capsys, *words):
    assert main(["label", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_command_has_an_example_that_is_understood(capsys):
    commands = typer.main.get_command(app).commands
    assert list(commands) == ["import", "export", "ls", "conflicts", "from-coincidence"]
    assert main(["label", "--help"]) == 0
    listed = capsys.readouterr().out
    for name, command in commands.items():
        assert f"\n  {name} " in listed
        assert main(["label", name, "--help"]) == 0
        assert f"Example: etchscope label {name} " in capsys.readouterr().out
        for line in (s for s in command.help.splitlines() if s.startswith("Example: ")):
            words = shlex.split(line)[4:]
            assert command.make_context(name, words).params["store"].name == "plate7"


def test_import_tells_a_program_what_it_did(labelled, table, tmp_path, capsys):
    told = answer(capsys, "import", labelled.path, table)
    assert told == {"added": 0, "known": 7, "exit_pits_left_out": 0}
    pits = tmp_path / "truth.csv"
    pits.write_text("scan,tile,x_px,y_px,surface,class\nF1-front,1,5,5,bottom,hip\n")
    assert main(["label", "import", str(labelled.path), str(pits), "--who", "twin"]) == 0
    assert "1 exit pits of hip left out" in capsys.readouterr().out
    words = ("import", labelled.path, pits, "--who", "twin", "--source", "model", "--exit-pits")
    assert answer(capsys, *words)["added"] == 1


def test_boxes_with_a_class_map_and_a_taxonomy(store, tmp_path, capsys):
    (tmp_path / "p2.txt").write_text("15 0.5 0.5 0.25 0.25\n")
    (tmp_path / "map.json").write_text('{"15": "top.fission"}')
    (tmp_path / "own.json").write_text('{"classes": {"top": "", "top.fission": "a track"}}')
    words = ["label", "import", str(store.path), str(tmp_path / "p2.txt"), "--who", "anna"]
    words += ["--class-map", str(tmp_path / "map.json")]
    assert main(words) == 2
    assert "found 'top.fission'. New classes come from a taxonomy" in capsys.readouterr().err
    assert main([*words, "--taxonomy", str(tmp_path / "own.json")]) == 0
    (label,) = store.labels.table().to_dict("records")
    assert (label["tile"], label["class"], label["x_px"]) == (2, "top.fission", 31.5)
    assert list(store.labels.taxonomy().classes) == ["top", "top.fission"]


def test_the_taxonomy_alone(store, tmp_path, capsys):
    path = tmp_path / "own.json"
    path.write_text('{"classes": {"hip": "", "odd": ""}, "undecidable": ["odd"]}')
    assert main(["label", "import", str(store.path), "--taxonomy", str(path)]) == 0
    assert not store.labels.taxonomy().is_decidable("odd")
    assert main(["label", "import", str(store.path)]) == 2
    assert "expected files of labels, or --taxonomy FILE" in capsys.readouterr().err


def test_ls_counts_each_class_with_its_subclasses(labelled, capsys):
    told = answer(capsys, "ls", labelled.path)
    counts = {row["class"]: row["labels"] for row in told["classes"]}
    assert list(counts) == list(DEFAULT_TAXONOMY.classes)
    assert {k: v for k, v in counts.items() if v} == {
        "hip": 1,
        "top": 3,
        "top.spallation": 1,
        "bottom": 1,
        "maybe": 1,
    }
    assert [r["class"] for r in told["classes"] if not r["decidable"]] == ["maybe"]
    assert (told["enough"], told["labels"], told["events"]) == (500, 6, 7)
    assert told["who"] == {"anna": 4, "ben": 2}
    assert answer(capsys, "ls", labelled.path, "--who", "ben")["labels"] == 2


def test_ls_shows_what_is_missing_and_maybe_apart(labelled, capsys):
    assert main(["label", "ls", str(labelled.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["hip", "1", "499", "short"]
    assert lines[2].split() == ["top.spallation", "1"]
    assert lines[12].split()[:3] == ["maybe", "1", "undecidable,"]
    assert lines[13].startswith("6 labels stand of 7 events")


def test_conflicts(labelled, capsys):
    (row,) = answer(capsys, "conflicts", labelled.path)
    assert (row["who_1"], row["class_1"], row["who_2"], row["class_2"]) == (
        "anna",
        "hip",
        "ben",
        "top",
    )
    assert row["when_1"] == "2026-05-01T00:00:00.000000Z"
    both = answer(capsys, "conflicts", labelled.path, "--all")
    assert [(r["who_1"], r["who_2"]) for r in both] == [("anna", "ben"), ("ben", "ben")]
    assert answer(capsys, "conflicts", labelled.path, "--tolerance-mm", "0.001") == []
    assert main(["label", "conflicts", str(labelled.path)]) == 0
    assert "top   ben" in capsys.readouterr().out
    assert main(["label", "conflicts", str(labelled.path), "--side", "back"]) == 0
    assert capsys.readouterr().out == "no conflicts\n"


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_export_and_import_change_nothing(labelled, tmp_path, name, capsys):
    path = tmp_path / name
    assert main(["label", "export", str(labelled.path), "-o", str(path), "--all"]) == 0
    assert "7 labels" in capsys.readouterr().out
    before = labelled.labels.table(latest=False)
    assert answer(capsys, "import", labelled.path, path)["added"] == 0
    pd.testing.assert_frame_equal(labelled.labels.table(latest=False), before)


def test_export_takes_a_part(labelled, tmp_path, capsys):
    path = tmp_path / "top.csv"
    words = ["label", "export", str(labelled.path), "-o", str(path), "--class", "top"]
    assert main([*words, "--who", "anna"]) == 0
    assert pd.read_csv(path)["class"].tolist() == ["top", "top.spallation"]
    assert main([*words, "--class", "odd"]) == 2
    assert "--class: expected a class of the taxonomy" in capsys.readouterr().err
    assert main([*words[:-3], str(tmp_path / "x.xls")]) == 2
    assert "ends in .csv or .parquet" in capsys.readouterr().err


def test_a_bad_label_is_one_line_and_status_2(store, table, capsys):
    table.write_text(TABLE + "F1-front,3,10,10,hip,anna,2026-05-01\n")
    assert main(["label", "import", str(store.path), str(table)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"Error: {table}: column tile, row 8: expected a tile of scan F1-front, found tile 3\n"
    )
    assert len(store.labels.table()) == 0


def test_rm_says_how_many_labels_stay(labelled, capsys):
    assert main(["rm", str(labelled.path), "--scan", "F1-front", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "These will be kept:\n  foil F1, 7 labels\n" in out
    assert len(labelled.labels.table(latest=False)) == 7


def test_labels_from_a_coincidence(store, tmp_path, capsys):
    rng = np.random.default_rng(2)
    scan = store.scans.get("F1-front")
    numbers = rng.choice([t.number for t in scan.tiles], 60)
    height, width = scan.image_size
    x_px, y_px = rng.uniform(1, width - 1, 60), rng.uniform(1, height - 1, 60)
    x_mm, y_mm = tile_to_foil(numbers, x_px, y_px, scan)
    lists = []
    for name, foil in (("a", "A"), ("b", "B"), ("target", "F1")):
        path = tmp_path / f"{name}.csv"
        pd.DataFrame({"x_mm": x_mm, "y_mm": y_mm, "foil": foil}).to_csv(path, index=False)
        lists.append(str(path))
    out = str(tmp_path / "out")
    options = ["-o", out, "--tolerance-um", "5", "--max-rotation-deg", "0.5"]
    assert main(["align", *lists, *options]) == 0
    words = ["label", "from-coincidence", str(store.path), "--alignment", out, "--for", "target"]
    assert main([*words, "--foils", "2", "--most-p", "1"]) == 0
    assert "labels added, 0 were there already" in capsys.readouterr().out
    labels = store.labels.table(foil="F1")
    assert len(labels) > 40
    assert set(labels["source"]) == {"coincidence"}
    assert main([*words, "--most-p", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["added"], told["known"]) == (0, told["places"] - told["outside"])
