import json
import re

import pytest

from etchscope.files.strict_json import read_json
from etchscope.foil import BadInput
from etchscope.ingest.scan_json import read_positions, read_scan_json


@pytest.fixture
def read(tmp_path, described):
    def read(**change):
        path = tmp_path / "scan.json"
        path.write_text(json.dumps(described(**change)))
        return read_scan_json(path)

    return read


def test_all_keys_are_read_and_unknown_ones_kept(read):
    scan = read(
        material="Makrofol",
        thickness_um=500,
        etch={"hours": 4},
        stack="S1",
        azimuth_sense="cw",
        gradient_sign=-1,
        tiles={"1": {"exposure_ms": 3.5, "odd": [1]}},
        operator="x",
        channels=[{"step": 9, "role": "backlit", "lamp": "red"}],
    )
    foil = scan.foil_record()
    assert (foil.name, foil.stack, foil.material) == ("F1", "S1", "Makrofol")
    assert (foil.thickness_um, foil.etch) == (500, {"hours": 4})
    assert (scan.azimuth_sense, scan.gradient_sign) == ("cw", -1)
    assert scan.tiles == {"1": {"exposure_ms": 3.5, "odd": [1]}}
    assert scan.datum[0] == (1, 3, 4.5)
    assert scan.metadata() == {"operator": "x", "channels": {"9": {"lamp": "red"}}}


CHANNEL = {"step": 1, "role": "directional", "azimuth_deg": 67.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"side": "left"}, "scan.json: side: expected 'front' or 'back', found 'left'"),
        ({"side": None}, "scan.json: side: expected this key, found none"),
        ({"layout": "a/b"}, "scan.json: layout: expected String should match"),
        (
            {"pixel_size_um": "6.4"},
            "pixel_size_um: expected a valid number, found '6.4'",
        ),
        ({"pixel_size_um": 0}, "scan.json: pixel_size_um: expected greater than 0, found 0"),
        ({"pixel_size_um": True}, "scan.json: pixel_size_um: expected a valid number, found True"),
        ({"image_size": [480]}, "scan.json: image_size: "),
        ({"image_size": [480, 64.5]}, "scan.json: image_size[1]: expected a valid integer"),
        ({"image_size": [480, "640"]}, "scan.json: image_size[1]: expected a valid integer"),
        ({"position_unit": "cm"}, "scan.json: position_unit: expected 'inch', 'mm' or 'um'"),
        ({"position_unit": None}, "scan.json: position_unit: expected inch, mm or um, found none"),
        ({"channels": []}, "scan.json: channels: "),
        ({"channels": [{"step": 1}]}, "scan.json: channels[0].role: expected this key, found none"),
        (
            {"channels": [{"step": 1, "role": "directional"}]},
            "scan.json: channels: expected azimuth_deg for the directional channel of step 1, "
            "found none",
        ),
        (
            {"channels": [CHANNEL, CHANNEL]},
            "channels: expected every step once, found step 1",
        ),
        ({"channels": [CHANNEL | {"step": "1"}]}, "channels[0].step: expected a valid integer"),
        ({"datum": [[1, 2]]}, "scan.json: datum[0]"),
        ({"datum": [[1.5, 2, 3]]}, "scan.json: datum[0][0]: expected a valid integer"),
        ({"datum": [["1", 2, 3]]}, "scan.json: datum[0][0]: expected a valid integer, found '1'"),
        ({"azimuth_sense": "left"}, "scan.json: azimuth_sense: expected 'ccw' or 'cw'"),
        ({"gradient_sign": 2}, "scan.json: gradient_sign: expected -1 or 1, found 2"),
        ({"tiles": {"one": {}}}, "scan.json: tiles.one"),
        ({"tiles": {"1": 5}}, "scan.json: tiles.1: expected a valid dictionary, found 5"),
        ({"foil": "../F1"}, "scan.json: foil: "),
        ({"thickness_um": -1}, "scan.json: thickness_um: expected greater than 0, found -1"),
        ({"rows": 0}, "scan.json: rows: expected greater than 0, found 0"),
    ],
)
def test_wrong_values_name_file_key_expected_and_found(read, change, message):
    with pytest.raises(BadInput, match=re.escape(message)) as info:
        read(**change)
    assert "scan.json" in str(info.value)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "scan.json: line 2, column 6: expected JSON"),
        ("", "scan.json: line 1, column 1: expected JSON"),
        ('{"a": 1, "a": 2}', "scan.json: expected every key once, found 'a' twice"),
        ('{"a": NaN}', "scan.json: expected numbers, found NaN"),
        ('{"a": -Infinity}', "scan.json: expected numbers, found -Infinity"),
        ("[" * 100_000, "scan.json: expected JSON, found brackets nested too deep"),
    ],
)
def test_what_is_not_our_json(tmp_path, text, message):
    (tmp_path / "scan.json").write_text(text)
    with pytest.raises(BadInput, match=re.escape(message)):
        read_json(tmp_path / "scan.json")


