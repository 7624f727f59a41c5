"""The object store: objects are whole or absent, in a folder or elsewhere."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from samdrift.vault.errors import SealBroken, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.objects import Objects, make_place
from tests.vaults import Installation, until


@pytest.fixture(params=["folder", "memory:///"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    return in_folder(tmp_path) if request.param == "folder" else Objects(request.param)


def in_folder(tmp_path: Path) -> Objects:
    """Return a store in a folder, as a new installation has it."""
    make_place(tmp_path / "objects")
    return Objects(tmp_path / "objects")


async def put(objects: Objects, name: str, data: bytes) -> None:
    writer = objects.writer(name)
    await writer.write(data)
    await writer.close()


async def test_an_object_is_seen_when_it_is_whole_and_until_it_is_deleted(objects: Objects) -> None:
    data = os.urandom(3_000_000)
    writer = objects.writer("v1/one")
    await writer.write(data[:1_500_000])
    assert await objects.under("v1") == []
    await writer.write(data[1_500_000:])
    await writer.close()
    assert b"".join([piece async for piece in objects.pieces("v1/one")]) == data
    assert [stored.name for stored in await objects.under("v1")] == ["v1/one"]
    await objects.delete("v1/one")
    await objects.delete("v1/one")
    with pytest.raises(SealBroken):
        _ = [piece async for piece in objects.pieces("v1/one")]


async def test_a_listing_holds_one_vault_alone(objects: Objects) -> None:
    await put(objects, "v1/one", b"1")
    await put(objects, "v10/two", b"2")
    assert [stored.name for stored in await objects.under("v1")] == ["v1/one"]


async def test_a_folder_that_is_gone_is_not_made_anew_by_whoever_writes(tmp_path: Path) -> None:
    """Its file system may not be mounted, and new files would be hidden when it is back."""
    objects = in_folder(tmp_path)
    (tmp_path / "objects").rename(tmp_path / "aside")
    with pytest.raises(VaultUnavailable) as caught:
        await put(objects, "v1/one", b"1")
    assert caught.value.cause == "object store: its folder does not exist"
    assert not (tmp_path / "objects").exists()
    (tmp_path / "aside").rename(tmp_path / "objects")
    await put(objects, "v1/one", b"1")


async def test_no_process_that_starts_meanwhile_makes_a_folder_anew_that_is_gone(
    installation: Installation,
) -> None:
    """The doctor did, and processes next to it stored messages there that would have been hidden."""
    await installation.organisation()
    folder = installation.settings.objects
    assert isinstance(folder, Path)
    aside = folder.rename(folder.with_name("aside"))
    try:
        await installation.provisioner.install()
        gate = await Gate.start(installation.settings)
        with pytest.raises(VaultUnavailable):
            await gate.reach_objects()
        await gate.close()
        assert not folder.exists()
    finally:
        aside.rename(folder)


@pytest.mark.parametrize("size", [1, 3 << 20])
async def test_a_folder_that_goes_while_a_body_comes_is_not_made_anew_either(
    tmp_path: Path, size: int
) -> None:
    """A message on its way made it, was accepted, and would have been hidden when the store came back."""
    objects = in_folder(tmp_path)
    writer = objects.writer("v1/one")
    (tmp_path / "objects").rename(tmp_path / "aside")

    async def written() -> None:
        await writer.write(bytes(size))
        await writer.close()

    with pytest.raises(VaultUnavailable) as caught:
        await written()
    assert caught.value.cause == "object store: its folder does not exist"
    assert not (tmp_path / "objects").exists()


@pytest.mark.parametrize(
    ("blocks", "cause"),
    [
        (0, "no space left on device"),
        (3, "12 KiB left on its disk"),
        (4095, "16380 KiB left on its disk"),
    ],
)
async def test_a_disk_that_is_nearly_full_is_known_before_each_message_finds_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, cause: str
) -> None:
    """Some messages fitted and others did not: callers were asked to try again, without a reason."""
    objects, room = in_folder(tmp_path), {"free": 4096}

    def statvfs(_: Path) -> SimpleNamespace:
        return SimpleNamespace(f_flag=0, f_bavail=room["free"], f_frsize=4096)

    monkeypatch.setattr(os, "statvfs", statvfs)
    await objects.reach()
    room["free"] = blocks
    with pytest.raises(VaultUnavailable) as caught:
        await objects.reach()
    assert caught.value.cause == f"object store: {cause}"
    assert caught.value.reported


async def test_that_a_body_finds_no_room_is_a_warning_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store itself reports nothing about one large body, as long as it has room for others."""
    writer = in_folder(tmp_path).writer("v1/one")

    async def full(data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer, "_file", SimpleNamespace(write=full))
    with pytest.raises(VaultUnavailable) as caught:
        await writer.write(bytes(3 << 20))
    assert caught.value.cause == "object store: no space left on device"
    assert not caught.value.reported


