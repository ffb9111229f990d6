import errno
import json
import os
import re
import shutil
import threading

import numpy as np
import pytest
from safetensors.numpy import save

from etchscope.foil import BadInput, MachineFailed
from etchscope.store import Store, models, read_model, write_model

ARRAYS = {
    "b.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a": np.array([0.1, -2.0]),
    "scale": np.array(3.5),
    "turned": np.arange(6, dtype=np.int64).reshape(2, 3).T,
    "none": np.empty((0, 4), np.float32),
}
CARD = {"signal": "hip", "prior": {"top": 0.4, "hip": 0.6}, "note": "größer", "limit": None}


def _same(found, arrays=ARRAYS):
    assert sorted(found) == sorted(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
        assert found[name].shape == values.shape


def _other(card=CARD, **change):
    return {**ARRAYS, "a": np.array([7.0, 8.0])}, {**card, **change}


def _forged(folder, *, weights=None, **card):
    """A model's folder whose card names whatever weights lie there."""
    if not folder.exists():
        write_model(folder, ARRAYS, CARD)
    if weights is not None:
        (folder / "weights.safetensors").write_bytes(weights)
        digest = models.hashlib.sha256(weights).hexdigest()
        card = {"weights_sha256": digest} | card
    told = json.loads((folder / "card.json").read_text()) | card
    (folder / "card.json").write_text(json.dumps(told))
    return folder


def _names(store):
    return sorted(p.name for p in (store.path / "models").iterdir())


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Store:
    store = Store.create(tmp_path_factory.mktemp("template") / "store")
    store.models.save("m1", ARRAYS, CARD)
    return store


@pytest.fixture
def kept(template, tmp_path) -> Store:
    """A store with the model m1."""
    return Store.open(shutil.copytree(template.path, tmp_path / "store"))


def test_a_model_comes_back_as_it_was_written(tmp_path):
    card = write_model(tmp_path / "m", ARRAYS, CARD)
    arrays, found = read_model(tmp_path / "m")
    _same(arrays)
    assert found == card
    assert {k: found[k] for k in CARD} == CARD
    assert (found["format"], found["format_version"]) == ("etchscope-model", 1)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["card.json", "m", "weights.safetensors"]


def test_the_same_model_has_the_same_bytes_whatever_the_order_of_its_parts(tmp_path):
    write_model(tmp_path / "a", ARRAYS, CARD)
    (tmp_path / "b").mkdir()  # empty is as good as absent
    write_model(tmp_path / "b", dict(reversed(ARRAYS.items())), dict(reversed(CARD.items())))
    for name in ("weights.safetensors", "card.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_another_byte_order_comes_back_in_the_machine_s_and_tuples_as_lists(tmp_path):
    given = {"x": np.array([1.5, -2.0], ">f4"), "on": np.array([True, False])}
    write_model(tmp_path / "m", given, {"size": (28, 28)})
    arrays, card = read_model(tmp_path / "m")
    _same(arrays, {"x": np.array([1.5, -2.0], np.float32), "on": given["on"]})
    assert card["size"] == [28, 28]


@pytest.mark.parametrize(
    ("arrays", "card", "told"),
    [
        ({"w": np.array([1.0, np.nan])}, {}, "weights of a model: expected finite weights, .* w"),
        ({"w": np.array([np.inf])}, {}, "expected finite weights"),
        ({"w": np.array([None])}, {}, "expected real numbers, found object in w"),
        ({"w": np.array(["a"])}, {}, "expected real numbers, found <U1 in w"),
        ({"w": np.array([1j])}, {}, "expected real numbers, found complex128 in w"),
        ({"w": np.array([1], np.longdouble)}, {}, "expected real numbers, found float128 in w"),
        ({}, {"x": float("nan")}, "card of a model: expected what JSON can hold"),
        ({}, {"x": np.float32(1)}, "card of a model: expected what JSON can hold"),
        ({}, {"x": "\ud800"}, "card of a model: expected what JSON can hold"),
    ],
)
def test_what_is_no_model_is_refused_and_nothing_is_written(
    empty, take_snapshot, arrays, card, told
):
    store = empty
    before = take_snapshot(store.path)
    folder = store.path.parent / "out"
    with pytest.raises(BadInput, match=told):
        write_model(folder, arrays, card)
    with pytest.raises(BadInput, match=told):
        store.models.save("m", arrays, card)
    assert not folder.exists()
    assert take_snapshot(store.path) == before
    assert store.models.names() == []


def test_a_model_is_never_written_over_what_lies_there(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years")
    (tmp_path / "file").write_text("more")
    for name in ("full", "file"):
        with pytest.raises(BadInput, match=f"{name}: expected a new or empty folder"):
            write_model(tmp_path / name, ARRAYS, CARD)
    with pytest.raises(
        BadInput, match=r"expected a folder that can be made, found no folder .*far"
    ):
        write_model(tmp_path / "far" / "off", ARRAYS, CARD)
    assert (tmp_path / "full" / "thesis.tex").read_text() == "years"
    assert (tmp_path / "file").read_text() == "more"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "full"]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: _forged(f, weights_sha256="0" * 64), r"safetensors: .*SHA-256 000000000000…"),
        (lambda f: _forged(f, weights_sha256=None), "expected the weights that the card names"),
        (lambda f: (f / "weights.safetensors").write_bytes(b""), "the weights that the card names"),
        (lambda f: (f / "weights.safetensors").unlink(), "safetensors: expected the weights of a"),
        (lambda f: _forged(f, weights=b"PK\x03\x04 a zip"), "expected safetensors, found"),
        (lambda f: _forged(f, weights=save(ARRAYS)[:-3]), "expected safetensors, found"),
        (lambda f: _forged(f, weights=b"\xff" * 80), "expected safetensors, found"),
        (
            lambda f: _forged(f, weights=save({"w": np.array([np.nan])})),
            r"weights\.safetensors: expected finite weights, found others in w",
        ),
        (lambda f: (f / "card.json").unlink(), r"card\.json: expected the card of a model, found"),
        (lambda f: (f / "card.json").write_text("{"), "the card of a model, JSON, found"),
        (lambda f: (f / "card.json").write_bytes(b"\xff\xfe"), "the card of a model, JSON"),
        (lambda f: (f / "card.json").write_text("[" * 100_000), "the card of a model, JSON"),
        (lambda f: (f / "card.json").write_text('{"a": NaN}'), "the card of a model, JSON"),
        (lambda f: (f / "card.json").write_text('{"a": "\\ud800"}'), "the card of a model, JSON"),
        (lambda f: (f / "card.json").write_text("[1]"), '"format": "etchscope-model"'),
        (lambda f: _forged(f, format="onnx"), '"format": "etchscope-model", found another file'),
        (lambda f: _forged(f, format_version=2), "expected format_version 1, found 2. A later ver"),
        (lambda f: _forged(f, format_version="1"), "expected format_version 1, found '1'$"),
    ],
)
def test_a_damaged_or_foreign_model_is_one_clear_error(kept, take_snapshot, tmp_path, damage, told):
    folder = tmp_path / "given"
    kept.models.export("m1", folder)
    damage(folder)
    before = take_snapshot(kept.path)
    with pytest.raises(BadInput, match=told):
        read_model(folder)
    with pytest.raises(BadInput, match=told):
        kept.models.import_folder(folder)
    assert take_snapshot(kept.path) == before
    damage(kept.path / "models" / "m1")
    with pytest.raises(BadInput, match=told):
        kept.models.load("m1")
    with pytest.raises(BadInput, match=told):
        kept.models.export("m1", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [(f.severity, f.what) for f in kept.check()] == [("damaged", "model m1")]


def test_a_flipped_bit_is_never_read_as_weights(tmp_path):
    write_model(tmp_path / "m", ARRAYS, CARD)
    path = tmp_path / "m" / "weights.safetensors"
    content = path.read_bytes()
    for at in range(0, len(content), 23):
        broken = bytearray(content)
        broken[at] ^= 4
        path.write_bytes(bytes(broken))
        with pytest.raises(BadInput, match="the weights that the card names"):
            read_model(tmp_path / "m")


def test_the_registry_keeps_lists_and_removes_models(empty, tmp_path):
    store = empty
    assert store.models.names() == []
    assert store.models.save("z", ARRAYS, CARD) == "z"
    store.models.save("a.1-b_c", *_other())
    assert store.models.names() == ["a.1-b_c", "z"]
    _same(store.models.load("z")[0])
    _same(store.models.load("a.1-b_c")[0], _other()[0])
    assert store.check() == []
    store.models.remove("z")
    assert store.models.names() == ["a.1-b_c"]
    assert _names(store) == ["a.1-b_c"]
    listed = r"model: expected one of the store's models \(a\.1-b_c\), found 'z'"
    for refused in (store.models.load, store.models.remove):
        with pytest.raises(BadInput, match=listed):
            refused("z")
    with pytest.raises(BadInput, match=listed):
        store.models.export("z", tmp_path / "out")


def test_the_identical_model_again_changes_nothing_another_needs_leave(kept, take_snapshot):
    before = take_snapshot(kept.path)
    times = [p.stat().st_mtime_ns for p in sorted((kept.path / "models").rglob("*"))]
    kept.models.save("m1", ARRAYS, CARD)
    kept.models.save("m1", ARRAYS, CARD, replace=True)
    assert [p.stat().st_mtime_ns for p in sorted((kept.path / "models").rglob("*"))] == times
    for arrays, card in (_other(), (ARRAYS, {**CARD, "signal": "top"})):
        with pytest.raises(BadInput, match="name of a model: expected a name that no other model"):
            kept.models.save("m1", arrays, card)
    assert take_snapshot(kept.path) == before
    kept.models.save("m1", *_other(signal="top"), replace=True)
    arrays, card = kept.models.load("m1")
    _same(arrays, _other()[0])
    assert card["signal"] == "top"
    assert _names(kept) == ["m1"]
    assert kept.check() == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../m", "a/b", ".hidden", "a b", "ä", "m\n", "x" * 101, "-m"]
)
def test_names_that_are_no_file_names_are_refused(kept, take_snapshot, tmp_path, name):
    before = take_snapshot(kept.path)
    told = "name of a model: expected letters, digits, dot, dash, underscore, found"
    with pytest.raises(BadInput, match=told):
        kept.models.save(name, ARRAYS, CARD)
    kept.models.export("m1", tmp_path / "m1")
    with pytest.raises(BadInput, match=told):
        kept.models.import_folder(tmp_path / "m1", name)
    for refused in (kept.models.load, kept.models.remove):
        with pytest.raises(BadInput, match="expected one of the store's models"):
            refused(name)
    assert take_snapshot(kept.path) == before


