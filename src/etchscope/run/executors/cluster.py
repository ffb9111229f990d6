"""Run tasks on the workers of a Dask cluster, which share a file system with this machine."""

import gc
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import cv2

from etchscope.foil import BadInput, MachineFailed, NotAStore, require_package
from etchscope.run.threads import one_opencv_thread

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["connected", "run_on_cluster"]

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_CONNECT_S = 15
"""Longest wait for a scheduler, in seconds."""
_AHEAD = 4
"""Tasks that the scheduler holds for each thread of its workers, so that none is idle."""
_LEAST, _MOST = 16, 4000
"""Least and largest number of tasks that the scheduler holds: it slows down with many more."""
_DECISIVE = (
    "etchscope",
    "distributed",
    "numpy",
    "scipy",
    "numba",
    "opencv-python-headless",
    "torch",
)
"""Packages on whose versions the bytes of a result depend, and that of Dask."""
_GOES_ON = "repeat, and the work goes on."


@contextmanager
def connected(address: str) -> Iterator["Client"]:
    """Yield a client of the scheduler at an address, such as ``tcp://host:8786``.

    Raises
    ------
    MissingExtra : the package distributed is not installed.
    BadInput : no address.
    MachineFailed : no scheduler answers there.
    """
    require_package("distributed")
    quiet = logging.getLogger("distributed")
    before = quiet.level
    quiet.setLevel(logging.CRITICAL)  # what goes wrong is said once, by an error
    try:
        client = _client_of(address)
        try:
            yield client
        finally:
            with suppress(Exception):  # it may be lost
                client.close(timeout=_CONNECT_S)
    finally:
        quiet.setLevel(before)


def _client_of(address: str) -> "Client":
    """Return a client that is connected to the scheduler."""
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    where = address if "://" in address else f"tcp://{address}"
    failed: BadInput | MachineFailed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # each task compares them
            return Client(where, timeout=_CONNECT_S, set_as_default=False)
    except ValueError:
        failed = BadInput("scheduler", "an address such as tcp://host:8786", repr(address))
    except OSError:
        failed = MachineFailed(f"{where}: no Dask scheduler answers.")
    # A client that could not connect stops its loop when it is collected. Were that to come while
    # another client starts, it would wait forever for a lock that its own thread holds. The first
    # error holds the client, and is therefore not a cause of the second.
    gc.collect()
    raise failed


def run_on_cluster(
    client: "Client",
    tasks: Sequence[Callable[[], Result]],
    *,
    workers: int,
    done: Callable[[Result], None],
) -> None:
    """Call the tasks on the workers of a cluster; see ``Executor``.

    Tasks are handed out some at a time, to any worker. One whose worker is lost is done again by
    another. After an error no task is begun; one that is at work then ends by itself.

    Parameters
    ----------
    client : of the cluster; it stays open.
    workers : is not used: as many tasks run at once as the workers of the cluster have threads.

    Raises
    ------
    MachineFailed : the scheduler was lost, or several workers one after the other at one task.
    BadInput : a worker has other versions of the packages that decide the results, or does not
        find the store. An error of a task is raised as it is.
    """
    from distributed import as_completed

    here, begun = _versions(), iter(tasks)
    flying: Any = as_completed(loop=client.loop, with_results=True, raise_errors=False)
    room = 0
    try:
        with one_opencv_thread():
            while True:
                if flying.count() <= room // 2:
                    room = _room(client)
                    free = islice(begun, room - flying.count())
                    flying.update([client.submit(_call, task, here, pure=False) for task in free])
                if flying.is_empty():
                    return
                for future, result in flying.next_batch():
                    done(_result(future, result))
    finally:
        with suppress(Exception):
            client.cancel(list(flying.futures))
        flying.clear()


def _room(client: "Client") -> int:
    """Return how many tasks the scheduler is to hold."""
    try:
        threads = sum(int(n) for n in client.nthreads().values())
    except (OSError, RuntimeError) as error:
        raise MachineFailed(f"the Dask scheduler was lost; {_GOES_ON}") from error
    if not threads:
        log.warning("the cluster has no worker yet; the work begins when it has")
    return min(_MOST, max(_LEAST, _AHEAD * threads))


def _result(future: "Future[Any]", result: Any) -> Any:
    """Return the result of a task that has ended, or raise its error."""
    from distributed import KilledWorker

    if future.status == "finished":
        return result
    if future.status != "error":
        raise MachineFailed(f"the Dask scheduler was lost, or the work cancelled; {_GOES_ON}")
    error: BaseException = result[1]
    if isinstance(error, KilledWorker):
        lost = f"every worker that began one piece was lost ({error.allowed_failures + 1} of them)"
        raise MachineFailed(f"{lost}, perhaps for want of memory; {_GOES_ON}") from error
    if isinstance(error, ModuleNotFoundError) and error.name == "etchscope":
        raise BadInput("a worker of the cluster", "the package etchscope", "none") from error
    raise error.with_traceback(result[2])


def _call(task: Callable[[], Result], wanted: Mapping[str, str]) -> Result:
    """Do a task on a worker that has the wanted version of each package."""
    from distributed import get_worker

    where, here = f"worker {get_worker().address}", _versions()
    for name in sorted(wanted.keys() | here.keys()):
        if wanted.get(name) != here.get(name):
            expected = f"{name} {wanted.get(name, '(none)')}, as where the work is handed out"
            raise BadInput(where, expected, here.get(name, "none"))
    cv2.setNumThreads(1)  # for good: tasks of other threads of this worker run meanwhile
    try:
        return task()
    except NotAStore as error:
        hint = "The store must be on a file system that all machines of the cluster share."
        raise BadInput(where, f"the store {error.where}", "none there", hint) from error


@lru_cache
def _versions() -> dict[str, str]:
    """Return package → version of those that are installed."""
    found = {}
    for name in _DECISIVE:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