async def test_a_body_that_finds_no_room_where_that_is_known_is_no_warning_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute of a full disk caused seven lines, of which two gave the reason."""
    objects, room = in_folder(tmp_path), {"free": 0}

    def statvfs(_: Path) -> SimpleNamespace:
        return SimpleNamespace(f_flag=0, f_bavail=room["free"], f_frsize=4096)

    async def full(data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def is_reported() -> bool:
        writer = objects.writer("v1/one")
        monkeypatch.setattr(writer, "_file", SimpleNamespace(write=full))
        with pytest.raises(VaultUnavailable) as caught:
            await writer.write(bytes(3 << 20))
        return caught.value.reported

    monkeypatch.setattr(os, "statvfs", statvfs)
    with pytest.raises(VaultUnavailable):
        await objects.reach()
    assert await is_reported()
    room["free"] = 8192
    await objects.reach()
    assert not await is_reported()


async def test_what_is_in_a_folder_that_is_gone_is_not_taken_for_lost(tmp_path: Path) -> None:
    """It waits for the object store, and does not count as altered."""
    objects = in_folder(tmp_path)
    await put(objects, "v1/one", b"1")
    (tmp_path / "objects").rename(tmp_path / "aside")
    with pytest.raises(VaultUnavailable) as caught:
        _ = [piece async for piece in objects.pieces("v1/one")]
    assert caught.value.cause == "object store: its folder does not exist"


async def test_a_folder_is_its_owners_alone(tmp_path: Path) -> None:
    await put(in_folder(tmp_path), "v1/one", b"1")
    assert {
        (tmp_path / "objects").stat().st_mode & 0o777,
        (tmp_path / "objects/v1").stat().st_mode & 0o777,
    } == {0o700}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")
async def test_what_root_brings_in_belongs_to_the_user_of_the_vault(tmp_path: Path) -> None:
    """The user could not read it otherwise, when root's files are root's alone."""
    (tmp_path / "objects" / "v1").mkdir(parents=True)
    os.chown(tmp_path / "objects" / "v1", 320_001, 320_002)
    former = os.umask(0o077)
    try:
        await put(in_folder(tmp_path), "v1/one", b"1")
    finally:
        os.umask(former)
    stored = (tmp_path / "objects" / "v1" / "one").stat()
    assert (stored.st_uid, stored.st_gid) == (320_001, 320_002)


async def test_what_a_crash_left_half_written_is_dropped_when_it_is_old(tmp_path: Path) -> None:
    objects = in_folder(tmp_path)
    await put(objects, "v1/whole", b"1")
    old, new = tmp_path / "objects/v1/old#1", tmp_path / "objects/v1/new#1"
    for draft in (old, new):
        draft.write_bytes(b"half")
    os.utime(old, (0, 0))
    await objects.drop_drafts("v1", datetime.now(UTC) - timedelta(days=1))
    assert not old.exists()
    assert new.exists()
    assert [stored.name for stored in await objects.under("v1")] == ["v1/whole"]


async def test_a_store_that_fails_is_a_typed_error_without_paths(tmp_path: Path) -> None:
    objects = in_folder(tmp_path)
    await put(objects, "v1/one", b"1")
    (tmp_path / "objects/v1/blocked").mkdir()
    with pytest.raises(VaultUnavailable) as caught:
        await put(objects, "v1/blocked", os.urandom(10))
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_folder_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    objects = in_folder(tmp_path)
    (tmp_path / "objects/v1").write_bytes(b"in the way")
    with pytest.raises(VaultUnavailable):
        objects.writer("v1/one")


async def test_clearing_a_vaults_objects_follows_no_link_to_anothers(tmp_path: Path) -> None:
    """Its folder belongs to the process of its organisation, which may have been broken into."""
    objects = in_folder(tmp_path)
    await put(objects, "v1/one", b"1")
    await put(objects, "v2/two", b"2")
    (tmp_path / "objects/v1/link").symlink_to(tmp_path / "objects/v2")
    await objects.clear("v1")
    await objects.clear("v1")
    assert not (tmp_path / "objects/v1").exists()
    assert [stored.name for stored in await objects.under("v2")] == ["v2/two"]


async def test_what_a_vaults_process_planted_among_its_objects_is_neither_followed_nor_waited_for(
    tmp_path: Path,
) -> None:
    """Export and isolation check read objects as root, from a folder that belongs to the worker."""
    objects, victim = in_folder(tmp_path), tmp_path / "victim"
    await put(objects, "v1/whole", b"content")
    await put(objects, "v2/other", b"another's")
    victim.write_bytes(b"what root alone reads")
    folder = tmp_path / "objects" / "v1"
    (folder / "link").symlink_to(victim)
    (folder / "far").symlink_to(tmp_path / "objects" / "v2" / "other")
    os.link(victim, folder / "second-name")
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    for _ in range(5):
        folder = folder / "folder"
        folder.mkdir(exist_ok=True)
    (tmp_path / "objects" / "v3").symlink_to(tmp_path / "objects" / "v2")
    for name in ("v1/link", "v1/far", "v1/second-name", "v1/fifo", "v1/folder", "v3/other"):
        with pytest.raises((SealBroken, VaultUnavailable)):
            async with asyncio.timeout(60):
                _ = [piece async for piece in objects.pieces(name)]
    async with asyncio.timeout(60):
        assert {one.name for one in await objects.under("v1")} == {"v1/whole", "v1/second-name"}
    with pytest.raises(VaultUnavailable):
        await objects.under("v3")
    assert [piece async for piece in objects.pieces("v1/whole")] == [b"content"]


@pytest.mark.parametrize("held", ["open", "read"])
async def test_who_stops_reading_takes_nothing_from_what_is_opened_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    """A thread cannot be cancelled, and the number of a closed file may soon be another's."""
    objects, other = in_folder(tmp_path), tmp_path / "other"
    await put(objects, "v1/one", b"one")
    other.write_bytes(b"another organisation's")
    entered, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    call = getattr(os, held)

    def slow(*given: Any, **named: Any) -> Any:
        entered.set()
        go_on.wait(60)
        try:
            return call(*given, **named)
        finally:
            ended.set()

    async def read() -> bytes:
        return b"".join([piece async for piece in objects.pieces("v1/one")])

    before = descriptors()
    with monkeypatch.context() as patched:
        patched.setattr(os, held, slow)
        reading = asyncio.create_task(read())
        await asyncio.to_thread(entered.wait)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    opened = [os.open(other, os.O_RDONLY) for _ in range(20)]
    try:
        go_on.set()
        await asyncio.to_thread(ended.wait)
        await until(lambda: descriptors() == before + len(opened))
        assert [os.lseek(each, 0, os.SEEK_CUR) for each in opened] == [0] * len(opened)
    finally:
        for each in opened:
            os.close(each)


