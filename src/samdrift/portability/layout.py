"""The files in an export, their order, and the format of records in them.

A page is a file of JSON lines with one record each. It is followed by the files that belong to its records,
in the same order, and by a list of all of them with their digests. A reader that starts at the beginning
therefore always knows which file must come next, and keeps only one page in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from samdrift.attestation.archive import Member, damaged
from samdrift.contracts.principals import Role
from samdrift.vault.messagerows import SALT_BYTES
from samdrift.vault.portability import mailparts, parts
from samdrift.vault.portability.parts import Facts, Part
from samdrift.vault.records import Digest

FORMAT_FILE = "format.json"
README_FILE = "README.txt"
ORGANISATION_FILE = "organisation.json"
CERTIFICATES_FILE = "certificates.pem"
SUMS_FILE = "SHA256SUMS"
MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "manifest.json.sig"
SIGNER_FILE = "certificate.pem"

MOST_PAGE = 128 << 20
"""Maximum number of bytes in a page.

The largest record is a message of 30 MiB, in which each quotation mark takes four bytes here. Such a record
is alone in its page.
"""
MOST_RECORDS = 1000
"""Maximum number of lines in a page; pages are written with at most half of it."""
MOST_LINE = 1 << 20
"""Maximum size of a line in bytes, without its texts: small JSON values need thirty times that in memory."""
MOST_DOCUMENT = 128 << 20
"""Maximum size in bytes of a receipt, and of the files that describe the export."""

_AP, _MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE


def _of_record_keeping(role: Role) -> tuple[Part, ...]:
    return parts.records_part(role), *_of_log(role)


def _of_log(role: Role) -> tuple[Part, ...]:
    return parts.log_part(role), parts.former_log_part(role), *_proving(role)


def _proving(role: Role) -> tuple[Part, ...]:
    return parts.log_keys_part(role), parts.checkpoints_part(role)


BEFORE: tuple[Part, ...] = (parts.INCOMING,)
"""Parts read before the message service's vault: received envelopes. Transfers are read after it.

An object that passes from one vault to the other in the meantime is therefore in one of them, or in both and
recognised by its id.
"""
BETWEEN: tuple[Part, ...] = (
    parts.MESSAGES,
    parts.RECEIPTS,
    parts.DIGESTS,
    parts.PROCESSED,
    parts.CURSORS,
    parts.WORK,
    parts.SESSION_KEYS,
    parts.MARK_KEYS,
    parts.grounds_part(_MT),
    parts.persons_part(_MT),
    *_of_log(_MT),
)
AFTER: tuple[Part, ...] = (
    parts.TRANSFERS,
    parts.ATTEMPTS,
    parts.EVENTS,
    parts.log_part(_AP),
    parts.PEER_CERTIFICATES,
    parts.grounds_part(_AP),
    parts.former_log_part(_AP),
    *_proving(_AP),
)
OF_MESSAGE_CLIENT: tuple[Part, ...] = (
    parts.persons_part(Role.MESSAGE_CLIENT),
    parts.STATEMENTS,
    *(each.part for each in mailparts.MAIL_PARTS),
    *_of_record_keeping(Role.MESSAGE_CLIENT),
)
OF_GOVERNANCE: tuple[Part, ...] = (
    parts.persons_part(Role.GOVERNANCE),
    parts.SIGNED_STATEMENTS,
    *_of_record_keeping(Role.GOVERNANCE),
)
PARTS = (*BEFORE, *BETWEEN, *AFTER, *OF_MESSAGE_CLIENT, *OF_GOVERNANCE)

_ENDINGS = {
    ("incoming", "receipt"): "soap",
    ("incoming", "envelope"): "xml",
    ("transfers", "receipt"): "soap",
    ("transfers", "envelope"): "xml.gz",
    ("messages", "message"): "xml",
    ("receipts", "receipt"): "xml",
    ("messages", "documents"): "json",
    ("files", "file"): "bin",
}
BODIES = frozenset({"envelope", "message", "documents", "file"})
"""Contents that may be large; the others are documents that fit in memory."""
GONE = ".gone"
"""Suffix of the empty file that replaces a body removed during the export."""

_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a page: facts, and the name and size of each of its files."""

    facts: Facts
    files: Mapping[str, Member]


def title(part: Part) -> str:
    """Return a part's name in the manifest."""
    return f"{part.role.value}/{part.name}"


def page_file(part: Part, number: int) -> str:
    """Return the file name of a page; the first page has number 1."""
    return f"{title(part)}/{number:06}.jsonl"


def page_sums_file(part: Part, number: int) -> str:
    """Return the name of the list of digests that follows a page and its files."""
    return f"{title(part)}/{number:06}.sha256"


