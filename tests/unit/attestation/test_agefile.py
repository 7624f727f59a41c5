"""Files that are encrypted while they are written."""

from __future__ import annotations

import errno
from pathlib import Path

import pyrage
import pytest

from samdrift.attestation import agefile


@pytest.mark.parametrize(
    ("told", "number"),
    [("OSError: [Errno 28] No space left on device", errno.ENOSPC), ("something else", errno.EIO)],
)
async def test_a_disk_that_is_full_is_told_of_as_that_also_by_the_library(
    told: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells of some failed writes in an error of its own, by the place in the file where they happen."""

    def fails(clear: object, file: object, keys: object) -> None:
        raise pyrage.EncryptError(told)

    monkeypatch.setattr(pyrage, "encrypt_io", fails)
    (file := tmp_path / "backup.age").touch()
    with pytest.raises(OSError, match=r"backup\.age") as failed:
        async with agefile.encrypting(file, [str(pyrage.x25519.Identity.generate().to_public())]):
            pass
    assert (failed.value.errno, failed.value.filename) == (number, str(file))
