"""Pictures that lie elsewhere: the same files as in a store's folder, whatever fails."""

import errno
import json
import os
import pickle
import subprocess
from pathlib import Path

import pytest

from etchscope.cli.app import main
from etchscope.foil import BadInput, Busy, MachineFailed
from etchscope.store import Store, adding, places
from etchscope.store.places import begin, create_file, list_files, parse_place, read_json_file

URL = "s3://foils/plate7"
OWNER = "etchscope.json"


@pytest.fixture
def far(s3, tmp_path):
    return Store.create(tmp_path / "far", pictures=URL)


def pictures_of(store: Store) -> dict[str, bytes]:
    """Each file of the pictures with its bytes."""
    root = store._images
    found = {str(path)[len(str(root)) + 1 :]: path.read_bytes() for path in list_files(root)}
    return {name: content for name, content in found.items() if name not in (OWNER, ".lock")}


def add(store: Store, made) -> None:
    store.scans.add(made.scan, made.foil, made.read, workers=2)


@pytest.mark.parametrize("where", ["s3", "file"])
def test_pictures_elsewhere_are_those_of_a_folder(where, made, make_scan, request, tmp_path):
    if where == "s3":
        request.getfixturevalue("s3")
    url = URL if where == "s3" else f"file://{tmp_path}/disk"
    far, near = Store.create(tmp_path / "far", pictures=url), Store.create(tmp_path / "near")
    back = make_scan("F1-back", seed=2)
    steps = [
        lambda store: add(store, made),
        lambda store: add(store, back),
        lambda store: add(store, made),
        lambda store: store.scans.exclude("tile = 2", "dirt"),
        lambda store: store.scans.remove("tile in (3, 9) and scan = 'F1-front'"),
        lambda store: store.scans.remove("scan = 'F1-back'"),
        lambda store: store.scans.finish_removals(),
        lambda store: Store.migrate(store.path),
    ]
    for step in steps:
        for store in (far, near):
            step(store)
        assert pictures_of(far) == pictures_of(near)
        assert far.check() == []
    assert (far.scans.read_tile("F1-front", 4) == made.pixels[3]).all()
    assert [p.name for p in (far.path / "images").iterdir()] == [".lock"]
    far.scans.remove("true")
    assert pictures_of(far) == {}


def test_a_store_knows_the_url_and_no_secret(far, made, s3):
    add(far, made)
    settings = json.loads((far.path / "store.json").read_text())
    assert settings["pictures"] == URL
    again = pickle.loads(pickle.dumps(far))
    assert (again.scans.read_tile("F1-front", 5) == made.pixels[4]).all()
    kept = [p.read_bytes() for p in far.path.rglob("*") if p.is_file()]
    for content in (*kept, *s3.objects.values(), pickle.dumps(far)):
        assert b"s3cret" not in content


@pytest.mark.parametrize("status", [0, 403])
def test_an_object_store_that_fails_at_any_moment(far, made, s3, status):
    add(far, made)
    usual = len(s3.requests)
    far.scans.remove("true")
    for count in range(0, usual, 4):
        s3.requests.clear()
        s3.fault = lambda _method, _key, n=count: status if len(s3.requests) > n else None
        with pytest.raises(MachineFailed, match=f"^{URL}.*: the object store (fails|refuses)"):
            add(far, made)
        assert far.scans.names() == []
        s3.fault = lambda _method, _key: None
        assert {(f.severity, f.what) for f in far.check()} <= {("leftover", "images/F1-front.zarr")}
    add(far, made)
    assert far.check() == []


def test_a_removal_that_cannot_reach_the_pictures_changes_nothing(far, made, s3):
    add(far, made)
    s3.fault = lambda _method, _key: 0
    with pytest.raises(MachineFailed, match="the object store fails"):
        far.scans.remove("tile = 2")
    assert len(far.scans.tiles()) == 11
    s3.fault = lambda method, _key: 0 if method == "PUT" else None
    with pytest.raises(MachineFailed, match="the object store fails"):
        far.scans.remove("tile = 4")
    s3.fault = lambda _method, _key: None
    assert [f.detail for f in far.check()] == ["removed tiles that are not erased yet"]
    far.scans.finish_removals()
    assert far.check() == []


