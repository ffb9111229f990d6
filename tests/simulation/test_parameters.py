import json

import pytest

from etchscope.foil import BadInput
from etchscope.simulation import (
    HotSpot,
    Material,
    SimulatedScan,
    get_material,
    list_parameters,
    with_parameters,
)

SCAN = SimulatedScan(seed=1)


def test_all_parameters_are_listed_and_survive_json():
    parameters = json.loads(json.dumps(list_parameters(SCAN)))
    assert parameters["seed"] == 1
    assert parameters["fragments"]["per_tile"] == 100
    assert parameters["optics"]["channels"][8] == {"step": 9, "role": "backlit"}
    for group in (
        "hips",
        "fragments",
        "stars",
        "marks",
        "density",
        "sheet",
        "optics",
        "stage",
        "surface",
        "camera",
    ):
        values = {f"{group}.{k}": v for k, v in parameters[group].items()}
        assert with_parameters(SCAN, values) == SCAN


def test_some_are_changed_and_the_rest_stays():
    changed = with_parameters(
        SCAN,
        {
            "hips.per_tile": 2,
            "optics.image_size": [64, 80],
            "sheet.material": "cr39",
            "stage.offset_mm": [1, 2.5],
            "density.hot": [{"x_mm": 1, "y_mm": 2, "radius_mm": 3, "factor": 4}],
            "optics.bit_depth": 12.0,
        },
    )
    assert changed.population.hips.per_tile == 2
    assert changed.optics.image_size == (64, 80)
    assert changed.sheet.material == "cr39"
    assert changed.stage.offset_mm == (1, 2.5)
    assert changed.population.density.hot == (HotSpot(1, 2, 3, 4),)
    assert isinstance(changed.optics.bit_depth, int)
    assert changed.population.fragments == SCAN.population.fragments
    assert SCAN.population.hips.per_tile == 5


def test_a_material_of_one_s_own_is_listed_and_read_back():
    own = {**vars(get_material("cr39")), "name": "cr39-strong", "threshold": 250.0}
    changed = with_parameters(SCAN, {"sheet.material": own, "hips.rel_mev_cm2_g": 2500})
    assert changed.sheet.material == Material(**own)
    assert changed.foil_record.material == "cr39-strong"
    expected = 1 + own["gain"] * 9 ** own["power"]
    assert changed.population.hips.ratio(changed.sheet) == pytest.approx(expected)
    parameters = json.loads(json.dumps(list_parameters(changed)))
    assert (
        with_parameters(SCAN, {"sheet.material": parameters["sheet"]["material"]}).sheet
        == changed.sheet
    )
    with pytest.raises(BadInput, match=r"sheet\.material: expected a name, or name, z_over_a"):
        with_parameters(SCAN, {"sheet.material": {"name": "x"}})
    with pytest.raises(BadInput, match=r"material\.gain: expected"):
        with_parameters(SCAN, {"sheet.material": own | {"gain": -1.0}})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("blur_um", 1, "simulation: blur_um: expected a parameter of hips, fragments"),
        ("optics.blurr", 1, r"optics\.blurr: expected one of .*blur_um.*found 'blurr'"),
        ("optics.channels", [{"role": "halo"}], r"objects with step, role and, for a lamp"),
        ("optics.channels", 3, r"objects with step, role and, for a lamp"),
        ("optics.blur_um", "wide", r"optics\.blur_um: expected a number, found 'wide'"),
        ("optics.blur_um", True, r"optics\.blur_um: expected a number, found True"),
        ("optics.bit_depth", 8.5, r"optics\.bit_depth: expected a whole number, found 8\.5"),
        ("sheet.material", 3, r"sheet\.material: expected a word, found 3"),
        ("stage.offset_mm", 3, r"stage\.offset_mm: expected a list, found 3"),
        ("hips.rel_mev_cm2_g", "x", "a number, or null, found 'x'"),
        ("density.hot", [{"x": 1}], "objects with x_mm, y_mm, radius_mm, factor"),
        ("density.hot", 3, "objects with x_mm, y_mm, radius_mm, factor"),
        ("fragments.per_tile", -1, r"fragments\.per_tile: expected 0 to 20000, found -1"),
    ],
)
def test_wrong_parameters_are_named(name, value, message):
    with pytest.raises(BadInput, match=message):
        with_parameters(SCAN, {name: value})
