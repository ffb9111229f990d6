import json

import pytest

from etchscope.cli.app import main

SLIM = ["--area-m2", "427", "--solid-angle-sr", "3.14159", "--years", "4.22"]


def test_the_methods_stand_side_by_side(capsys):
    assert main(["limit", "--observed", "0", "--efficiency", "1", *SLIM]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-3:] == ["Feldman-Cousins", "CLs", "Bayesian"]
    flux = [line for line in lines if "flux (/cm2/s/sr)" in line]
    assert flux[0].split()[-6:] == ["<", "1.36e-15", "<", "1.29e-15", "<", "1.29e-15"]
    assert "95 %" in flux[1]
    (expected,) = [line for line in lines if "90 % particles, expected" in line]
    assert expected.split()[-6:] == ["<", "2.44", "<", "2.3", "<", "2.3"]
    assert lines[-1].startswith("Quote Feldman-Cousins")


def test_json_and_files_hold_the_same(tmp_path, capsys):
    words = ["limit", "--observed", "5", "--background", "0.5", "--efficiency", "0.5", "--json"]
    assert main([*words, "-o", str(tmp_path / "out")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "limits.json").read_text("utf-8"))
    first = printed["limits"][0]
    assert (first["method"], first["confidence"], first["observed"]) == ("Feldman-Cousins", 0.9, 5)
    assert first["low"] == pytest.approx(2 * 1.533, abs=0.005)


def test_points_without_efficiency_say_that_they_exclude_nothing(tmp_path, capsys):
    (tmp_path / "points.csv").write_text("z,efficiency\n10,0\n20,0.5\n")
    words = ["limit", "--observed", "1", "--points", str(tmp_path / "points.csv")]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "< inf" in out
    assert "point 1 is not valid: the efficiency is 0, so nothing is excluded" in out
    assert "point 2" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--observed", "-1", "--efficiency", "1"], "--observed: expected numbers of 0 or more"),
        (["--observed", "0", "--efficiency", "2"], "--efficiency: expected a share from 0 to 1"),
        (["--observed", "0", "--efficiency", "nan"], "--efficiency: expected numbers of 0 or more"),
        (["--observed", "0"], "--efficiency: expected an efficiency or an effective area"),
        (["--efficiency", "1"], "--observed: expected the number of observed candidates"),
        (["--observed", "0", "--efficiency", "1", "--years", "0"], "--years: expected a number"),
        (["--observed", "0", "--efficiency", "1", "--background", "-2"], "--background: expected"),
    ],
)
def test_bad_numbers_name_their_option(words, message, capsys):
    assert main(["limit", *words]) == 2
    assert message in capsys.readouterr().err


def test_labels_remarks_and_unknown_numbers_are_shown(tmp_path, capsys):
    text = "high_voltage,effective_area_cm2_sr,background_is_known,why\non,10,false,no control\n"
    (tmp_path / "points.csv").write_text(text)
    assert main(["limit", "--observed", "0", "--points", str(tmp_path / "points.csv")]) == 0
    out = capsys.readouterr().out
    assert "point 1: no control" in out
    assert "nan" not in out
    assert "particles" not in out.split("Quote")[0]
    assert "fluence (/cm2/sr)" in out