@pytest.mark.parametrize("end", ["add", "remove", "finish_removals"])
def test_what_a_killed_addition_left_is_deleted_by_the_next(
    far, made, make_scan, s3, monkeypatch, end
):
    add(far, made)
    sound = dict(s3.objects)
    back = make_scan("F1-back", seed=2)
    monkeypatch.setattr(adding, "discard", lambda _place: None)  # as if it were killed
    with pytest.raises(BadInput, match="10_1"):
        far.scans.add(back.scan, back.foil, back.read_but(10))
    left = "images/F1-back.zarr"
    assert [(f.severity, f.what) for f in far.check()] == [("leftover", left)]
    assert len(s3.objects) > len(sound)
    {
        "add": lambda: add(far, made),
        "remove": lambda: far.scans.remove("scan = 'none'"),
        "finish_removals": far.scans.finish_removals,
    }[end]()
    assert s3.objects == sound
    assert far.check() == []


def test_what_others_begin_is_left_alone(far, s3):
    final = parse_place(URL) / "F1.zarr"
    assert begin(final) == final
    before = dict(s3.objects)
    with pytest.raises(Busy, match=f"{URL}/F1.zarr is taken by another process"):
        begin(final)
    assert s3.objects == before


def test_damage_of_an_object_is_found(far, made, s3):
    add(far, made)
    del s3.objects["plate7/F1-front.zarr/0/c/1/0/0/0"]
    s3.objects["plate7/F1-front.zarr/0/c/0/notes"] = b"x"
    found = {f.what for f in far.check() if f.severity == "damaged"}
    assert found == {f"scan F1-front, tile {n}" for n in (9, 10, 11)}
    assert [f.detail for f in far.check() if f.severity == "leftover"] == [
        f"{URL}/F1-front.zarr/0/c/0/notes does not belong there"
    ]
    with pytest.raises(BadInput, match=f"{URL}/F1-front.zarr/0/c/1/0/0/0: expected an intact shar"):
        far.scans.read_tile("F1-front", 9)
    s3.objects["plate7/F1-front.zarr/zarr.json"] = b"\xff"
    assert [f.what for f in far.check() if f.severity == "damaged"] == ["scan F1-front"]


@pytest.mark.parametrize("kind", ["s3", "file"])
def test_the_pictures_of_another_store_are_never_touched(kind, far, made, tmp_path):
    """``store.json`` of a store from elsewhere may name any place that its reader can write to."""
    url = URL if kind == "s3" else f"file://{tmp_path}/disk"
    mine = far if kind == "s3" else Store.create(tmp_path / "mine", pictures=url)
    add(mine, made)
    before = pictures_of(mine)
    other = Store.create(tmp_path / "other", pictures=f"file://{tmp_path}/own")
    path = other.path / "store.json"
    for owner in ({}, {"owner": "0" * 32}):
        path.write_text(json.dumps({"pictures": url} | owner))
        hostile = Store.open(other.path)
        for do in (
            lambda store: add(store, made),
            lambda store: store.scans.remove("true"),
            lambda store: store.scans.finish_removals(),
            lambda store: Store.migrate(store.path),
        ):
            with pytest.raises(BadInput, match="the pictures of this store, found those of anothe"):
                do(hostile)
        assert pictures_of(mine) == before


def test_settings_with_another_url_are_damage(far):
    path = far.path / "store.json"
    for url in ("s3://foils/../other", "file:///a/../b", "file://host/a", "/etc"):
        path.write_text(json.dumps({"pictures": url, "owner": "0" * 32}))
        with pytest.raises(BadInput, match="URL of pictures"):
            Store.open(far.path)
    path.write_text('{"pictures": "s3://foils/a", "owner": "mine"}')
    with pytest.raises(BadInput, match=r"store\.json: owner"):
        Store.open(far.path)


def test_one_place_is_that_of_one_store(far, made, s3, tmp_path):
    add(far, made)
    for url in (URL, f"{URL}/", "s3://foils"):
        with pytest.raises(BadInput, match="expected an empty place for pictures, found"):
            Store.create(tmp_path / "other", pictures=url)
    with pytest.raises(BadInput, match="expected a folder outside the store, found one inside"):
        Store.create(tmp_path / "other", pictures=f"file://{tmp_path}/other/images")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["far"]


