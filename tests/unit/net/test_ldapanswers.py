"""Answers of a directory, framed and counted before decoding: no lie costs more than is counted."""

from __future__ import annotations

import random

import ldap3.utils.asn1
import pytest
from ldap3.strategy.base import BaseStrategy
from ldap3.utils.asn1 import decode_message_fast

from samdrift.net import ldapanswers
from samdrift.net.ldapanswers import MAX_OF_PERSON, Answers, UnfitAnswer, elements
from tests.lyingldap import ber, entry
from tests.sizes import count, seed

_PAGED = b"1.2.840.113556.1.4.319"
_PRE_READ = b"1.3.6.1.1.13.1"
NUMBER = ber(0x02, b"\x07")
LARGE = ber(0x02, b"\x7f\xff\xff\xff")
"""A number in place of text, for which the library would create as many bytes."""
PERSON = entry("uid=a,dc=se", {"cn": ["A"], "employeeNumber": ["1"]})
DONE = ber(0x65, ber(0x0A, b"\x00"), ber(0x04), ber(0x04))


def message(*parts: bytes) -> bytes:
    return ber(0x30, NUMBER, *parts)


def controls(kind: bytes, value: bytes) -> bytes:
    return ber(0xA0, ber(0x30, ber(0x04, kind), ber(0x04, value)))


def paged(size: bytes, cookie: bytes = b"") -> bytes:
    return ber(0x30, ber(0x02, size), ber(0x04, cookie))


FIT = (
    message(PERSON),
    message(DONE),
    message(DONE, controls(_PAGED, paged(b"\x00", b"next"))),
    message(DONE, controls(b"2.16.840.1.113730.3.4.4", b"0")),
    ber(0x30, ber(0x02, b"\x7f\xff\xff\xff"), DONE),
    message(ber(0x73, ber(0x04, b"ldap://elsewhere.example"))),
    message(ber(0x61, ber(0x0A, b"\x00"), ber(0x04), ber(0x04))),
    message(ber(0x78, ber(0x0A, b"\x00"), ber(0x04), ber(0x04), ber(0x8A, b"1.3.6.1.4.1.1466.20037"))),
    message(ber(0x65, ber(0x0A, b"\x0a"), ber(0x04), ber(0x04), ber(0xA3, ber(0x04, b"ldap://a.example")))),
)


@pytest.mark.parametrize("answer", FIT)
def test_answers_are_passed_on_whole_however_they_arrive(answer: bytes) -> None:
    answers, passed = Answers(), b""
    for at in range(len(answer)):
        passed = answers.arrived(answer[at : at + 1])
        assert passed == (answer if at == len(answer) - 1 else b"")
    assert answers.arrived(answer + answer + answer[:5]) == answer + answer
    assert answers.arrived(answer[5:]) == answer


@pytest.mark.parametrize(
    "answer",
    [
        ber(0x04, NUMBER, PERSON),
        ber(0x30, ber(0x02, bytes(9)), PERSON),
        ber(0x30, ber(0x02, b"\x80\x00\x00\x00"), PERSON),
        message(ber(0x65, ber(0x0A, bytes(9)), ber(0x04), ber(0x04))),
        message(DONE, controls(_PAGED, paged(bytes(9)))),
        message(ber(0x64, ber(0x04, b"dc=se"), ber(0x30, ber(0x30, ber(0x04, b"cn"), ber(0x31, LARGE))))),
        message(ber(0x61, ber(0x0A, b"\x00"), ber(0x04), ber(0x04), LARGE)),
        message(DONE, controls(_PAGED, ber(0x30, ber(0x02, b"\x00"), LARGE))),
        message(DONE, controls(_PAGED, b"\x30\x00" * 101)),
        message(DONE, controls(_PAGED, b"\x30\x02\x30\x02\x30\x00")),
        message(DONE, controls(_PRE_READ, paged(b"\x00"))),
        message(DONE, controls(_PAGED, b"")),
        message(DONE, ber(0xA0, ber(0x30))),
        message(DONE, controls(_PAGED, paged(b"\x00", bytes(9000)))),
        message(PERSON, controls(_PAGED, paged(b"\x00"))),
        message(b"\x30\x02\x30\x05\x04\x00\x04\x00\x04"),
        message(b"\x64\x82\xff"),
        message(b"\x64\x80\x00\x00"),
        b"\x30\x80" + NUMBER + DONE + b"\x00\x00",
        b"\x30\x85\x00\x00\x00\x00\x03" + NUMBER,
        message(ber(0x10, *(ber(0x04) for _ in range(100)))),
    ],
    ids=[
        *("not a sequence", "a number that grows", "a number below nothing"),
        *("a result that grows", "a size that grows"),
        *("a value that is a number", "a secret that is a number", "a cookie that is a number"),
        *("a control of many", "a control that overlaps", "a control that was not asked for"),
        *("a control without a value", "a control without a name"),
        *("a cookie that is long", "an entry with controls", "one beyond the one around it", "a cut head"),
        *("no length within", "no length", "a long length", "elements that are not marked"),
    ],
)
def test_an_answer_that_would_take_more_work_than_it_says_is_not_decoded(answer: bytes) -> None:
    with pytest.raises(UnfitAnswer):
        Answers().arrived(answer)


