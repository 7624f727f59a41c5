"""Time stamps of OpenSSL as an authority: only a valid one is accepted."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samdrift.audit.reading import Malformed, Unverified
from samdrift.transparency.stamping import StampUnavailable, ask
from samdrift.transparency.timestamps import MAX_STAMP, Stamp, Trusted, examine
from tests.programs import requires
from tests.tsa import POLICY, TimeStamps

pytestmark = requires("openssl", "openssl")
NOTE = b"samdrift.log/0\n7\nAAAA\n\n\xe2\x80\x94 samdrift.log/0 AAAA\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimeStamps:
    return TimeStamps(tmp_path_factory.mktemp("tsa") / "it")


@pytest.fixture(scope="module")
def stamp(authority: TimeStamps) -> bytes:
    return authority.over(NOTE)


async def asked(authority: TimeStamps, trusted: Trusted, now: datetime | None = None) -> Stamp:
    return await ask(authority, "https://tsa.example.se/", trusted, NOTE, now or datetime.now(UTC))


async def test_a_stamp_is_asked_for_and_holds_here_and_for_openssl(
    authority: TimeStamps, tmp_path: Path
) -> None:
    given = await asked(authority, Trusted((authority.root,), POLICY))
    assert abs(given.at - datetime.now(UTC)) < timedelta(minutes=2)
    assert given.until == authority.certificate.not_valid_after_utc
    assert given.signer == "CN=Time Stamps TSA"
    (tmp_path / "note").write_bytes(NOTE)
    (tmp_path / "stamp").write_bytes(given.data)
    command = ["openssl", "ts", "-verify", "-data", "note", "-in", "stamp"]
    command += ["-CAfile", str(authority.folder / "root.pem")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert b"Verification: OK" in ended.stdout


def test_who_is_not_trusted_is_refused(
    authority: TimeStamps, stamp: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = TimeStamps(tmp_path_factory.mktemp("tsa") / "other", name="Other")
    for trusted in (Trusted((other.root,)), Trusted((authority.root,), "1.2.3.4")):
        with pytest.raises(Unverified, match="trusted authority"):
            trusted.verify(stamp, NOTE)
    assert examine(stamp, NOTE).signer == "CN=Time Stamps TSA"


def test_a_certificate_for_something_else_is_refused(tmp_path: Path) -> None:
    other = TimeStamps(tmp_path / "tsa")
    given = other.over(NOTE)
    request = TimeStamps(tmp_path / "client", stamping=False)
    with pytest.raises(subprocess.CalledProcessError):
        request.over(NOTE)  # OpenSSL itself refuses to make such a stamp.
    assert Trusted((other.root,)).verify(given, NOTE).data == given


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: b"", Malformed),
        (lambda data: b"\0" * 100, Malformed),
        (lambda data: data[:-1], Malformed),
        (lambda data: data + b"x", Malformed),
        (lambda data: data + bytes(MAX_STAMP), Malformed),
    ],
)
def test_what_is_no_stamp_is_malformed(
    authority: TimeStamps, stamp: bytes, change: Callable[[bytes], bytes], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Trusted((authority.root,)).verify(change(stamp), NOTE)


def test_a_changed_byte_is_refused_but_for_those_that_nothing_is_said_by(
    authority: TimeStamps, stamp: bytes
) -> None:
    """Every byte is changed. Changes pass only in fields that are not signed, such as versions."""
    trusted, passed = Trusted((authority.root,)), list[int]()
    for place in range(0, len(stamp)):
        changed = bytearray(stamp)
        changed[place] ^= 1
        try:
            given = trusted.verify(bytes(changed), NOTE)
        except (Malformed, Unverified):
            continue
        passed.append(place)
        assert given.at == examine(stamp, NOTE).at
    assert len(passed) <= 12


def test_a_stamp_over_something_else_is_refused(authority: TimeStamps, stamp: bytes) -> None:
    with pytest.raises(Unverified, match="something else"):
        Trusted((authority.root,)).verify(stamp, NOTE + b"x")


async def test_an_answer_to_another_request_is_no_answer(authority: TimeStamps, stamp: bytes) -> None:
    authority.answer = stamp
    try:
        with pytest.raises(StampUnavailable, match="another request"):
            await asked(authority, Trusted((authority.root,)))
    finally:
        authority.answer = None


async def test_an_authority_whose_clock_is_wrong_or_that_is_away_gives_none(authority: TimeStamps) -> None:
    trusted = Trusted((authority.root,))
    for wrong in (timedelta(hours=1), -timedelta(hours=1)):
        with pytest.raises(StampUnavailable, match="compare the clocks"):
            await asked(authority, trusted, datetime.now(UTC) + wrong)
    authority.away = True
    try:
        with pytest.raises(StampUnavailable):
            await asked(authority, trusted)
    finally:
        authority.away = False
