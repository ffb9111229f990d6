import json
from pathlib import Path

import pytest

from etchscope.cli import simulate
from etchscope.cli.app import main
from etchscope.files.tables import read_table
from etchscope.simulation import PRESETS, RANGES
from etchscope.store import Store

FAULTS = Path(__file__).parents[3] / "shared/data/faults/readers"
TINY = ["--columns", "2", "--rows", "1", "--set", "optics.image_size=[96,128]"]


def run(*words):
    return main(["simulate", *map(str, words)])


def told(folder, name):
    return json.loads((folder / f"{name}-parameters.json").read_text())


def test_options_and_parameters_reach_the_foil(tmp_path, capsys, beside_progress):
    words = ["--background", 300, "--signal", 40, "--sides", "both", "--seed", 9, "--foil", "A-1"]
    more = ["--set", "sheet.material=cr39", "--set", "hips.rel_mev_cm2_g=2000"]
    assert run(tmp_path, *TINY, *words, *more) == 0
    out, err = capsys.readouterr()
    assert beside_progress(err) == ""
    assert (
        f"{tmp_path / 'A-1-back'}: 2 tiles; truth in {tmp_path / 'A-1-back-truth.parquet'}" in out
    )
    for name in ("A-1-front", "A-1-back"):
        given = told(tmp_path, name)
        assert given["seed"] == 9
        assert given["fragments"]["per_tile"] == 300
        assert given["hips"]["per_tile"] == 40
        assert given["hips"]["rel_mev_cm2_g"] == 2000
        assert given["sheet"]["material"] == "cr39"
        assert given["optics"]["image_size"] == [96, 128]
        assert len(read_table(tmp_path / f"{name}-truth.parquet")) > 20


def test_into_a_store_new_or_not(tmp_path, capsys):
    store = tmp_path / "store"
    assert run(tmp_path / "a", *TINY, "--store", store) == 0
    assert run(tmp_path / "a", *TINY, "--store", store, "--foil", "second") == 0
    assert sorted(Store.open(store).scans.names()) == ["reference-front", "second-front"]
    assert f"{store}: second-front: 2 tiles" in capsys.readouterr().out


def test_randomised_foils_are_each_another_draw_and_what_is_set_stays(tmp_path):
    words = ["--randomise", "--foils", 3, "--foil", "draw", "--set", "optics.blur_um=2.5"]
    assert run(tmp_path, *TINY, *words) == 0
    draws = [told(tmp_path, f"draw-{n:03d}-front") for n in (1, 2, 3)]
    assert [d["seed"] for d in draws] == [1, 2, 3]
    assert len({d["optics"]["level"] for d in draws}) == 3
    assert {d["optics"]["blur_um"] for d in draws} == {2.5}
    allowed = RANGES["optics.level"]
    assert all(allowed.low <= d["optics"]["level"] <= allowed.high for d in draws)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--background", "-3"], "fragments.per_tile: expected 0 to 20000, found -3.0"),
        (["--set", "hips.zenith_deg=90"], "hips.zenith_deg: expected 0 to 80, found 90.0"),
        (
            ["--set", "hips.rel_mev_cm2_g=2000"],
            "makrofol begins at 2700 MeV cm²/g), found V = 1 at 2000",
        ),
        (["--foil", "a/b"], "foil: expected letters, digits, dot, dash and underscore"),
        (["--foil", ""], "foil: expected letters"),
        (
            ["--set", "sheet.removed_um=200", "--set", "optics.pixel_size_um=2"],
            "pit size in pixels",
        ),
        (["--set", "optics.image_size=[20000,20000]"], "pictures that fit into"),
        (["--set", "optics.blur"], "--set: expected group.parameter=value, found 'optics.blur'"),
        (["--set", "optics.blur=3"], "found 'blur'"),
        (["--preset", "x"], "preset: expected reference or label-mix or pb-stack or experiment or"),
        (
            ["--preset", "pb-stack", "--foil", "x"],
            "found one of several. Leave out `--foil`.",
        ),
    ],
)
def test_what_is_impossible_is_refused_before_anything_is_written(
    tmp_path, capsys, words, expected
):
    folder = tmp_path / "twin"
    assert main(["simulate", str(folder), *TINY, *words]) == 2
    assert expected in capsys.readouterr().err
    assert not folder.exists()


SET = ("set-01", "set-02", "set-03", "set-04", "optics.blur_um=NaN", "optics.blur_um=1e999")


@pytest.mark.parametrize(
    "parameter", [*SET, f"optics.channels={'[' * 100_000}"], ids=lambda p: p[:20]
)
def test_a_parameter_that_nothing_can_hold_is_one_short_line(tmp_path, capsys, parameter):
    if "=" not in parameter:
        if not FAULTS.is_dir():
            pytest.skip("the shared faults are absent")
        parameter = (FAULTS / parameter / "SIG.txt").read_text().split("\n")[1]
    folder = tmp_path / "twin"
    assert main(["simulate", str(folder), *TINY, "--set", parameter]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), folder.exists()) == ("", 1, False)
    assert parameter.split("=")[0] in err
    assert len(err) < 600


def test_help_names_the_presets_and_has_an_example(capsys):
    with pytest.raises(SystemExit):
        raise SystemExit(main(["simulate", "--help"]))
    out = capsys.readouterr().out
    assert "reference, label-mix, pb-stack, experiment, tasl" in " ".join(out.split())
    assert "Example: etchscope simulate" in " ".join(out.split())


def test_the_help_lists_all_presets():
    assert list(simulate._PRESETS) == list(PRESETS)
