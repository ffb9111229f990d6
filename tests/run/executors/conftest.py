from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import pytest

from etchscope.foil import BadInput


def _fail() -> int:
    raise BadInput("tile 3", "an intact picture", "damage", hint="Look.")


@pytest.fixture
def require_all_done(tmp_path) -> Callable[..., None]:
    """Every task is done and its result handed on once, with one OpenCV thread."""

    def check(run: Any) -> None:
        tasks = [partial(_noted, tmp_path / str(i), i) for i in range(7)]
        got: list[int] = []
        run(tasks, workers=2, done=got.append)
        assert sorted(got) == list(range(7))
        told = {p.name: p.read_text() for p in tmp_path.iterdir()}
        assert told == {str(i): "1" for i in range(7)}
        run([], workers=2, done=lambda _: pytest.fail("there was nothing to do"))

    return check


def _noted(path, i):
    path.write_text(str(cv2.getNumThreads()))
    return i


@pytest.fixture
def require_own_error() -> Callable[..., None]:
    """The error of a task comes out as the task raised it."""

    def check(run: Any) -> None:
        with pytest.raises(BadInput, match=r"^tile 3: expected an intact picture") as caught:
            run([_fail], workers=1, done=lambda _: None)
        assert type(caught.value) is BadInput
        assert str(caught.value) == "tile 3: expected an intact picture, found damage. Look."
        assert (caught.value.where, caught.value.exit_status) == ("tile 3", 2)

    return check
