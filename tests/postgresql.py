"""A PostgreSQL server of the tests' own, from Debian's packages: started once, and on no port."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CannotStart(Exception):
    """Why no server can be started here."""


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: p.parts[-3])
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        raise CannotStart("no PostgreSQL is installed (apt-get install postgresql)")
    return Path(initdb).parent


def _server_user() -> str | None:
    """A user that is not root, under whom no server starts; None to stay who one is."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise CannotStart("there is no user but root")


@contextmanager
def start_server() -> Iterator[str]:
    """Yield the address of an empty database; the server stops with the block."""
    programs, user = _programs(), _server_user()
    folder = Path(tempfile.mkdtemp(prefix="etchscope-pg-", dir="/tmp"))  # sockets need short paths
    data, log = folder / "data", folder / "log"

    def call(name: str, *arguments: object) -> None:
        command = [str(programs / name), *map(str, arguments)]
        done = subprocess.run(
            command, user=user, cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CannotStart(f"{name}: {(done.stderr or done.stdout)[-300:]}")

    try:
        if user is not None:
            shutil.chown(folder, user)
        call("initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        quick = "-c fsync=off -c full_page_writes=off -c max_connections=200"
        place = f"-c listen_addresses= -c unix_socket_directories={folder}"
        call("pg_ctl", "-D", data, "-l", log, "-w", "-o", f"{quick} {place}", "start")
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