def descriptors() -> int:
    """Return the number of open descriptors of this process, without the one used for counting."""
    return len(os.listdir("/proc/self/fd")) - 1


async def test_a_file_that_grows_while_it_is_read_has_an_end(tmp_path: Path) -> None:
    objects = in_folder(tmp_path)
    await put(objects, "v1/one", b"x" * (3 << 20))
    read = 0
    async for piece in objects.pieces("v1/one"):
        read += len(piece)
        with (tmp_path / "objects" / "v1" / "one").open("ab") as file:
            file.write(b"y" * (2 << 20))
        assert read <= 3 << 20
    assert read == 3 << 20


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Return an old file elsewhere, to which the user of a vault's folder has made links."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = elsewhere / "passwd"
    for each in (file, elsewhere / "draft#1"):
        each.write_bytes(b"root's")
        os.utime(each, (0, 0))
    own = tmp_path / "objects" / "v1"
    own.mkdir(parents=True)
    (own / "folder").symlink_to(elsewhere)
    (own / "link").symlink_to(file)
    (own / "link#1").symlink_to(elsewhere / "draft#1")
    os.mkfifo(own / "fifo")
    (own / "nested").mkdir()
    (own / "nested" / "file").write_bytes(b"nobody's")
    (tmp_path / "objects" / "v2").symlink_to(elsewhere)
    return file


