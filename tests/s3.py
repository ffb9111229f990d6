"""A small S3 server for tests: one bucket in memory, path style, no signatures."""

import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from etchscope.store import objects

__all__ = ["S3", "SECRET", "serve_foils"]

SECRET = "s3cret"

Fault = Callable[[str, str], int | None]
"""(method, key) → status to answer with, 0 to hang up, None for no fault."""


class S3(ThreadingHTTPServer):
    """The server; ``objects`` is what the bucket holds, and ``fault`` may be set."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.fault: Fault = lambda _method, _key: None
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that was refused may have gone."""


@contextmanager
def _serve() -> Iterator[S3]:
    with S3() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serve_foils() -> Iterator[S3]:
    """Serve the bucket ``foils`` in the block, to which obstore finds its way; it tries once."""
    with _serve() as server, pytest.MonkeyPatch.context() as patch:
        objects._connect.cache_clear()
        patch.setattr(objects, "_RETRY", {"max_retries": 0})
        patch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_ALLOW_HTTP", "true")
        patch.setenv("AWS_ACCESS_KEY_ID", "ada")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield server
    objects._connect.cache_clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for an answer: a second one would wait 40 ms
    server: S3

    def log_message(self, *_: object) -> None: ...

    def _do(self) -> None:
        url = urlsplit(self.path)
        _, bucket, *rest = unquote(url.path).split("/", 2)
        self.key = rest[0] if rest else ""
        self.query = {k: v[0] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.key))
        fault = self.server.fault(self.command, self.key)
        if fault == 0:
            self.close_connection = True
        elif fault is not None or bucket != "foils":
            self._answer(fault or 404, b"<Error><Code>Refused</Code></Error>")
        else:
            with self.server.lock:
                getattr(self, f"_{self.command.lower()}")(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _do  # noqa: N815

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _get(self, _body: bytes) -> None:
        if not self.key:
            self._list()
            return
        content = self.server.objects.get(self.key)
        if content is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        headers = {"ETag": '"1"', "Last_Modified": "Sat, 28 Nov 2026 12:00:00 GMT"}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if self.command == "HEAD" or asked is None:
            length = {"Content_Length": str(len(content))} if self.command == "HEAD" else {}
            self._answer(200, content, **headers, **length)
            return
        first, last, size = *asked.groups(), len(content)
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1, size) if first and last else size
        headers["Content_Range"] = f"bytes {start}-{end - 1}/{size}"
        self._answer(206, content[start:end], **headers)

    _head = _get

    def _put(self, body: bytes) -> None:
        if "uploadId" in self.query:
            self.server.uploads[self.query["uploadId"]][int(self.query["partNumber"])] = body
        elif self.headers.get("If-None-Match") == "*" and self.key in self.server.objects:
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        else:
            self.server.objects[self.key] = body
        self._answer(200, ETag='"1"')

    def _post(self, body: bytes) -> None:
        if "delete" in self.query:
            keys = [e.text or "" for e in ET.fromstring(body).iter() if e.tag.endswith("Key")]
            for key in keys:
                self.server.objects.pop(key, None)
            gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
            self._xml("DeleteResult", gone)
        elif "uploads" in self.query:
            name = str(len(self.server.uploads))
            self.server.uploads[name] = {}
            self._xml("InitiateMultipartUploadResult", f"<UploadId>{name}</UploadId>")
        else:
            parts = self.server.uploads.pop(self.query["uploadId"])
            self.server.objects[self.key] = b"".join(parts[i] for i in sorted(parts))
            self._xml("CompleteMultipartUploadResult", '<ETag>"1"</ETag>')

    def _delete(self, _body: bytes) -> None:
        self.server.uploads.pop(self.query.get("uploadId", ""), None)
        self.server.objects.pop(self.key, None)
        self._answer(204)

    def _list(self) -> None:
        prefix, mark = self.query.get("prefix", ""), self.query.get("delimiter")
        files, folders = [], set()
        for key in sorted(k for k in self.server.objects if k.startswith(prefix)):
            head, found, _ = key[len(prefix) :].partition(mark or "\0")
            if found:
                folders.add(f"{prefix}{head}{found}")
            else:
                files.append(key)
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.server.objects[key])}</Size>"
            '<LastModified>2026-11-28T12:00:00.000Z</LastModified><ETag>"1"</ETag></Contents>'
            for key in files
        )
        shared = "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            for name in sorted(folders)
        )
        self._xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{contents}{shared}")

    def _xml(self, name: str, inside: str) -> None:
        self._answer(200, f"<{name}>{inside}</{name}>".encode())
