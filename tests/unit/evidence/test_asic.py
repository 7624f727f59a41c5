"""Containers with a time stamp (ASiC-S): as the standard requires them, and verified by OpenSSL too."""

from __future__ import annotations

import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from samdrift.attestation.errors import MoveError
from samdrift.evidence.asic import (
    CONTENT,
    MAX_CONTENT,
    MAX_EVIDENCE,
    MEDIA_TYPE,
    STAMP,
    is_container,
    read_container,
    write_container,
)
from samdrift.transparency.timestamps import MAX_STAMP, Trusted, response_of, token_of
from tests.programs import requires
from tests.tsa import TimeStamps

pytestmark = requires("openssl", "openssl")
EVIDENCE = b"what would be evidence " * 20


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimeStamps:
    return TimeStamps(tmp_path_factory.mktemp("tsa") / "it")


@pytest.fixture(scope="module")
def made(authority: TimeStamps) -> bytes:
    out = BytesIO()
    write_container(out, EVIDENCE, token_of(authority.over(EVIDENCE)))
    return out.getvalue()


def test_a_container_is_one_file_a_time_stamp_and_its_type_first_in_plain_sight(made: bytes) -> None:
    """ETSI EN 319 162-1 4.3.3 and A.1: the type can be read at a fixed place, and nothing is compressed."""
    assert made[:4] == b"PK\x03\x04"
    assert made[30:38] == b"mimetype"
    assert made[38 : 38 + len(MEDIA_TYPE)] == MEDIA_TYPE
    with zipfile.ZipFile(BytesIO(made)) as archive:
        assert archive.namelist() == ["mimetype", CONTENT, STAMP]
        assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED}


def test_it_holds_here_and_its_parts_for_openssl(authority: TimeStamps, made: bytes, tmp_path: Path) -> None:
    (tmp_path / "container").write_bytes(made)
    assert is_container(tmp_path / "container")
    container = read_container(tmp_path / "container")
    assert container.content == EVIDENCE
    finding = container.finding(Trusted((authority.root,)))
    assert (finding.holds, "CN=Time Stamps TSA" in finding.why) == (True, True)
    assert "not checked (--tsa)" in container.finding(None).why
    with zipfile.ZipFile(tmp_path / "container") as archive:
        archive.extractall(tmp_path)
    command = ["openssl", "ts", "-verify", "-data", CONTENT, "-in", STAMP, "-token_in"]
    command += ["-CAfile", str(authority.folder / "root.pem")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert b"Verification: OK" in ended.stdout


def test_a_time_stamp_over_something_else_or_by_another_does_not_hold(
    authority: TimeStamps, made: bytes, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = TimeStamps(tmp_path_factory.mktemp("tsa") / "other", name="Other")
    (tmp_path / "container").write_bytes(made)
    assert not read_container(tmp_path / "container").finding(Trusted((other.root,))).holds
    with (tmp_path / "swapped").open("wb") as out:
        write_container(out, EVIDENCE + b".", read_container(tmp_path / "container").token)
    finding = read_container(tmp_path / "swapped").finding(Trusted((authority.root,)))
    assert (finding.holds, finding.why) == (False, "it is over something else")


def test_every_changed_byte_of_what_is_stamped_and_of_the_container_is_found(
    authority: TimeStamps, made: bytes, tmp_path: Path
) -> None:
    """The tests of time stamps change the bytes of the token itself."""
    path, trusted = tmp_path / "changed", Trusted((authority.root,))
    path.write_bytes(made)
    stamp = read_container(path).token
    token, size = made.index(stamp), len(stamp)
    for place in range(len(made)):
        if token <= place < token + size:
            continue
        changed = bytearray(made)
        changed[place] ^= 1
        path.write_bytes(changed)
        try:
            holds = read_container(path).finding(trusted).holds
        except MoveError:
            continue
        assert not holds, place


def test_the_largest_evidence_is_in_a_container_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a container adds to the evidence does not depend on the size of the evidence."""
    path, added = tmp_path / "container", MAX_CONTENT - MAX_EVIDENCE
    monkeypatch.setattr("samdrift.evidence.asic.MAX_CONTENT", 1000 + added)
    refused = []
    for size in (1000, 1000 + added):
        with path.open("wb") as out:
            write_container(out, bytes(size), bytes(MAX_STAMP))
        try:
            assert read_container(path).content == bytes(size)
        except MoveError:
            refused.append(size)
    assert refused == [1000 + added]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"PK\x03\x04" + bytes(500)])
def test_what_is_no_container_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(MoveError, match="container"):
        read_container(tmp_path / "file")


def test_a_compressed_container_is_refused(made: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(BytesIO(made)) as archive:
        parts = [(each, archive.read(each)) for each in archive.namelist()]
    with zipfile.ZipFile(tmp_path / "file", "w", zipfile.ZIP_DEFLATED) as again:
        for name, data in parts:
            again.writestr(name, data)
    with pytest.raises(MoveError, match="container"):
        read_container(tmp_path / "file")


def test_a_token_and_its_response_are_each_others_inverse(authority: TimeStamps) -> None:
    data = authority.over(b"x")
    assert response_of(token_of(data)) == data
