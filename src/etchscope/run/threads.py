"""Keep libraries from starting threads of their own inside workers."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

__all__ = ["one_opencv_thread"]


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Let OpenCV use the calling thread only: the workers are the parallelism."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
