"""What other packages add: an example of each kind at work, and what cannot be used."""

import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etchscope.cli.app import main
from etchscope.ensemble import find_method
from etchscope.foil import BadInput, BadPlugin, Channel, NoPlugin
from etchscope.ingest import Overrides, open_source
from etchscope.learn import NETWORKS, Lights, Training, build_network
from etchscope.plugins import find_plugin, plugin_origin
from etchscope.run.executors import choose_executor
from etchscope.store import Store

EXAMPLE = Path(__file__).parent / "plugins_example"
PROJECT = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
TRAIN = ["--epochs", "2", "--folds", "2", "--size", "20", "--network", "coarse"]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Register entry points, group → name → value, as a package that pip installed."""

    def installed(points, *, name="etchscope-example", version="1.0"):
        info = tmp_path / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(about)
        lines = [
            line
            for group, values in points.items()
            for line in (f"[{group}]", *(f"{k} = {v}" for k, v in values.items()))
        ]
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(info.parent)

    return installed


@pytest.fixture
def example(install, monkeypatch):
    """Install the example as its pyproject.toml says."""
    install(PROJECT["entry-points"], name=PROJECT["name"], version=PROJECT["version"])
    monkeypatch.syspath_prepend(EXAMPLE)
    yield
    for module in [m for m in sys.modules if m.partition(".")[0] == "etchscope_example"]:
        del sys.modules[module]


@pytest.fixture
def by_light(tmp_path):
    """A scan directory of two lights and three tiles, in the example's layout."""
    root = tmp_path / "scan"
    rng = np.random.default_rng(0)
    for step in (1, 9):
        (root / f"light-{step}").mkdir(parents=True)
        for tile in (1, 2, 3):
            pixels = rng.integers(0, 255, (30, 40), np.uint8)
            Image.fromarray(pixels).save(root / f"light-{step}" / f"{tile}.png")
    channels = [{"step": 9, "role": "backlit"}, {"step": 1, "role": "halo"}]
    about = {"foil": "F1", "side": "front", "layout": "by-light", "channels": channels}
    (root / "scan.json").write_text(json.dumps(about))
    return root


def run(*words):
    return main([str(w) for w in words])


PAGE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")


def test_the_page_shows_the_files_of_the_example():
    shown = re.findall(r"^```(?:python|toml)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names = ("layout", "network", "combiner", "executor")
    files = [EXAMPLE / "pyproject.toml"]
    files += [EXAMPLE / "etchscope_example" / f"{name}.py" for name in names]
    assert shown == [file.read_text(encoding="utf-8") for file in files]


# A layout -----------------------------------------------------------------------------------


def test_a_scan_in_the_layout_of_a_plugin_is_added(example, by_light, tmp_path, capsys):
    store = Store.create(tmp_path / "store")
    assert run("add", store.path, by_light) == 0
    scan = store.scans.get("F1-front")
    assert (scan.layout, [t.number for t in scan.tiles]) == ("by-light", [1, 2, 3])
    found = open_source(by_light).read_tile(2)
    assert found.sources == ("light-9/2.png", "light-1/2.png")
    np.testing.assert_array_equal(
        found.pixels[1], np.asarray(Image.open(by_light / "light-1" / "2.png"))
    )


def test_the_option_chooses_the_layout_of_a_plugin(example, by_light, tmp_path, capsys):
    path = by_light / "scan.json"
    path.write_text(path.read_text().replace("by-light", "pictures"))
    store = Store.create(tmp_path / "store")
    (by_light / "light-1" / "3.png").unlink()
    words = ["--layout", "by-light", "--skip-bad"]
    assert run("add", store.path, by_light, *words) == 0
    assert "left out tile 3: " in capsys.readouterr().out
    assert store.scans.get("F1-front").layout == "by-light"
    assert run("add", store.path, by_light / "light-1", "--layout", "by-light") == 2
    assert "expected scan.json beside the pictures" in capsys.readouterr().err


def test_a_scan_stays_readable_without_its_plugin(by_light, tmp_path, install, capsys):
    store = Store.create(tmp_path / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE)
        install({"etchscope.layouts": {"by-light": "etchscope_example.layout:index_by_light"}})
        assert run("add", store.path, by_light) == 0
        patch.setattr(sys, "path", [p for p in sys.path if not p.endswith("site")])
        capsys.readouterr()
        assert run("ls", store.path, "--json") == 0
        assert json.loads(capsys.readouterr().out)[0]["layout"] == "by-light"
        assert run("add", Store.create(tmp_path / "other").path, by_light) == 2
    err = capsys.readouterr().err
    assert "scan.json: layout: expected smartscope or pictures or montage, found 'by-lig" in err
    assert "No installed package has an entry point 'by-light' in the group etchscope.l" in err


def test_a_layout_that_gives_no_index_or_no_picture_is_refused(install, by_light, example):
    install({"etchscope.layouts": {"silent": "builtins:print"}}, name="bad")
    message = r"plugin 'silent' of bad 1\.0: expected a function that returns an Index, found an "
    with pytest.raises(BadPlugin, match=message + "object of type NoneType"):
        open_source(by_light, Overrides(layout="silent"))
    for picture in by_light.glob("light-*/*.png"):
        picture.unlink()
    with pytest.raises(BadInput, match="expected pictures in the layout by-light, found none"):
        open_source(by_light)


# A network and a combiner -------------------------------------------------------------------


@pytest.fixture
def trained(example, own):
    words = ["--name", "tiny", "--method", "average", *TRAIN]
    assert run("train", own.path, *words) == 0
    return own


def test_a_network_and_a_combiner_of_a_plugin_are_trained_and_used(trained, capsys):
    _, card = trained.models.load("tiny")
    assert card["method"] == "average"
    assert card["experts"]["hip-top"][0]["training"]["network"] == "coarse"
    package = "etchscope-example 1.0"
    assert card["plugins"] == {
        "etchscope.networks: coarse": package,
        "etchscope.combiners: average": package,
    }
    capsys.readouterr()
    assert run("run", trained.path, "--model", "tiny", "--executor", "inline") == 0
    run_ = trained.runs.latest("simulated-front")
    assert trained.runs.pits(run_)["p_hip"].notna().all()
    assert trained.runs.record(run_).model.name == "tiny"


def test_a_model_whose_plugin_is_missing_is_refused_in_one_line(trained, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if not p.endswith("site")])
    capsys.readouterr()
    assert run("run", trained.path, "--model", "tiny") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "network: expected plain or each-lamp or azimuth or equivariant, found 'coarse'." in err
    assert "has an entry point 'coarse' in the group etchscope.networks. The model was" in err
    assert err.endswith("made with etchscope-example 1.0.\n")