@pytest.fixture
def stopped_init(monkeypatch, tmp_path):
    """Make a store in a folder and stop just before its end, by an interrupt or by a kill."""

    def make(folder, *, is_killed, **where):
        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as stopping:
            stopping.setattr("etchscope.store.store._rename_store", stop)
            with pytest.raises(KeyboardInterrupt):
                Store.create(folder, **where)
        (aside,) = folder.parent.glob(f".{folder.name}.*.aside")
        if is_killed:
            process = subprocess.Popen(["true"])
            process.wait()
            aside.rename(str(aside).replace(f"-{os.getpid()}-", f"-{process.pid}-"))

    return make


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("kind", ["s3", "file"])
def test_making_that_was_stopped_is_done_again(s3, tmp_path, stopped_init, kind, is_killed):
    url = URL if kind == "s3" else f"file://{tmp_path}/disk"
    stopped_init(tmp_path / "far", is_killed=is_killed, pictures=url)
    with pytest.raises(BadInput, match=r"an empty place for pictures, found etchscope\.json"):
        Store.create(tmp_path / "other", pictures=url)
    store = Store.create(tmp_path / "far", pictures=url)
    store.scans.finish_removals()
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("kind", ["s3", "file"])
def test_a_later_store_of_the_same_folder_gets_no_taken_place(s3, tmp_path, kind):
    """Another machine, too, may have a store in a folder of that name."""
    url = URL if kind == "s3" else f"file://{tmp_path}/disk"
    first = Store.create(tmp_path / "plate7", pictures=url)
    first.path.rename(tmp_path / "elsewhere")
    found = rf"found etchscope\.json there, of the store '{tmp_path}/plate7'"
    with pytest.raises(BadInput, match=found):
        Store.create(tmp_path / "plate7", pictures=url)
    assert not (tmp_path / "plate7").exists()
    Store.open(tmp_path / "elsewhere").scans.finish_removals()


def test_of_two_that_take_one_place_at_once_the_later_names_the_file(tmp_path, monkeypatch):
    def create(file, content):
        places.create_file(file, b'{"owner": "of the other"}')
        return places.create_file(file, content)

    monkeypatch.setattr("etchscope.store.settings.create_file", create)
    with pytest.raises(BadInput, match=r"an empty place for pictures, found etchscope\.json there"):
        Store.create(tmp_path / "store", pictures=f"file://{tmp_path}/disk")


def test_a_damaged_file_of_an_owner_is_named(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / OWNER).touch()
    with pytest.raises(BadInput, match=r"found etchscope\.json there\. .*delete etchscope\.json"):
        Store.create(tmp_path / "store", pictures=f"file://{tmp_path}/disk")


def test_a_place_that_cannot_be_reached_makes_no_store(s3, tmp_path):
    s3.fault = lambda _method, _key: 0
    with pytest.raises(MachineFailed, match=f"^{URL}: the object store fails"):
        Store.create(tmp_path / "store", pictures=URL)
    assert list(tmp_path.iterdir()) == []


def test_the_command(s3, tmp_path, capsys):
    store = tmp_path / "store"
    assert main(["init", str(store), "--pictures", "s3://ada:s3cret@foils/a"]) == 2
    assert "s3cret" not in capsys.readouterr().err
    assert main(["init", str(store), "--pictures", URL]) == 0
    assert main(["check", str(store)]) == 0
    s3.fault = lambda _method, _key: 500
    assert main(["check", str(store)]) == 1
    error = capsys.readouterr().err
    assert URL in error
    assert len(error.splitlines()) == 1


def test_a_file_is_created_once(tmp_path):
    path = tmp_path / "a.json"
    assert [create_file(path, b'{"a": 1}'), create_file(path, b"2")] == [True, False]
    assert read_json_file(path) == {"a": 1}
    assert isinstance(parse_place("file:///a"), Path)


def test_a_file_is_created_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(places, "sync_path", stop)
        with pytest.raises(KeyboardInterrupt):
            create_file(path, b"{}")
    assert list(tmp_path.iterdir()) == []
    assert create_file(path, b"{}")


def test_a_file_is_created_where_a_file_has_one_name(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.json"
    assert [create_file(path, b'{"a": 1}'), create_file(path, b"2")] == [True, False]
    assert read_json_file(path) == {"a": 1}
