"""Files that are encrypted as they are written."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pyrage
import pytest

from samdrift.attestation import agefile
from samdrift.attestation.errors import MoveError


@pytest.mark.parametrize(
    ("told", "number"),
    [("OSError: [Errno 28] No space left on device", errno.ENOSPC), ("something else", errno.EIO)],
)
async def test_a_disk_that_is_full_is_told_of_as_that_also_by_the_library(
    told: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library reports some failed writes with its own error, depending on their place in the file."""

    def fails(clear: object, file: object, keys: object) -> None:
        raise pyrage.EncryptError(told)

    monkeypatch.setattr(pyrage, "encrypt_io", fails)
    (file := tmp_path / "backup.age").touch()
    with pytest.raises(OSError, match=r"backup\.age") as failed:
        async with agefile.encrypting(file, [str(pyrage.x25519.Identity.generate().to_public())]):
            pass
    assert (failed.value.errno, failed.value.filename) == (number, str(file))


def test_a_file_of_recipients_that_is_too_large_is_refused_and_not_cut(tmp_path: Path) -> None:
    """Otherwise the file would not be encrypted for the recipients at its end, without any report."""
    file = tmp_path / "recipients"
    line = f"{pyrage.x25519.Identity.generate().to_public()}\n"
    file.write_text(line * (agefile.LARGEST_KEY_FILE // len(line)))
    assert len(agefile.lines(file)) == agefile.LARGEST_KEY_FILE // len(line)
    with file.open("a") as more:
        more.write(line)
    with pytest.raises(MoveError, match="larger than 65536 bytes"):
        agefile.lines(file)


async def test_who_reads_a_file_that_is_gone_before_it_is_opened_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A medium may be removed at that moment; the other end of the pipe is closed nevertheless."""
    file = tmp_path / "gone"
    monkeypatch.setattr(agefile, "check_header", lambda path: None)
    async with asyncio.timeout(60):
        with pytest.raises(FileNotFoundError):
            async with agefile.decrypting(file, [pyrage.x25519.Identity.generate()]) as source:
                assert await source.read(1) == b""
