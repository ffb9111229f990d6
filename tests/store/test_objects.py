import pickle
import traceback
from contextlib import suppress

import pytest

from etchscope.foil import BadInput, MachineFailed
from etchscope.store import objects
from etchscope.store.objects import ObjectPath, parse_url

pytest.importorskip("obstore")


@pytest.fixture
def place(s3):
    return parse_url("s3://foils/plate7")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://foils/plate7/", "s3://foils/plate7"),
        ("s3://foils", "s3://foils"),
        ("gs://foils.example/a_b/c-d=1", "gs://foils.example/a_b/c-d=1"),
        ("az://container/plate7", "az://container/plate7"),
    ],
)
def test_urls(url, expected):
    place = parse_url(url)
    assert str(place) == expected
    assert str(place / "F1.zarr" / "0/c") == f"{expected}/F1.zarr/0/c"


@pytest.mark.parametrize(
    "url",
    [
        "s3://ada:s3cret@foils/plate7",
        "s3://foils/plate7?AWS_SECRET_ACCESS_KEY=s3cret",
        "az://container/plate7?sig=s3cret",
        "s3://foils/s3cret/../plate7",
        "s3://foils//s3cret",
        "s3://foils/%2e%2e/s3cret",
        "s3://foils/s3cret\n",
        "s3://",
        "https://foils.example/s3cret",
        "s3cret",
    ],
)
def test_another_url_is_refused_and_never_shown(url):
    with pytest.raises(BadInput, match="URL of pictures: expected s3://BUCKET/PREFIX") as caught:
        parse_url(url)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_prefix_that_looks_like_a_scan_is_refused():
    with pytest.raises(BadInput, match=r"of which no part ends in \.zarr, found one that does"):
        parse_url("s3://foils/plate7/F1.zarr")


def test_a_large_object_goes_out_in_parts_and_all_at_once(place, s3):
    content = bytes(range(256)) * 45_000
    with (place / "c/0").writing() as file:
        for start in range(0, len(content), 1_000_000):
            file.write(content[start : start + 1_000_000])
        assert s3.objects == {}
    assert s3.objects == {"plate7/c/0": content}
    assert s3.uploads == {}
    assert [method for method, _ in s3.requests] == ["POST", *["PUT"] * 3, "POST"]


def test_an_object_whose_making_failed_is_not_there(place, s3):
    with suppress(ValueError), (place / "c/0").writing() as file:
        file.write(b"half")
        raise ValueError
    assert (s3.objects, s3.requests) == ({}, [])


def test_deleting_spares_what_only_begins_alike(place, s3):
    for key in ("F1.zarr/zarr.json", "F1.zarr/0/c/0", "F1.zarr2/zarr.json", "F1"):
        (place / key).write_bytes(b"1")
    (place / "F1.zarr").delete()
    assert sorted(s3.objects) == ["plate7/F1", "plate7/F1.zarr2/zarr.json"]
    (place / "F1").delete()
    (place / "none").delete()
    assert sorted(s3.objects) == ["plate7/F1.zarr2/zarr.json"]


def uses(place: ObjectPath) -> dict[str, object]:
    return {
        "is_file": place.is_file,
        "read": place.read_bytes,
        "write": lambda: place.write_bytes(b"1"),
        "create": lambda: place.create(b"1"),
        "dir": lambda: list(place.iterdir()),
        "list": lambda: list(place.list_files()),
        "delete": place.delete,
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, (MachineFailed, "the object store fails: .*Repeat when it answers")),
        (500, (MachineFailed, "the object store fails: .*500 Internal.*Repeat when it answers")),
        (403, (MachineFailed, "the object store refuses access: .*403 Forbidden.*environment")),
    ],
)
@pytest.mark.parametrize("use", ["is_file", "read", "write", "create", "dir", "list", "delete"])
def test_each_fault_is_one_line_with_the_url(place, s3, use, status, expected):
    s3.fault = lambda _method, _key: status
    with pytest.raises(expected[0], match=f"^s3://foils/plate7/F1: {expected[1]}") as caught:
        uses(place / "F1")[use]()
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in shown
    assert "\n" not in str(caught.value)


def test_an_absent_bucket_is_named(s3):
    with pytest.raises(BadInput, match="s3://none/a: expected a bucket or an object that exists"):
        list(parse_url("s3://none/a").iterdir())


def test_errors_are_shown_without_secrets_and_without_what_the_server_adds():
    error = Exception(
        "Generic error: Error performing PUT https://ada:s3cret@h/c/x?sig=s3cret&se=1 in 3.1ms,"
        " after 10 retries, max_retries: 10 - Server returned non-2xx status code: 403 Forbidden:"
        "\n<Error>s3cret</Error>\n\nDebug source: s3cret"
    )
    expected = (
        "Generic error: Error performing PUT https://h/c/x: Server returned non-2xx status code: "
        "403 Forbidden"
    )
    assert objects._words(error) == (expected, 403)


def test_a_place_pickles_as_its_url(place):
    place.is_file()
    assert pickle.loads(pickle.dumps(place)) == place
    assert b"s3cret" not in pickle.dumps(place)
