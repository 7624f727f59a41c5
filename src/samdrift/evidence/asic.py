"""ASiC-S containers (ETSI EN 319 162-1 4.3): one file and a time stamp over it, in a ZIP file.

The time stamp shows that the evidence in a container existed then, whatever happens to the organisation's
certificate. The content is stored without compression, so that a reader knows its size. A container with
anything else is refused.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from samdrift.attestation.archive import damaged
from samdrift.audit.reading import Malformed, Unverified
from samdrift.evidence.findings import Finding
from samdrift.transparency.timestamps import MAX_STAMP, Trusted, examine, response_of

MEDIA_TYPE = b"application/vnd.etsi.asic-s+zip"
CONTENT = "evidence.tar"
STAMP = "META-INF/timestamp.tst"
MAX_CONTENT = 256 << 20
"""Maximum size of a container, in bytes."""
MAX_EVIDENCE = MAX_CONTENT - MAX_STAMP - 1024
"""Maximum size of the evidence in a container; the rest is for the time stamp and the ZIP file's headers."""
_MAGIC = b"PK\x03\x04"
_MADE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was read."""

    content: bytes
    token: bytes

    def finding(self, trusted: Trusted | None) -> Finding:
        """Return the finding about the time stamp."""
        try:
            response = response_of(self.token)
            stamp = trusted.verify(response, self.content) if trusted else examine(response, self.content)
        except (Malformed, Unverified) as fault:
            return Finding("time stamp", False, str(fault))
        who = stamp.signer if trusted else f"{stamp.signer}, which was not checked (--tsa)"
        return Finding("time stamp", True, f"it existed at {stamp.at.isoformat()}, by {who}")


def write_container(file: BinaryIO, content: bytes, token: bytes) -> None:
    """Write a container with the given content and the time stamp token over it."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (("mimetype", MEDIA_TYPE), (CONTENT, content), (STAMP, token)):
            archive.writestr(zipfile.ZipInfo(name, _MADE), data)


def is_container(path: Path) -> bool:
    """Return whether a file begins like a ZIP file, as a container does."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_container(path: Path) -> Container:
    """Read a container of evidence; raise ``MoveError`` for any other file."""
    data = _whole(path)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
            if [each.filename for each in members] != ["mimetype", CONTENT, STAMP]:
                raise ValueError
            if any(each.compress_type != zipfile.ZIP_STORED for each in members):
                raise ValueError
            kind, content, token = (archive.read(each) for each in members)
    except (ValueError, zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError):
        raise damaged("the container is not one of evidence with a time stamp") from None
    again = BytesIO()
    write_container(again, content, token)
    if kind != MEDIA_TYPE or len(token) > MAX_STAMP or again.getvalue() != data:
        raise damaged("the container is not one of evidence with a time stamp")
    return Container(content, token)


def _whole(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_CONTENT + 1)
    if len(data) > MAX_CONTENT:
        raise damaged(f"the container has more than {MAX_CONTENT} bytes")
    return data