def test_an_answer_has_as_many_bytes_and_elements_as_it_may_have() -> None:
    size, most = MAX_OF_PERSON
    long = message(ber(0x64, ber(0x04, bytes(size - 30))))
    assert Answers().arrived(long) == long
    with pytest.raises(UnfitAnswer, match="more than 64 kB"):
        Answers().arrived(message(ber(0x64, ber(0x04, bytes(size)))))
    widest = message(*(ber(0x04) for _ in range(most - 2)))
    assert elements(widest, most) == most
    with pytest.raises(UnfitAnswer, match=f"more than {most} elements"):
        Answers().arrived(message(*(ber(0x04) for _ in range(most - 1))))


def test_a_size_that_is_only_claimed_is_refused_before_anything_is_kept() -> None:
    with pytest.raises(UnfitAnswer, match="more than 64 kB"):
        Answers().arrived(b"\x30\x84\x00\xff\xff\xff")


def test_elements_are_counted_over_a_whole_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    each = elements(FIT[0], 100)
    monkeypatch.setattr(ldapanswers, "MAX_ELEMENTS", 3 * each)
    answers = Answers()
    answers.arrived(FIT[0] * 3)
    with pytest.raises(UnfitAnswer, match=f"more than {3 * each} elements"):
        answers.arrived(FIT[1])


def test_the_library_looks_at_no_more_elements_than_were_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers have bytes changed, cut out, doubled and inserted."""
    looked = 0

    def counted(data: bytes) -> tuple[int, int]:
        nonlocal looked
        looked += 1
        return sizes(data)

    sizes = ldap3.utils.asn1.compute_ber_size
    monkeypatch.setattr(ldap3.utils.asn1, "compute_ber_size", counted)
    drawn, passed = random.Random(seed(7)), 0
    for _ in range(count(20_000, 2_000_000)):
        answer = _changed(drawn, drawn.choice(FIT))
        looked, number = 0, 0
        try:
            whole = Answers().arrived(answer)
            number = 3 + elements(whole, MAX_OF_PERSON[1]) if whole else 0
        except UnfitAnswer:
            continue
        if not whole:
            continue
        passed += 1
        try:
            control = decode_message_fast(whole)["controls"]
            for each in control or ():
                BaseStrategy.decode_control_fast(each[3])
        except Exception:
            pass
        assert looked <= number, answer.hex()
    assert passed > 1000


def _changed(drawn: random.Random, answer: bytes) -> bytes:
    content = bytearray(answer)
    for _ in range(drawn.randrange(1, 4)):
        at = drawn.randrange(2, len(content))
        match drawn.randrange(4):
            case 0:
                content[at] = drawn.choice((0x30, 0x31, 0x02, 0x04, 0x10, 0xA0, 0x64, 0, 1, 2, 4, 0x81, 255))
            case 1:
                del content[at]
            case 2:
                content[at:at] = content[at : at + drawn.randrange(1, 9)]
            case _:
                content[at:at] = bytes(drawn.choices((0x30, 0x31, 0x02, 0xA0, 0, 1, 2, 3), k=2))
    size = len(content) - 2  # Mostly state the actual size, so that the reader gets to the inner elements.
    if size < 128 and drawn.random() < 0.9:
        content[1] = size
    return bytes(content)