def test_a_model_goes_from_store_to_store_byte_by_byte(kept, tmp_path):
    kept.models.export("m1", tmp_path / "sent")
    other = Store.create(tmp_path / "other")
    assert other.models.import_folder(tmp_path / "sent") == "sent"
    assert other.models.import_folder(tmp_path / "sent", "m1") == "m1"
    assert other.models.import_folder(tmp_path / "sent", "m1") == "m1"
    assert other.models.names() == ["m1", "sent"]
    for name in ("weights.safetensors", "card.json"):
        first = (kept.path / "models/m1" / name).read_bytes()
        assert (other.path / "models/m1" / name).read_bytes() == first
        assert (other.path / "models/sent" / name).read_bytes() == first
    write_model(tmp_path / "new", *_other())
    with pytest.raises(BadInput, match="expected a name that no other model has, found 'm1'"):
        other.models.import_folder(tmp_path / "new", "m1")
    with pytest.raises(BadInput, match="expected a new or empty folder"):
        kept.models.export("m1", tmp_path / "sent")


@pytest.mark.parametrize("where", ["sync_tree", "sync_path"])
@pytest.mark.parametrize("replace", [False, True])
def test_a_full_disk_leaves_the_store_as_it_was(kept, take_snapshot, monkeypatch, where, replace):
    before = take_snapshot(kept.path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(models, where, full)
    with pytest.raises(MachineFailed, match=r"writing .*: No space left on device\. Nothing"):
        kept.models.save("m1" if replace else "m2", *_other(), replace=replace)
    monkeypatch.undo()
    assert take_snapshot(kept.path) == before
    assert _names(kept) == ["m1"]
    _same(kept.models.load("m1")[0])


def _moves(renamed):
    """What was renamed: the folder of ``write_model``, the old model, and the new one."""
    kinds = {"..m1": "written", "m1": "old", ".m1": "new", ".m1.old": "back"}
    return [kinds[re.sub(r"(\.[0-9a-f]{8}-\d+-[0-9a-f]{8}\.aside)+$", "", n)] for n in renamed]


@pytest.mark.parametrize("at", range(3))
def test_a_disk_that_fails_at_a_renaming_leaves_the_store_as_it_was(
    kept, take_snapshot, monkeypatch, at
):
    before, renamed = take_snapshot(kept.path), []

    def rename(path, target):
        renamed.append(path.name)
        if len(renamed) == at + 1:
            raise OSError(errno.EIO, "Input/output error")
        os.rename(path, target)  # noqa: PTH104 - Path.rename is what is patched

    monkeypatch.setattr(models.Path, "rename", rename)
    with pytest.raises(MachineFailed, match=r"Input/output error\. Nothing was changed"):
        kept.models.save("m1", *_other(), replace=True)
    assert _moves(renamed)[: at + 1] == ["written", "old", "new"][: at + 1]
    assert take_snapshot(kept.path) == before


def test_a_full_disk_leaves_no_half_export(kept, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(models, "sync_tree", full)
    with pytest.raises(MachineFailed, match=r"writing .*out: No space left"):
        kept.models.export("m1", tmp_path / "out")
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", range(4))
def test_a_killed_replacement_leaves_the_old_model_or_the_new(kept, monkeypatch, at):
    """Killed at each renaming: of the aside, of the old one, of the new one, and after them."""
    old, new = kept.models.load("m1"), _other()[0]
    folder, renamed = kept.path / "models", []

    def rename(path, target):
        if len(renamed) == at:
            raise Killed
        renamed.append(path.name)
        os.rename(path, target)  # noqa: PTH104 - Path.rename is what is patched

    monkeypatch.setattr(models.Path, "rename", rename)
    if at == 3:
        monkeypatch.setattr(models, "sync_path", lambda p: _killed_in(p, folder))
    with pytest.raises(Killed):
        kept.models.save("m1", *_other(), replace=True)
    monkeypatch.undo()
    assert _moves(renamed) == ["written", "old", "new"][:at]
    assert kept.models.names() == ["m1"]
    _same(kept.models.load("m1")[0], new if at == 3 else old[0])
    assert (folder / ".m1.old").exists() == (at >= 2)
    assert not [f for f in kept.check() if f.severity == "damaged"]
    # The next writer mends it.
    kept.models.save("m2", ARRAYS, CARD)
    assert _names(kept) == ["m1", "m2"]
    _same(kept.models.load("m1")[0], new if at == 3 else old[0])
    assert kept.check() == []


def _killed_in(path, folder):
    if path == folder and (folder / ".m1.old").exists():
        raise Killed


def test_a_model_between_two_renames_can_be_exported_replaced_and_removed(kept, tmp_path):
    folder = kept.path / "models"

    def between():
        (folder / "m1").rename(folder / ".m1.old")

    between()
    kept.models.export("m1", tmp_path / "out")
    _same(read_model(tmp_path / "out")[0])
    with pytest.raises(BadInput, match="expected a name that no other model has, found 'm1'"):
        kept.models.save("m1", *_other())
    assert _names(kept) == ["m1"]
    between()
    kept.models.save("m1", *_other(), replace=True)
    _same(kept.models.load("m1")[0], _other()[0])
    between()
    kept.models.remove("m1")
    assert (kept.models.names(), _names(kept)) == ([], [])


def test_a_model_that_is_replaced_while_it_is_read_is_read_whole(kept, monkeypatch):
    real, asked = models._read_card, []

    def between(path):
        card = real(path)
        if not asked:
            asked.append(path)
            kept.models.save("m1", *_other(), replace=True)
        return card

    monkeypatch.setattr(models, "_read_card", between)
    _same(kept.models.load("m1")[0], _other()[0])


def test_writers_wait_for_each_other_and_none_is_lost(empty):
    store = empty

    def write(number):
        store.models.save(f"m{number % 4}", ARRAYS, {**CARD, "by": number}, replace=True)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.models.names() == ["m0", "m1", "m2", "m3"]
    assert {store.models.load(f"m{k}")[1]["by"] % 4 for k in range(4)} == {0, 1, 2, 3}
    assert _names(store) == store.models.names()