def test_a_model_of_our_own_names_no_plugin(example, learnt):
    assert "plugins" not in learnt.done.model.to_record()[1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--network", "deep"], "training: network: expected plain or each-lamp or azimuth or eq"),
        (["--method", "sum"], "method: expected highest or stacked or multiclass or average, fou"),
    ],
)
def test_an_unknown_name_is_refused_before_the_work(example, own, capsys, words, expected):
    assert run("train", own.path, "--name", "tiny", *words) == 2
    err = capsys.readouterr().err
    assert expected in err
    assert "Cutting" not in err


def test_a_model_of_a_plugin_s_combiner_has_no_onnx(trained, tmp_path, capsys):
    assert run("model", "export", trained.path, "tiny", "-o", tmp_path / "tiny.onnx") == 2
    assert "expected a model combined by stacked or highest, found 'average'" in (
        capsys.readouterr().err
    )


def test_what_makes_no_network_is_refused(install):
    install({"etchscope.networks": {"words": "builtins:print"}})
    with pytest.raises(BadPlugin, match=r"returns a torch\.nn\.Module, found an object of type"):
        build_network("words", Lights((0.0, 90.0)), 28)


def test_what_is_no_combiner_is_refused(install, learnt):
    install({"etchscope.combiners": {"words": "builtins:list"}})
    with pytest.raises(BadPlugin, match="expected an object with fit, combine and shape, found an"):
        find_method("words")


# An executor --------------------------------------------------------------------------------


def test_an_executor_of_a_plugin_does_the_pieces(example):
    got = []
    choose_executor("backwards")([lambda i=i: i for i in range(3)], workers=1, done=got.append)
    assert got == [2, 1, 0]


# What cannot be used ------------------------------------------------------------------------


def test_no_plugin_takes_a_name_of_our_own(install):
    install({"etchscope.networks": {"plain": "builtins:list"}}, name="bad", version="2")
    text = "plugin 'plain' of bad 2, group etchscope.networks: expected a name that Etchscope does"
    with pytest.raises(BadPlugin, match=text):
        build_network("plain", Lights((0.0, 90.0)), 28)
    with pytest.raises(BadPlugin, match=text):
        Training(network="azimuth")


def test_the_names_that_stand_for_something_else_are_taken_too(install, tmp_path):
    install({"etchscope.layouts": {"plain": "builtins:list"}}, name="bad")
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    with pytest.raises(BadPlugin, match=r"plugin 'plain' of bad 1\.0"):
        open_source(tmp_path / "a.png", Overrides(layout="pictures"))


def test_two_packages_do_not_share_a_name(install):
    install({"etchscope.networks": {"one": "builtins:list"}}, name="first")
    install({"etchscope.networks": {"one": "builtins:dict"}}, name="second")
    with pytest.raises(BadPlugin, match=r"expected a name that \w+ 1\.0 does not have, found one"):
        find_plugin("networks", "plain", NETWORKS, where="network")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("no_such_package:make", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("builtins:no_such_name", "AttributeError: module 'builtins' has no attribute"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named(install, value, found):
    install({"etchscope.networks": {"one": value}})
    where = "plugin 'one' of etchscope-example 1.0, group etchscope.networks"
    with pytest.raises(BadPlugin) as caught:
        find_plugin("networks", "one", {}, where="network")
    assert str(caught.value).startswith(f"{where}: expected that {value} can be loaded")
    assert found in str(caught.value)


def test_the_names_of_plugins_are_among_those_that_are_known(example):
    with pytest.raises(NoPlugin, match=re.escape("x: expected a or b or coarse, found 'c'. No ")):
        find_plugin("networks", "c", {"a": 1}, where="x", known=("b",))
    assert find_plugin("networks", "a", {"a": 1}, where="x") == 1
    assert plugin_origin("networks", "coarse") == "etchscope-example 1.0"
    assert plugin_origin("networks", "plain") is None


def test_channels_are_given_in_the_order_of_the_description(example, by_light):
    from etchscope_example.layout import index_by_light

    channels = [Channel(step=1, role="halo"), Channel(step=9, role="backlit")]
    index = index_by_light(by_light, channels)
    assert [p.parent.name for p in index.files[1]] == ["light-1", "light-9"]
