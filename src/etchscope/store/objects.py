"""Places on an object store, with those methods of ``pathlib.Path`` that pictures need.

Credentials come from the environment, where obstore looks for them, and never from a URL, which
stands in files, messages and pickles. An object is written whole or not at all.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from etchscope.foil import BadInput, MachineFailed
from etchscope.foil.extras import require_package

if TYPE_CHECKING:
    from obstore.store import RetryConfig

__all__ = ["ObjectPath", "parse_url"]

_URL = re.compile(r"(s3|gs|az)://[A-Za-z0-9][\w.-]*(/(?!\.\.?(/|$))[\w.=+-]+)*", re.ASCII)
_HINT = "Credentials come from the environment, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
_RETRY: "RetryConfig" = {"retry_timeout": timedelta(seconds=30)}
"""How long a request is repeated that meets no server, or one in trouble."""
_PARTS_AT_ONCE = 2
"""Parts of an object that are under way, of 5 MB each: obstore gives a request 30 s."""
_MEMORY_BYTES = 64 * 2**20
"""A file that is larger waits on the disk for its turn."""
_DURATION = re.compile(r" in [\d.]+\S*s(, after [^-]*)? - ")
_SECRET = re.compile(r"\?[^\s\"')]*|(?<=://)[^/\s@]*@")


def parse_url(url: str) -> "ObjectPath":
    """Return the place of a URL.

    Parameters
    ----------
    url : ``s3://bucket/prefix``, or with ``gs`` (Google) or ``az`` (Azure, a container).

    Raises
    ------
    BadInput : no such URL, or one with a password.
    MissingExtra : obstore is not installed.
    """
    short = url.rstrip("/")
    if _URL.fullmatch(short) is None:
        # Not the URL itself, which may have a password.
        expected = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX, no password"
        raise BadInput("URL of pictures", expected, "another form", _HINT)
    if ".zarr/" in f"{short}/":  # which a store whose pictures lie above would take for a scan
        raise BadInput(short, "a prefix of which no part ends in .zarr", "one that does")
    require_package("obstore")
    return ObjectPath(short)


@dataclass(frozen=True, order=True)
class ObjectPath:
    """An object, or all objects whose keys begin with a name and a slash.

    It is a text, and pickles as such: each process connects with its own credentials. Each method
    raises ``MachineFailed`` where the object store cannot be reached, fails or refuses access, and
    ``BadInput`` where what it needs is not there.

    Parameters
    ----------
    url : of the store's pictures, as ``s3://bucket/plate7``.
    key : what is meant below it, as ``F1.zarr/zarr.json``; empty for all.
    """

    url: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.url}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> "ObjectPath":
        return ObjectPath(self.url, f"{self.key}/{name}".lstrip("/"))

    @property
    def name(self) -> str:
        """The part after the last slash."""
        return str(self).rpartition("/")[2]

    def is_file(self) -> bool:
        """Return whether there is an object of this key."""
        import obstore

        with self.named_errors(), suppress(FileNotFoundError):
            obstore.head(_connect(self.url), self.key)
            return True
        return False

    def exists(self) -> bool:
        """Return whether there is an object of this key or below it."""
        return self.is_file() or any(True for _ in self.list_files())

    def size(self) -> int:
        """Return the number of bytes of an object, which must exist."""
        import obstore

        with self.named_errors():
            return int(obstore.head(_connect(self.url), self.key)["size"])

    def read_bytes(self) -> bytes:
        """Return what an object holds, which must exist."""
        import obstore

        with self.named_errors():
            return bytes(obstore.get(_connect(self.url), self.key).bytes())

    def write_bytes(self, content: bytes) -> None:
        """Write an object, in place of one that is there."""
        import obstore

        with self.named_errors():
            obstore.put(_connect(self.url), self.key, content)

    def create(self, content: bytes) -> bool:
        """Write an object unless there is one; return whether it was written."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self.named_errors(), suppress(AlreadyExistsError, PreconditionError):
            obstore.put(_connect(self.url), self.key, content, mode="create")
            return True
        return False

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """Yield a file to write to, which becomes the object when the block succeeds."""
        import obstore

        with SpooledTemporaryFile(_MEMORY_BYTES) as file:
            yield cast(BinaryIO, file)
            file.seek(0)
            with self.named_errors():
                content = cast(BinaryIO, file)
                obstore.put(_connect(self.url), self.key, content, max_concurrency=_PARTS_AT_ONCE)

    def iterdir(self) -> Iterator["ObjectPath"]:
        """Yield what lies directly below: objects, and names that several keys share."""
        import obstore

        with self.named_errors():
            found = obstore.list_with_delimiter(_connect(self.url), self.key or None)
        for key in [*found["common_prefixes"], *(one["path"] for one in found["objects"])]:
            yield ObjectPath(self.url, key)

    def list_files(self) -> Iterator["ObjectPath"]:
        """Yield all objects below."""
        import obstore

        with self.named_errors():
            for batch in obstore.list(_connect(self.url), self.key or None):
                yield from (ObjectPath(self.url, one["path"]) for one in batch)

    def delete(self) -> None:
        """Delete the object and all below, if there are any."""
        import obstore

        keys = [one.key for one in self.list_files()]
        keys += [self.key] if self.is_file() else []
        with self.named_errors(), suppress(FileNotFoundError):  # another process deletes the same
            obstore.delete(_connect(self.url), keys)

    def open_zarr_store(self) -> Any:
        """Return what Zarr opens; it begins here, since Zarr makes groups of all that is above."""
        from zarr.storage import ObjectStore

        with self.named_errors():
            return ObjectStore(_connect(str(self)))

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Turn the errors of obstore within the block into ones that name this place."""
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            words, status = _words(error)
            is_refused = isinstance(error, PermissionDeniedError | UnauthenticatedError)
            # From None: the original may show a secret.
            if isinstance(error, FileNotFoundError) or status == 404:
                expected = "a bucket or an object that exists"
                raise BadInput(str(self), expected, words) from None
            if is_refused or status in (401, 403):
                text = f"{self}: the object store refuses access: {words}. {_HINT}"
                raise MachineFailed(text) from None
            text = f"{self}: the object store fails: {words}. Repeat when it answers."
            raise MachineFailed(text) from None


def _words(error: Exception) -> tuple[str, int | None]:
    """Return an error in one line without what may be secret, and the status of HTTP it names."""
    words = " ".join(str(error).partition("\n\n")[0].partition("<")[0].split()).rstrip(": ")
    status = re.search(r"status code: (\d+)", words)
    shorter = _DURATION.sub(": ", _SECRET.sub("", words))
    return shorter[:300], None if status is None else int(status[1])


@lru_cache(maxsize=16)
def _connect(url: str) -> Any:
    """Return what speaks with an object store; it may be used by many threads."""
    require_package("obstore")
    from obstore.store import from_url

    # No client_options, for they would replace those of the environment, as AWS_ALLOW_HTTP.
    return from_url(url, retry_config=_RETRY)