async def test_nothing_is_listed_or_removed_over_a_link(tmp_path: Path, planted: Path) -> None:
    """Root lists and sweeps there after an installation changes from level ``process`` to ``shared``."""
    objects = in_folder(tmp_path)
    await put(objects, "v1/own", b"1")
    assert [stored.name for stored in await objects.under("v1")] == ["v1/own"]
    for name in ("v1/folder/passwd", "v1/../../elsewhere/passwd", "v1/link", "v1/nested/file", "v1/.."):
        await objects.delete(name)
    await objects.drop_drafts("v1", datetime.now(UTC))
    for prefix in ("v2", "v1/folder"):
        with pytest.raises((VaultUnavailable, SealBroken)):
            await objects.under(prefix)
        with pytest.raises((VaultUnavailable, SealBroken)):
            await objects.drop_drafts(prefix, datetime.now(UTC))
    assert sorted(os.listdir(planted.parent)) == ["draft#1", "passwd"]
    await objects.clear("v1")
    assert sorted(os.listdir(planted.parent)) == ["draft#1", "passwd"]
    assert os.listdir(tmp_path / "objects") == ["v2"]


@pytest.mark.parametrize("name", ["v1/folder/passwd", "v1/link", "v1/fifo", "v1/nested", "v2/passwd"])
async def test_nothing_is_read_over_a_link_or_but_from_a_file(
    tmp_path: Path, planted: Path, name: str
) -> None:
    with pytest.raises((VaultUnavailable, SealBroken)):
        _ = [piece async for piece in in_folder(tmp_path).pieces(name)]


_HANDED_OVER_AND_ENDED = """
import asyncio, sys, time
from pathlib import Path
from samdrift.vault.objects import Objects

async def main(folder):
    loop = asyncio.get_running_loop()
    wake = loop._write_to_self
    loop._write_to_self = lambda: (wake(), time.sleep(0.002))
    writer = Objects(Path(folder)).writer("v1/one")
    await writer.write(bytes(1 << 20))

asyncio.run(main(*sys.argv[1:]))
"""
"""A program with a client thread of the store still in the interpreter at its end."""


def test_a_process_that_ends_right_after_its_last_object_ends_well(tmp_path: Path) -> None:
    """One command in a hundred was aborted, status 134, after all its work was done."""
    (tmp_path / "objects").mkdir()
    command = [sys.executable, "-c", _HANDED_OVER_AND_ENDED, tmp_path / "objects"]
    assert {subprocess.run(command, check=False, capture_output=True).returncode for _ in range(5)} == {0}
