"""Containers of evidence verified by the European Commission's DSS: ASiC-S, a time stamp (EN 319 162-1)."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from samdrift.evidence.asic import CONTENT, MEDIA_TYPE, STAMP, write_container
from samdrift.transparency.timestamps import token_of
from tests.interop.maven import MavenProject
from tests.interop.tools import Unavailable, left_out
from tests.programs import requires
from tests.tsa import TimeStamps

pytestmark = requires("openssl", "openssl")
_HERE = Path(__file__).parent
EVIDENCE = b"what would be evidence " * 20


@pytest.fixture(scope="module")
def classpath() -> str:
    try:
        return MavenProject(_HERE).classpath()
    except Unavailable as reason:
        left_out("DSS", reason)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimeStamps:
    return TimeStamps(tmp_path_factory.mktemp("tsa") / "it")


def container(content: bytes, token: bytes) -> bytes:
    out = BytesIO()
    write_container(out, content, token)
    return out.getvalue()


def variants(authority: TimeStamps, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield a good container, and defective ones that our own verifier refuses as well."""
    token = token_of(authority.over(EVIDENCE))
    good = container(EVIDENCE, token)
    yield "good", good
    yield "other content", container(EVIDENCE + b".", token)
    other = TimeStamps(folder / "other", name="Other")
    yield "other authority", container(EVIDENCE, token_of(other.over(EVIDENCE)))
    changed = bytearray(token)
    changed[-10] ^= 1
    yield "changed signature", container(EVIDENCE, bytes(changed))


def test_dss_finds_the_time_stamp_over_the_evidence_and_every_change(
    classpath: str, authority: TimeStamps, tmp_path: Path
) -> None:
    names, files = [], []
    for name, data in variants(authority, tmp_path):
        file = tmp_path / f"{name.replace(' ', '-')}.asics"
        file.write_bytes(data)
        names, files = [*names, name], [*files, file]
    command = [
        "java",
        "-Xmx512m",
        "-cp",
        classpath,
        "samdrift.dss.Judge",
        authority.folder / "root.pem",
        *files,
    ]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    said = dict(zip(names, ended.stdout.splitlines(), strict=True))
    good = said["good"]
    assert good.startswith(f"ASiC-S {MEDIA_TYPE.decode()} imprint=true signature=true trusted=true")
    assert f"over={CONTENT}," in good
    assert "imprint=false" in said["other content"]
    assert "trusted=false" in said["other authority"]
    assert "signature=true" not in said["changed signature"]


def test_parts_have_the_names_that_the_standard_gives_them(authority: TimeStamps) -> None:
    """A.1 and 4.3.3.2: the stamped content is the only file next to META-INF."""
    with zipfile.ZipFile(BytesIO(container(EVIDENCE, token_of(authority.over(EVIDENCE))))) as archive:
        assert archive.namelist() == ["mimetype", CONTENT, STAMP]
