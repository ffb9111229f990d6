import cv2
import pytest

from etchscope.run.threads import one_opencv_thread


@pytest.fixture
def two_threads():
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(before)


def test_opencv_has_one_thread_inside_and_its_own_again_after(two_threads):
    with one_opencv_thread():
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == 2


def test_its_own_again_after_an_error(two_threads):
    def fail():
        with one_opencv_thread():
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    assert cv2.getNumThreads() == 2
