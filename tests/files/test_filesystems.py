from pathlib import Path

import pytest

from etchscope.files import filesystems
from etchscope.files.filesystems import is_on_local_disk

MOUNTS = r"""
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:26 / /home rw - nfs4 server:/home rw
31 30 0:27 / /home/fast\040disk rw shared:7 - xfs /dev/sdb rw
32 22 0:28 / /data rw - xfs /dev/sdc rw
33 32 0:29 / /data rw - fuse.sshfs far:/data rw
"""


@pytest.mark.parametrize(
    ("path", "is_local"),
    [
        ("/srv/store", True),
        ("/home/ada/store", False),
        ("/home/fast disk/store", True),
        ("/homeless/store", True),
        ("/data/store", False),
    ],
)
def test_the_nearest_and_latest_mount_says_what_a_path_lies_on(
    tmp_path, monkeypatch, path, is_local
):
    listed = tmp_path / "mountinfo"
    listed.write_text(MOUNTS.strip() + "\n")
    monkeypatch.setattr(filesystems, "_MOUNTS", listed)
    assert is_on_local_disk(Path(path)) is is_local


def test_a_disk_that_nobody_knows_is_not_taken_for_local(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "none")
    assert not is_on_local_disk(tmp_path)