def test_other_files_that_are_no_json(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(BadInput, match=r"a\.json: expected JSON in UTF-8, found byte 7"):
        read_json(tmp_path / "a.json")
    with pytest.raises(BadInput, match=r"b\.json: expected a readable file, found No such"):
        read_json(tmp_path / "b.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(BadInput, match=r"list\.json: expected a JSON object, found list"):
        read_scan_json(tmp_path / "list.json")
    (tmp_path / "bom.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "bom.json") == {"a": 1}


def test_positions_come_in_millimetres(tmp_path):
    (tmp_path / "p.json").write_text('{"1": [1, -0.5], "0010": [0, 0]}')
    for unit, scale in (("inch", 25.4), ("mm", 1.0), ("um", 0.001)):
        found = read_positions(tmp_path / "p.json", unit)
        assert found == {1: (scale, -0.5 * scale), 10: (0, 0)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"1": [1, NaN]}', "p.json: expected numbers, found NaN"),
        ('{"1": [1, 1e999]}', "p.json: tile 1: expected [x, y], two finite numbers"),
        ('{"2": [1, "2"]}', "p.json: tile 2: expected [x, y], two finite numbers, found [1, '2']"),
        ('{"2": [1]}', "p.json: tile 2: expected [x, y]"),
        ('{"2": [1, true]}', "p.json: tile 2: expected [x, y]"),
        ('{"2": null}', "p.json: tile 2: expected [x, y]"),
        ('{"two": [1, 2]}', "p.json: expected tile numbers as keys, found 'two'"),
        ('{"2": [1, 2], "2": [3, 4]}', "p.json: expected every key once, found '2' twice"),
        ('{"2": [1, 2], "02": [3, 4]}', "p.json: expected every tile once, found tile 2 twice"),
        ("[[1, 2]]", "p.json: expected an object: tile number → [x, y], found list"),
    ],
)
def test_wrong_positions_name_file_and_tile(tmp_path, text, message):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(BadInput, match=re.escape(message)):
        read_positions(tmp_path / "p.json", "mm")


def test_a_key_that_is_nearly_a_known_one_is_named(read, caplog):
    scan = read(
        thickness=500,
        gradientsign=-1,
        pixel_size=6.4,
        pixel_size_um=None,
        operator="x",
        image_sizes=[1, 2],
        channels=[{"step": 9, "role": "backlit", "focus_mm": 1}],
    )
    assert scan.metadata()["thickness"] == 500
    expected = {
        ("thickness", "thickness_um"),
        ("gradientsign", "gradient_sign"),
        ("pixel_size", "pixel_size_um"),
        ("focus_mm", "focus_um"),
    }
    words = r"scan\.json: the key (\w+) is unknown and has no effect; is (\w+) meant\?"
    assert set(re.findall(words, caplog.text)) == expected
    assert len(caplog.records) == len(expected)


def test_keys_of_one_s_own_are_kept_without_a_warning(read, caplog):
    read(operator="x", title="a", date="2026", stage="S", microscope="M", etching="NaOH")
    assert caplog.text == ""
