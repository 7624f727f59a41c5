"""The chain of a log: any entry that is changed, left out, doubled, moved or borrowed is detected."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.audit.chain import ChainHead, ChainReason, link, origin, verify_chain
from samdrift.audit.entries import Happening, LogEntry

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ORIGIN = origin("v1")


def chain(*facts: str, start: ChainHead = ORIGIN) -> list[LogEntry]:
    entries, head = [], start
    for fact in facts:
        happening = Happening(AT, "ap:transfer:queued", "worker:ap", "send", {"envelope": fact})
        digest = link(head.hash, head.sequence + 1, happening.content())
        entries.append(LogEntry.placed(happening, head.sequence + 1, head.hash, digest))
        head = ChainHead(head.sequence + 1, digest)
    return entries


def test_content_is_canonical_whatever_the_zone_and_the_order_of_facts() -> None:
    east = AT.astimezone(timezone(timedelta(hours=2)))
    one = Happening(AT, "ap:transfer:queued", "worker:å", "send", {"b": "2", "a": "1"})
    other = Happening(east, "ap:transfer:queued", "worker:å", "send", {"a": "1", "b": "2"})
    expected = (
        '{"at":"2026-03-02T12:00:00.000000+00:00","event":"ap:transfer:queued",'
        '"ids":{"a":"1","b":"2"},"principal":"worker:å","purpose":"send"}'
    )
    assert one.content() == other.content() == expected.encode()


def test_the_first_hash_names_the_log_and_each_next_covers_hash_number_and_content() -> None:
    first, second = chain("a", "b")
    start = hashlib.sha256(b"samdrift log v1").digest()
    assert first.previous == start
    assert first.hash == hashlib.sha256(start + bytes(7) + b"\x01" + first.happening.content()).digest()
    assert (
        second.hash == hashlib.sha256(first.hash + bytes(7) + b"\x02" + second.happening.content()).digest()
    )


def test_an_untouched_chain_holds_from_the_start_and_from_any_remembered_head() -> None:
    entries = chain("a", "b", "c")
    assert verify_chain(entries, ORIGIN).intact
    remembered = ChainHead(1, entries[0].hash)
    verdict = verify_chain(entries[1:], remembered)
    assert verdict.intact
    assert verdict.head == ChainHead(3, entries[2].hash)


@pytest.mark.parametrize(
    ("tamper", "reason", "holds_to"),
    [
        (lambda log: [log[0], log[2]], ChainReason.GAP, 1),
        (lambda log: log[1:], ChainReason.GAP, 0),
        (lambda log: [log[0], log[0], log[1]], ChainReason.GAP, 1),
        (lambda log: [log[0], log[2], log[1]], ChainReason.GAP, 1),
        (lambda log: chain("a", "b", start=origin("v2")), ChainReason.CUT, 0),
        (lambda log: [log[0], *chain("x", start=ChainHead(1, bytes(32)))], ChainReason.CUT, 1),
    ],
    ids=["left out", "start left out", "doubled", "moved", "another log", "spliced"],
)
def test_tampering_with_the_order_shows(
    tamper: Callable[[list[LogEntry]], list[LogEntry]], reason: ChainReason, holds_to: int
) -> None:
    verdict = verify_chain(tamper(chain("a", "b", "c")), ORIGIN)
    assert not verdict.intact
    assert verdict.reason is reason
    assert verdict.head.sequence == holds_to


@pytest.mark.parametrize(
    "change",
    [
        {"at": AT + timedelta(microseconds=1)},
        {"event": "ap:transfer:failed"},
        {"principal": "worker:mt"},
        {"purpose": "read"},
        {"ids": {"envelope": "B"}},
        {"ids": {}},
        {"hash": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_any_field_shows(change: dict[str, object]) -> None:
    entries = chain("a", "b", "c")
    entries[1] = dataclasses.replace(entries[1], **change)  # type: ignore[arg-type]
    verdict = verify_chain(entries, ORIGIN)
    assert verdict.reason is ChainReason.ALTERED
    assert verdict.head.sequence == 1


TEXTS = st.text(st.characters(codec="utf-8"), max_size=50)


TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))


@given(st.dictionaries(TEXTS, TEXTS, max_size=4), TIMES, TEXTS)
def test_content_reads_back_as_it_was(facts: dict[str, str], at: datetime, principal: str) -> None:
    happening = Happening(at, "ap:transfer:queued", principal, "send", facts)
    assert Happening.parse(happening.content()) == happening


@pytest.mark.parametrize("at", [datetime(1969, 12, 31, 23, 59), datetime(9999, 1, 1)])
def test_an_entry_has_a_time_that_can_be_computed_with(at: datetime) -> None:
    happening = Happening(at.replace(tzinfo=UTC), "ap:transfer:queued", "worker:ap", "send", {})
    with pytest.raises(ValueError, match="not the content"):
        Happening.parse(happening.content())


@given(st.text(max_size=20))
def test_facts_from_a_peer_never_break_an_entry(fact: str) -> None:
    content = Happening(AT, "ap:envelope:refused", "worker:ap", "receive", {"detail": fact * 100}).content()
    assert len(Happening.parse(content).ids["detail"]) <= 1000


@given(st.binary(max_size=60))
def test_bytes_that_are_no_content_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not the content of a log entry"):
        Happening.parse(data)


EARLY = b'{"at":"0001-01-01T00:00:00+05:00","event":"a","principal":"","purpose":"","ids":{}}'


@pytest.mark.parametrize(
    "content",
    [b"{}", b"[]", b'{"at":1}', b'{"at":"2026-03-02","ids":[]}', b"null", b"[" * 100_000, EARLY],
    ids=range(7),
)
def test_json_of_another_shape_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="not the content of a log entry"):
        Happening.parse(content)


def test_entries_are_found_by_identifiers_and_not_by_reasons() -> None:
    facts = {"message": "m", "as4": "a", "reason": "r", "peer": "p"}
    assert set(Happening(AT, "x", "y", "z", facts).traced()) == {"m", "a"}