def content_file(part: Part, facts: Facts, content: str) -> str:
    """Return the name of a record's file. An id that is not a plain name is replaced by its digest."""
    name = "-".join(str(facts[each]) for each in reversed(part.key))
    if not _PLAIN.fullmatch(name):
        name = f"sha256-{sha256(name.encode()).hexdigest()}"
    return f"{title(part)}/{content}/{name}.{_ENDINGS[part.name, content]}"


def document(facts: dict[str, Any]) -> bytes:
    """Return the content of a file with one JSON object."""
    return (json.dumps(facts, ensure_ascii=False, indent=2) + "\n").encode()


def write_page(records: Sequence[Record]) -> bytes:
    """Return a page as JSON lines."""
    return b"".join(_line(record) for record in records)


def _line(record: Record) -> bytes:
    files = {name: {"file": file.name, "size": file.size} for name, file in record.files.items()}
    line = json.dumps(record.facts | {"files": files}, ensure_ascii=False, separators=(",", ":"))
    return line.encode() + b"\n"


def read_page(part: Part, name: str, data: bytes) -> list[Record]:
    """Return the records of a page; raises :class:`MoveError` that names an invalid line."""
    if data.count(b"\n") + data.count(b"\r") > MOST_RECORDS:
        raise damaged(f"{name} has more records than a page may have")
    records = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            _check_line(line)
            records.append(_record(part, json.loads(line)))
        except (ValueError, RecursionError) as error:
            why = "is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            raise damaged(f"{name}, line {number}: {why}") from None
    if not records:
        raise damaged(f"{name} is empty")
    return records


def _check_line(line: bytes) -> None:
    """Reject a line with too many values before it is parsed; a text in it may be as long as a page."""
    if len(line) <= MOST_LINE:
        return
    besides, at = 0, 0
    while besides <= MOST_LINE and (begin := line.find(b'"', at)) >= 0:
        besides += begin - at + 1
        text = _TEXT.match(line, begin)
        at = text.end() if text else len(line)
    if besides + len(line) - at > MOST_LINE:
        raise ValueError("is longer than the limit of a line")


def _record(part: Part, document: Any) -> Record:
    if not isinstance(document, dict):
        raise ValueError("is not a JSON object")
    files = document.pop("files", None)
    facts = parts.check(document, part.facts)
    record = Record(facts, dict(_files(part, facts, files)))
    _check_contents(part, record)
    return record


def _files(part: Part, facts: Facts, files: Any) -> Iterator[tuple[str, Member]]:
    if not isinstance(files, dict) or not set(files) <= set(part.contents):
        raise ValueError("a record has files that it must not have")
    for content in part.contents:
        if content in files:
            size = files[content].get("size") if isinstance(files[content], dict) else None
            member = Member(content_file(part, facts, content), size if type(size) is int else -1)
            if files[content] != {"file": member.name, "size": member.size} or member.size < 0:
                raise ValueError("a record's file does not have the name or size that the record states")
            yield content, member


def _check_contents(part: Part, record: Record) -> None:
    """Check that a record has the files that its facts require, and consistent facts."""
    facts, has = record.facts, set(record.files)
    if part is parts.INCOMING and has != {"receipt"} | _if(facts["acknowledged_at"] is None, "envelope"):
        raise ValueError("a received transfer must have a receipt, and an envelope until it is fetched")
    if part is parts.TRANSFERS:
        waits = facts["due_at"] is not None
        if waits is not (facts["state"] == "queued") or ("envelope" in has) is not waits:
            raise ValueError("a transfer must have an envelope while it waits")
    if part is parts.DIGESTS:
        salt, digest = (bytes.fromhex(facts[name].removeprefix("\\x")) for name in ("salt", "sha256"))
        if len(salt) != SALT_BYTES or Digest(salt, digest).commitment != facts["commitment"]:
            raise ValueError("a digest does not match its commitment")
    if part is parts.PEER_CERTIFICATES:
        certificate = bytes.fromhex(facts["certificate"].removeprefix("\\x"))
        if sha256(certificate).hexdigest() != facts["sha256"]:
            raise ValueError("a peer's certificate is not the one named in the log")
    if part.name == "grounds":
        content = bytes.fromhex(facts["content"].removeprefix("\\x"))
        if sha256(content).hexdigest() != facts["sha256"]:
            raise ValueError("what a certificate was judged by is not what is named in the log")
    if part in (mailparts.MAIL.part, mailparts.FILES.part) and has != set(part.contents):
        raise ValueError("a message of a message client must have its documents, and a file its content")
    if part is parts.RECEIPTS and has != {"receipt"}:
        raise ValueError("a message receipt must be a file")
    if part is parts.MESSAGES:
        kept = [facts[name] is not None for name in ("label", "sender_address", "recipient_address")]
        if facts["deleted"] and (has or any(kept)):
            raise ValueError("nothing may be left of a deleted message")
        if not facts["deleted"] and not all(kept):
            raise ValueError("a message must have a label and addresses")


def _if(condition: bool, name: str) -> set[str]:
    return {name} if condition else set()
