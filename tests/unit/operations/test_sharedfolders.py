"""The doctor checks the mount types of folders shared by several hosts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from samdrift.config.model import Config
from samdrift.operations.sharedfolders import Mount, check_shared, mount_of

LINES = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:44 / /srv/shared rw,noatime shared:9 - {kind} server:/export {options}
41 40 0:45 / /srv/shared/a\\040b rw - xfs /dev/sdb1 rw
"""


@dataclass
class _Vaults:
    secrets: Path
    seals: Path
    objects: Path | str


@dataclass
class _Config:
    vaults: _Vaults


def found(tmp_path: Path, kind: str, options: str, objects: Path | str = "s3://bodies") -> list[Any]:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(LINES.format(kind=kind, options=options))
    config = _Config(_Vaults(Path("/srv/shared/secrets"), Path("/srv/seals"), objects))
    return list(check_shared(cast(Config, config), mounts))


@pytest.mark.parametrize("option", ["nolock", "local_lock=all", "local_lock=flock"])
def test_a_key_store_whose_locks_are_one_hosts_own_fails(tmp_path: Path, option: str) -> None:
    (one,) = found(tmp_path, "nfs", f"rw,vers=3,hard,{option}")
    assert (one.id, one.state) == ("files.locks", "fail")
    assert option in one.found
    assert "NFS 4" in one.todo


def test_a_key_store_on_nfs_4_is_in_order(tmp_path: Path) -> None:
    (one,) = found(tmp_path, "nfs4", "rw,vers=4.2,hard,local_lock=none", Path("/srv/shared/objects"))
    assert (one.id, one.state) == ("files.locks", "ok")


@pytest.mark.parametrize("kind", ["fuse.sshfs", "cifs", "9p"])
def test_a_file_system_whose_locks_are_not_known_is_to_be_tried(tmp_path: Path, kind: str) -> None:
    (one,) = found(tmp_path, kind, "rw")
    assert (one.id, one.state) == ("files.locks", "warn")
    assert "flock -n /srv/shared/secrets" in one.todo


def test_a_mount_that_gives_up_fails_for_keys_and_for_objects(tmp_path: Path) -> None:
    checks = found(tmp_path, "nfs4", "rw,soft,local_lock=none", Path("/srv/shared/objects"))
    assert [(one.id, one.state) for one in checks] == [
        ("files.locks", "ok"),
        ("files.shared", "fail"),
        ("files.shared", "fail"),
    ]


def test_folders_of_this_machine_are_no_affair_of_it(tmp_path: Path) -> None:
    assert found(tmp_path, "ext4", "rw") == []
    config = _Config(_Vaults(tmp_path, tmp_path, tmp_path))
    assert list(check_shared(cast(Config, config), tmp_path / "not there")) == []


def test_the_nearest_mount_counts_whatever_is_in_its_name() -> None:
    text = LINES.format(kind="nfs4", options="rw")
    assert mount_of(Path("/srv/shared/a b/keys"), text) == Mount("xfs", frozenset({"rw"}))
    assert mount_of(Path("/srv/sharedelsewhere"), text) == Mount("ext4", frozenset({"rw", "relatime"}))
    assert mount_of(Path("/srv"), "") is None
