import numpy as np
import pytest
from PIL import Image

from etchscope.files.animations import write_animation
from etchscope.foil import BadInput


def frames(*levels, size=(20, 30)):
    return [np.full((*size, 3), level, np.uint8) for level in levels]


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_frames_come_back_in_order_for_their_time(tmp_path, suffix):
    path = write_animation(tmp_path / f"a{suffix}", frames(10, 120, 240), 0.4)
    with Image.open(path) as read:
        assert (read.n_frames, read.size) == (3, (30, 20))
        levels = []
        for k in range(3):
            read.seek(k)
            levels.append(np.asarray(read.convert("RGB")).mean())
            assert read.info["duration"] == 400
        assert read.info["loop"] == 0
    np.testing.assert_allclose(levels, [10, 120, 240], atol=2)


def test_other_suffixes_and_frames_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"ends in \.webp or \.gif"):
        write_animation(tmp_path / "a.mp4", frames(1, 2))
    with pytest.raises(BadInput, match="0 sizes"):
        write_animation(tmp_path / "a.gif", [])
    with pytest.raises(BadInput, match="2 sizes"):
        write_animation(tmp_path / "a.gif", [*frames(1), *frames(2, size=(5, 5))])
    assert list(tmp_path.iterdir()) == []
