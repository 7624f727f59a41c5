"""Limits on a directory's responses, applied before the LDAP library decodes them.

ldap3 decodes in Python, and some input is costly: an element takes microseconds; a number takes time that
grows with the square of its length and, where text is expected, as much memory as it specifies; an element
that extends beyond the one around it is decoded again with the next. So a response that is too large, has too
many elements, or does not have the form of a response is rejected as bytes, and none of it is decoded. The
limits count the work, whatever causes it, and leave room for the largest directory.
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_BYTES = 64 << 20
"""Maximum bytes of one reading."""
MAX_ELEMENTS = 2_500_000
"""Maximum number of elements in one reading."""
MAX_OF_GROUP = 16 << 20, 100_100
"""Maximum bytes and number of elements of a response about a group."""
MAX_OF_PERSON = 64 << 10, 100
"""Maximum bytes and number of elements of any other response."""
_MAX_CONTROLS = 8 << 10
_MAX_NUMBER = 8
_MAX_RESULT, _MAX_QUESTION = 0xFFFF, 0x7FFF_FFFF
"""Largest accepted result code, and largest accepted message ID, which a process counts up."""
_MESSAGE, _ENTRY = 0x30, 0x64
_INTEGER, _OCTETS, _ENUMERATED, _SEQUENCE, _SET = 2, 4, 10, 16, 17
_CONTROLS, _REFERRAL = 0, 3
_PAGED = b"1.2.840.113556.1.4.319"
_DECODED = frozenset({_PAGED, b"1.2.840.113556.1.4.841", b"1.3.6.1.1.13.1", b"1.3.6.1.1.13.2"})
"""LDAP controls whose values the library decodes."""
_UNREADABLE = "its answer cannot be read"
_UNASKED = "its response has unrequested controls"


class UnfitAnswer(OSError):
    """A response that is rejected without decoding; the text gives the reason."""


class Answers:
    """A filter for the stream of responses, which passes on only complete and acceptable ones."""

    def __init__(self) -> None:
        self.most = MAX_OF_PERSON
        """Maximum bytes and number of elements of a response to the current request."""
        self._bytes = 0
        self._elements = 0
        self._pending = bytearray()

    def arrived(self, data: bytes) -> bytes:
        """Return the responses that ``data`` completes; raise :class:`UnfitAnswer` for an unfit one."""
        self._bytes += len(data)
        if self._bytes > MAX_BYTES:
            raise UnfitAnswer(f"it sends more than {MAX_BYTES >> 20} MB")
        self._pending += data
        begin = 0
        while (frame := _frame(self._pending, begin)) is not None:
            end = sum(frame)
            if end - begin > self.most[0]:
                raise UnfitAnswer(f"one of its responses has more than {self.most[0] >> 10} kB")
            if end > len(self._pending):
                break
            self._elements += elements(bytes(self._pending[begin:end]), self.most[1])
            if self._elements > MAX_ELEMENTS:
                raise UnfitAnswer(f"it sends more than {MAX_ELEMENTS} elements")
            begin = end
        whole = bytes(self._pending[:begin])
        del self._pending[:begin]
        return whole


def elements(answer: bytes, most: int) -> int:
    """Return the number of elements; raise :class:`UnfitAnswer` for too many, or a malformed response."""
    if answer[0] != _MESSAGE:
        raise UnfitAnswer(_UNREADABLE)
    _, begin, end = _part(answer, 0, len(answer))
    count, entry = _counted(answer, most), False
    for tag, first, last in _parts(answer, begin, end):
        entry = entry or tag == _ENTRY
        if tag & 0x80:
            if entry or last - first > _MAX_CONTROLS:
                raise UnfitAnswer(_UNASKED)
            try:
                _check_controls(answer, first, last)
            except ValueError:  # Some part of a control is empty.
                raise UnfitAnswer(_UNREADABLE) from None
    return count


def _check_controls(answer: bytes, begin: int, end: int) -> None:
    """Reject controls whose values the library decodes, except a well-formed paging control."""
    for _, first, last in _parts(answer, begin, end):
        kind, *others = _parts(answer, first, last)
        name = answer[kind[1] : kind[2]]
        if name in _DECODED and name != _PAGED:
            raise UnfitAnswer(_UNASKED)
        for tag, at, until in others:
            if name == _PAGED and tag & 0x1F == _OCTETS:
                _check_page(answer[at:until])


def _check_page(value: bytes) -> None:
    (_, begin, end), *further = _parts(value, 0, len(value))
    parts = [(tag, last - first) for tag, first, last in _parts(value, begin, end)]
    tags = [tag for tag, _ in parts]
    if value[0] != _MESSAGE or further or tags != [_INTEGER, _OCTETS] or parts[0][1] > _MAX_NUMBER:
        raise UnfitAnswer(_UNREADABLE)


def _counted(content: bytes, most: int) -> int:
    """Return the number of elements in ``content``, checking that each lies within the one around it."""
    count, at, ends = 0, 0, [len(content)]
    while ends:
        if at == ends[-1]:
            ends.pop()
            continue
        tag, begin, end = _part(content, at, ends[-1])
        count += 1
        if count > most:
            raise UnfitAnswer(f"one of its responses has more than {most} elements")
        tag_class, kind = tag >> 6, tag & 0x1F
        if tag_class == 0 and kind in (_INTEGER, _ENUMERATED):
            _check_number(content[begin:end], _MAX_QUESTION if count == 2 else _MAX_RESULT)
        if _nests(tag_class, kind):
            ends.append(end)
            at = begin
        else:
            at = end
    return count


def _check_number(content: bytes, greatest: int) -> None:
    if len(content) > _MAX_NUMBER or int.from_bytes(content) > greatest:
        raise UnfitAnswer(_UNREADABLE)


def _nests(tag_class: int, kind: int) -> bool:
    """Return whether the library decodes an element as one that contains others, however it is marked."""
    if tag_class == 0:
        return kind in (_SEQUENCE, _SET)
    return tag_class == 1 or kind in (_CONTROLS, _REFERRAL)


def _parts(content: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the elements between two offsets: the tag of each, and where its content begins and ends."""
    while begin < end:
        tag, first, last = _part(content, begin, end)
        yield tag, first, last
        begin = last


def _part(content: bytes, at: int, end: int) -> tuple[int, int, int]:
    frame = _frame(content, at)
    if frame is None or sum(frame) > end:
        raise UnfitAnswer(_UNREADABLE)
    return content[at], frame[0], sum(frame)


def _frame(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Return the offset and size of an element's content; ``None`` if its header is incomplete."""
    if len(data) < at + 2:
        return None
    first = data[at + 1]
    if first < 0x80:
        return at + 2, first
    octets = first & 0x7F
    if not 0 < octets <= 4:
        raise UnfitAnswer(_UNREADABLE)
    if len(data) < at + 2 + octets:
        return None
    return at + 2 + octets, int.from_bytes(data[at + 2 : at + 2 + octets])
